// The official client against examples/auth.rs: logins that end, that are renewed, and that are one
// per user; a client that stays away, and one that comes back by itself.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { startServer, within } from "./server.mjs";

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"] };
const clients = [];

let server;
before(async () => {
  server = await startServer("AUTH_BIN", { env: { TOKEN_SECONDS: "3" } });
});
after(() => server?.kill());
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

for (const [mode, transports] of Object.entries(TRANSPORTS)) {
  describe(`logins over ${mode}`, () => {
    test("a_client_without_a_valid_token_is_refused", async () => {
      const socket = client(transports, { token: "no token" });
      const [error] = await next(socket, "connect_error");
      assert.equal(error.message, "invalid token");
      assert.equal(socket.active, false);
    });

    test("a_renewed_login_stays_and_another_ends_with_its_reason", async () => {
      const socket = client(transports, { token: await token("Ada") });
      await next(socket, "connect");
      const { id } = socket;
      const [{ expiresAt, expiresIn }] = await next(socket, "login_expiring");
      assert.ok(expiresIn > 0 && expiresAt > Date.now());
      await within(socket.emitWithAck("renew", await token("Ada")), "the renewal");
      const [again] = await next(socket, "login_expiring");
      assert.ok(again.expiresAt > expiresAt);
      assert.equal(socket.id, id);
      const reason = next(socket, "disconnect_reason");
      const disconnect = next(socket, "disconnect");
      assert.deepEqual(await reason, [{ reason: "login expired" }]);
      assert.equal((await disconnect)[0], "io server disconnect");
      // It stays away.
      assert.equal(socket.active, false);
    });

    test("a_token_of_another_user_renews_nothing", async () => {
      const socket = client(transports, { token: await token("Bob") });
      await next(socket, "connect");
      const answer = await socket.emitWithAck("renew", await token("Eve"));
      assert.match(JSON.stringify(answer), /another user/);
    });

    test("a_newer_login_supersedes_the_older_one_which_stays_away", async () => {
      const first = client(transports, { token: await token("Cid") });
      await next(first, "connect");
      const reason = next(first, "disconnect_reason");
      const disconnect = next(first, "disconnect");
      const second = client(transports, { token: await token("Cid") });
      await next(second, "connect");
      assert.deepEqual(await reason, [{ reason: "superseded by a newer login" }]);
      assert.equal((await disconnect)[0], "io server disconnect");
      assert.equal(first.active, false);
      assert.ok(second.connected);
    });

    test("a_client_that_is_to_reconnect_comes_back_by_itself", async () => {
      const socket = client(transports, async (send) => send({ token: await token("Dan") }));
      await next(socket, "connect");
      const { id } = socket;
      const reason = next(socket, "disconnect_reason");
      const disconnect = next(socket, "disconnect");
      const connect = next(socket, "connect");
      const { status } = await fetch(`${server.url}/deploy`, { method: "POST" });
      assert.equal(status, 204);
      assert.deepEqual(await reason, [{ reason: "new version" }]);
      assert.equal((await disconnect)[0], "transport close");
      assert.equal(socket.active, true);
      await connect;
      assert.notEqual(socket.id, id);
    });
  });
}

function client(transports, auth) {
  const socket = io(server.url, { auth, transports, forceNew: true, reconnectionDelay: 50 });
  clients.push(socket);
  return socket;
}

async function token(name) {
  const body = new URLSearchParams({ name });
  const response = await fetch(`${server.url}/token`, { method: "POST", body });
  assert.equal(response.status, 200);
  return response.text();
}

/** The arguments of the next event of this name. */
function next(emitter, name) {
  return within(new Promise((resolve) => emitter.once(name, (...args) => resolve(args))), name);
}
