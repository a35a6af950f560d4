// The clients of the 2.x line, socket.io-client 2.5 and engine.io-client 3.5, against servers that
// let them in: over polling alone, over WebSocket alone, and with the upgrade.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import engineClient from "engine.io-client-3";
import socketClient from "socket.io-client-2";
import { startServer } from "./server.mjs";
import { acknowledged, ARGUMENTS, collect, connected, MODES, next, shared } from "./sockets.mjs";

const { Manager } = socketClient;
const BINARY = [
  Buffer.from([0, 1, 2, 254, 255]),
  { deep: [{ first: Buffer.from("one") }, Buffer.alloc(0)], plain: "text" },
  "between",
  Buffer.alloc(70_000, 7),
];
const ALLOWED = { ALLOW_EIO3: "1" };
const clients = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

for (const [mode, transports] of Object.entries(MODES)) {
  describe(`2.x over ${mode}`, () => {
    const server = shared("CONFORMANCE_BIN", ALLOWED);

    test("the_query_of_a_namespace_reaches_the_server", async () => {
      const shared = manager(server, transports);
      const main = shared.socket("/");
      const custom = shared.socket("/custom", { query: { token: "a b", n: "✓" } });
      const auths = Promise.all([next(main, "auth"), next(custom, "auth")]);
      await Promise.all([connected(main, mode), connected(custom, mode)]);
      assert.deepEqual(await auths, [[{}], [{ token: "a b", n: "✓" }]]);
      assert.equal(main.id, shared.engine.id);
      assert.equal(custom.id, `/custom#${main.id}`);
    });

    test("events_are_echoed_with_all_their_arguments", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      socket.emit("message", ...ARGUMENTS);
      assert.deepEqual(await next(socket, "message-back"), ARGUMENTS);
      socket.emit("message");
      assert.deepEqual(await next(socket, "message-back"), []);
    });

    test("buffers_go_both_ways", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      socket.emit("message", ...BINARY);
      assert.deepEqual(await next(socket, "message-back"), BINARY);
      assert.deepEqual(await acknowledged(socket, "message-with-ack", ...BINARY), BINARY);
    });

    test("the_server_acknowledges_with_arguments", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      assert.deepEqual(await acknowledged(socket, "message-with-ack", ...ARGUMENTS), ARGUMENTS);
      assert.deepEqual(await acknowledged(socket, "message-with-ack"), []);
    });

    test("text_of_every_plane_is_echoed", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const planes = Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x10000 + 0xa1));
      for (const text of [...planes, planes.join(""), "\u2028\u2029\u0000\u001e:", "é".repeat(1000)]) {
        assert.deepEqual(await acknowledged(socket, "message-with-ack", text, { [text]: text }), [text, { [text]: text }]);
      }
    });

    test("a_message_of_a_megabyte_is_echoed", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      for (const text of ["x".repeat(990_000), "ä".repeat(490_000), "\u{1f600}".repeat(240_000)]) {
        const [back] = await acknowledged(socket, "message-with-ack", text);
        assert.ok(back === text, `${back?.length} characters came back`);
      }
      const bytes = Buffer.alloc(700_000, 9);
      const [back] = await acknowledged(socket, "message-with-ack", bytes);
      assert.ok(bytes.equals(back));
    });

    test("an_unknown_namespace_is_refused_and_the_others_live_on", async () => {
      const shared = manager(server, transports);
      const main = shared.socket("/");
      const unknown = shared.socket("/unknown");
      const refusal = next(unknown, "error");
      unknown.connect();
      await connected(main, mode);
      assert.deepEqual(await refusal, [{ message: "Invalid namespace" }]);
      assert.equal(unknown.connected, false);
      assert.deepEqual(await acknowledged(main, "message-with-ack", 1), [1]);
    });

    test("the_client_leaves_a_namespace_and_comes_back", async () => {
      const shared = manager(server, transports);
      const main = shared.socket("/");
      const custom = shared.socket("/custom");
      await Promise.all([connected(main, mode), connected(custom, mode)]);
      custom.disconnect();
      assert.deepEqual(await acknowledged(main, "message-with-ack", "lives on"), ["lives on"]);
      const auth = next(custom, "auth");
      custom.connect();
      await auth;
      assert.equal(custom.id, `/custom#${main.id}`);
    });

    test("an_idle_socket_lives_through_heartbeats", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const { id } = socket;
      for (let heartbeat = 0; heartbeat < 4; heartbeat += 1) await next(socket, "pong");
      assert.deepEqual(await acknowledged(socket, "message-with-ack", "alive"), ["alive"]);
      assert.equal(socket.id, id);
    });

    test("a_client_that_does_not_ping_is_closed", async () => {
      const socket = manager(server, transports, { reconnection: false }).socket("/");
      await connected(socket, mode);
      const { engine } = socket.io;
      const lost = next(socket, "disconnect");
      // Nor does it close by itself, because no pong comes.
      engine.off("heartbeat");
      for (const timer of [engine.pingIntervalTimer, engine.pingTimeoutTimer]) clearTimeout(timer);
      assert.match((await lost)[0], /^transport (close|error)$/);
    });

    test("the_client_reconnects_after_a_restart_and_sends_its_buffer", async () => {
      const own = await startServer("CONFORMANCE_BIN", { env: ALLOWED });
      try {
        const socket = manager(own, transports).socket("/");
        await connected(socket, mode);
        const { id } = socket;
        const lost = next(socket, "disconnect");
        await own.kill();
        assert.match((await lost)[0], /^transport (close|error)$/);
        const ack = acknowledged(socket, "message-with-ack", "kept");
        const back = next(socket, "connect", 15_000);
        await own.start();
        await back;
        assert.notEqual(socket.id, id);
        assert.deepEqual(await ack, ["kept"]);
      } finally {
        await own.kill();
      }
    });

    test("raw_messages_are_echoed", async () => {
      const engine = engineClient(server().url, { path: "/engine.io/", transports });
      clients.push(engine);
      const upgrade = mode === "upgrade" ? next(engine, "upgrade") : undefined;
      await next(engine, "open");
      await upgrade;
      assert.equal(engine.transport.name, mode === "upgrade" ? "websocket" : mode);
      const sent = ["text ✓", Buffer.from([0, 255, 10]), "\u{1f600}", Buffer.alloc(1), "b4 is no prefix here"];
      const back = collect(engine, "message", sent.length);
      for (const data of sent) engine.send(data);
      assert.deepEqual((await back).map(([data]) => data), sent);
      const closed = next(engine, "close");
      engine.close();
      assert.equal((await closed)[0], "forced close");
    });

    test("base64_is_read_and_written_by_a_client_that_forces_it", async () => {
      const socket = manager(server, transports, { forceBase64: true }).socket("/");
      await connected(socket, mode);
      assert.deepEqual(await acknowledged(socket, "message-with-ack", ...BINARY), BINARY);
    });
  });

  describe(`2.x and the probe over ${mode}`, () => {
    const server = shared("PROBE_BIN", ALLOWED);

    test("the_client_acknowledges_to_the_server", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      socket.on("question", (value, answer) => answer({ to: value }));
      assert.deepEqual(await acknowledged(socket, "call", "question", [6, 7]), [{ answer: { to: [6, 7] } }]);
      socket.on("bytes", (value, answer) => answer(Buffer.concat([value, Buffer.from([9])])));
      assert.deepEqual(
        await acknowledged(socket, "call", "bytes", Buffer.from([8])),
        [{ answer: Buffer.from([8, 9]) }],
      );
    });

    test("a_kicked_socket_gets_the_disconnect_and_may_return", async () => {
      const shared = manager(server, transports);
      const socket = shared.socket("/");
      const guarded = shared.socket("/guarded", { query: { token: "secret", name: "Ada" } });
      await Promise.all([connected(socket, mode), connected(guarded, mode)]);
      const lost = next(socket, "disconnect");
      socket.emit("kick");
      assert.equal((await lost)[0], "io server disconnect");
      assert.deepEqual(await acknowledged(guarded, "whoami"), ["Ada"]);
    });

    test("a_guarded_namespace_refuses_with_its_data", async () => {
      const shared = manager(server, transports);
      const main = shared.socket("/");
      const wrong = shared.socket("/guarded", { query: { token: "wrong" } });
      const refusal = next(wrong, "error");
      wrong.connect();
      await connected(main, mode);
      assert.deepEqual(await refusal, [{ code: 401 }]);
      assert.equal(wrong.connected, false);
    });
  });
}

describe("a server that does not let them in", () => {
  const server = shared("CONFORMANCE_BIN", { ALLOW_EIO3: "" });

  for (const [mode, transports] of Object.entries(MODES)) {
    test(`refuses_a_client_of_the_2.x_line_over_${mode}`, async () => {
      const socket = manager(server, transports, { reconnection: false }).socket("/");
      const refusal = next(socket, "connect_error");
      socket.connect();
      await refusal;
      assert.equal(socket.connected, false);
    });
  }
});

/** A manager with a session of its own; `server` is a server or gives one. */
function manager(server, transports, options) {
  const { url } = typeof server === "function" ? server() : server;
  const made = new Manager(url, {
    autoConnect: false,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    transports,
    ...options,
  });
  clients.push(made);
  return made;
}
