// The official Socket.IO client, and the Engine.IO client below it, against the example servers:
// over polling alone, over WebSocket alone, and with the upgrade from one to the other.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { NodeWebSocket, NodeXHR, Socket as EngineSocket } from "engine.io-client";
import { Manager } from "socket.io-client";
import { startServer, within } from "./server.mjs";
import { acknowledged, ARGUMENTS, collect, connected, MODES, next, opened, shared } from "./sockets.mjs";

const BINARY = [
  Buffer.from([0, 1, 2, 254, 255]),
  { deep: [{ first: Buffer.from("one") }, Buffer.alloc(0)], plain: "text", _placeholder: "not one" },
  "between",
  Buffer.alloc(70_000, 7),
];
const clients = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

for (const [mode, transports] of Object.entries(MODES)) {
  describe(`conformance over ${mode}`, () => {
    const server = shared("CONFORMANCE_BIN");

    test("the_handshake_auth_reaches_the_server", async () => {
      const socket = manager(server, transports).socket("/", { auth: { token: "abc", n: [1] } });
      const auth = next(socket, "auth");
      await connected(socket, mode);
      assert.deepEqual(await auth, [{ token: "abc", n: [1] }]);
    });

    test("events_are_echoed_with_all_their_arguments", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      socket.emit("message", ...ARGUMENTS);
      assert.deepEqual(await next(socket, "message-back"), ARGUMENTS);
      socket.emit("message");
      assert.deepEqual(await next(socket, "message-back"), []);
    });

    test("nested_buffers_are_echoed", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      socket.emit("message", ...BINARY);
      assert.deepEqual(await next(socket, "message-back"), BINARY);
    });

    test("the_server_acknowledges_with_arguments_and_buffers", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      assert.deepEqual(await acknowledged(socket, "message-with-ack", ...ARGUMENTS), ARGUMENTS);
      assert.deepEqual(await acknowledged(socket, "message-with-ack", ...BINARY), BINARY);
      assert.deepEqual(await acknowledged(socket, "message-with-ack"), []);
    });

    test("namespaces_share_one_session", async () => {
      const shared = manager(server, transports);
      const main = shared.socket("/", { auth: { of: "main" } });
      const custom = shared.socket("/custom", { auth: { of: "custom" } });
      const auths = Promise.all([next(main, "auth"), next(custom, "auth")]);
      await Promise.all([connected(main, mode), connected(custom, mode)]);
      assert.deepEqual(await auths, [[{ of: "main" }], [{ of: "custom" }]]);
      assert.notEqual(main.id, custom.id);
      assert.equal(main.io.engine, custom.io.engine);
      custom.disconnect();
      assert.deepEqual(await acknowledged(main, "message-with-ack", "lives on"), ["lives on"]);
    });

    test("an_unknown_namespace_is_refused_and_the_others_live_on", async () => {
      const shared = manager(server, transports);
      const main = shared.socket("/");
      const unknown = shared.socket("/unknown");
      const refusal = next(unknown, "connect_error");
      unknown.connect();
      await connected(main, mode);
      const [error] = await refusal;
      assert.equal(error.message, "Invalid namespace");
      assert.equal(unknown.connected, false);
      assert.deepEqual(await acknowledged(main, "message-with-ack", 1), [1]);
    });

    test("an_idle_socket_lives_through_heartbeats", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const { id } = socket;
      for (let heartbeat = 0; heartbeat < 4; heartbeat += 1) await next(socket.io, "ping");
      assert.deepEqual(await acknowledged(socket, "message-with-ack", "alive"), ["alive"]);
      assert.equal(socket.id, id);
    });
  });

  describe(`load over ${mode}`, () => {
    const server = shared("LOAD_BIN");

    test("events_and_acknowledgements_keep_their_order", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const count = 300;
      const echoes = collect(socket, "echo", count);
      const acks = Promise.all(sequence(count).map((n) => acknowledged(socket, "ack", n)));
      for (const n of sequence(count)) socket.emit("echo", n, n % 10 === 0 ? Buffer.from([n % 256]) : "text");
      assert.deepEqual((await echoes).map(([n]) => n), sequence(count));
      assert.deepEqual((await acks).map(([n]) => n), sequence(count));
    });

    test("a_broadcast_reaches_everyone_and_a_room_its_members", async () => {
      const [ada, grace, linus] = await Promise.all([1, 2, 3].map(async () => {
        const socket = manager(server, transports).socket("/");
        await connected(socket, mode);
        return socket;
      }));
      const everyone = [ada, grace, linus].map((socket) => next(socket, "bcast"));
      ada.emit("bcast", "to all", Buffer.from([1]));
      for (const args of await Promise.all(everyone)) assert.deepEqual(args, ["to all", Buffer.from([1])]);

      await Promise.all([ada, grace].map((socket) => acknowledged(socket, "join", `room over ${mode}`)));
      const outsider = [];
      linus.on("rcast", (...args) => outsider.push(args));
      const members = [ada, grace].map((socket) => next(socket, "rcast"));
      linus.emit("rcast", `room over ${mode}`, "to members", 2);
      for (const args of await Promise.all(members)) assert.deepEqual(args, ["to members", 2]);
      // Anything that was sent to the outsider with the rest is ahead of this broadcast.
      const fence = next(linus, "bcast");
      linus.emit("bcast");
      await fence;
      assert.deepEqual(outsider, []);
    });

    test("a_message_below_the_limit_passes", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const long = "ä".repeat(400_000);
      const [back] = await acknowledged(socket, "ack", long);
      assert.ok(back === long, `${back?.length} characters came back`);
    });

    test("the_client_reconnects_after_a_restart_and_sends_its_buffer", async () => {
      const own = await startServer("LOAD_BIN");
      try {
        const socket = manager(own, transports).socket("/");
        await connected(socket, mode);
        const { id } = socket;
        const lost = next(socket, "disconnect");
        await own.kill();
        const [reason] = await lost;
        assert.match(reason, /^transport (close|error)$/);
        const echoes = collect(socket, "echo", 21);
        for (const n of sequence(20)) socket.emit("echo", n);
        const ack = acknowledged(socket, "ack", "kept as well");
        const back = next(socket, "connect", 15_000);
        await own.start();
        await back;
        assert.notEqual(socket.id, id);
        assert.deepEqual(await ack, ["kept as well"]);
        socket.emit("echo", 20);
        assert.deepEqual((await echoes).map(([n]) => n), sequence(21));
      } finally {
        await own.kill();
      }
    });
  });

  describe(`probe over ${mode}`, () => {
    const server = shared("PROBE_BIN");

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

    test("the_server_gives_up_on_an_acknowledgement_that_never_comes", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const asked = next(socket, "question");
      const outcome = acknowledged(socket, "call", "question", 1);
      await asked;
      assert.deepEqual(await outcome, [{ error: "timeout" }]);
    });

    test("a_kicked_socket_gets_the_disconnect_and_does_not_reconnect", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const lost = next(socket, "disconnect");
      socket.emit("kick");
      assert.equal((await lost)[0], "io server disconnect");
      assert.equal(socket.active, false);
      const again = next(socket, "connect");
      socket.connect();
      await again;
      assert.deepEqual(await acknowledged(socket, "binary", null), [{ data: Buffer.from([1, 2, 3]) }]);
    });

    test("a_panic_is_an_error_reply_and_the_socket_lives_on", async () => {
      const socket = manager(server, transports).socket("/");
      await connected(socket, mode);
      const { id } = socket;
      const [reply] = await acknowledged(socket, "boom");
      assert.equal(typeof reply.error, "string");
      assert.deepEqual(await acknowledged(socket, "binary", 0), [{ data: Buffer.from([1, 2, 3]) }]);
      assert.equal(socket.id, id);
    });

    test("an_event_is_sent_again_until_it_is_acknowledged", async () => {
      const socket = manager(server, transports).socket("/", { retries: 3, ackTimeout: 300 });
      await connected(socket, mode);
      const saves = ["a", "b"].map((text) => socket.emitWithAck("save", text));
      assert.deepEqual(await within(Promise.all(saves), "the second attempts"), [2, 2]);
      // Any acknowledgement ends the retries, that of a failure too.
      const failed = await within(socket.emitWithAck("boom"), "an error reply");
      assert.equal(typeof failed.error, "string");
      const never = socket.emitWithAck("save", "never");
      await within(assert.rejects(never, /operation has timed out/), "the last attempt");
      assert.equal(await within(socket.emitWithAck("attempts", "never"), "a count"), 4);
    });

    test("a_guarded_namespace_refuses_with_a_cause", async () => {
      const socket = manager(server, transports).socket("/guarded", { auth: { token: "wrong" } });
      const refusal = next(socket, "connect_error");
      socket.connect();
      const [error] = await refusal;
      assert.equal(error.message, "not authorized");
      assert.deepEqual(error.data, { code: 401 });
      assert.equal(socket.active, false);
      socket.auth = { token: "secret", name: "Ada" };
      await connected(socket, mode);
      assert.deepEqual(await acknowledged(socket, "whoami"), ["Ada"]);
    });
  });
}

describe("the upgrade", () => {
  const server = shared("LOAD_BIN");

  test("loses_and_reorders_nothing_while_events_flow", async () => {
    for (const binary of [false, true]) {
      // The probe waits until events have flowed over polling for a while.
      let probe;
      const allowed = new Promise((resolve) => { probe = resolve; });
      class LateWebSocket extends NodeWebSocket {
        doOpen() {
          allowed.then(() => super.doOpen());
        }
      }
      const socket = manager(server, [NodeXHR, LateWebSocket]).socket("/");
      const echoed = [];
      const acked = [];
      socket.on("echo", (n, payload) => echoed.push([n, payload]));
      await opened(socket);
      assert.equal(socket.io.engine.transport.name, "polling");
      const upgrade = next(socket.io.engine, "upgrade");
      let upgraded = false;
      upgrade.then(() => { upgraded = true; }, () => {});
      let sent = 0;
      const send = () => {
        const n = sent;
        sent += 1;
        socket.emit("echo", n, binary ? Buffer.from([n & 255]) : `event ${n}`);
        socket.emit("ack", n, () => acked.push(n));
      };
      // A few in each turn of the event loop, from before the upgrade until well after it.
      const deadline = Date.now() + 15_000;
      let atUpgrade = 0;
      while (!upgraded || sent < atUpgrade + 200) {
        assert.ok(Date.now() < deadline, `${sent} sent, ${acked.length} acknowledged, upgraded: ${upgraded}`);
        if (acked.length >= 200) probe();
        if (upgraded) atUpgrade ||= sent;
        if (sent - acked.length < 400) for (let n = 0; n < 5; n += 1) send();
        await new Promise((resolve) => { setImmediate(resolve); });
      }
      await upgrade;
      assert.equal(socket.io.engine.transport.name, "websocket");
      assert.deepEqual(await acknowledged(socket, "ack", "last"), ["last"]);
      if (echoed.length < sent) await collect(socket, "echo", sent - echoed.length);
      assert.deepEqual(echoed.map(([n]) => n), sequence(sent));
      assert.deepEqual(acked, sequence(sent));
      const payload = (n) => (binary ? Buffer.from([n & 255]) : `event ${n}`);
      for (const [n, back] of echoed) assert.deepEqual(back, payload(n));
    }
  });

  test("many_clients_upgrade_at_once", async () => {
    const sockets = sequence(20).map(() => manager(server, MODES.upgrade).socket("/"));
    await Promise.all(sockets.map((socket) => connected(socket, "upgrade")));
    const everyone = sockets.map((socket) => next(socket, "bcast"));
    sockets[0].emit("bcast", "hello");
    for (const args of await Promise.all(everyone)) assert.deepEqual(args, ["hello"]);
  });
});

describe("several workers", () => {
  const server = shared("LOAD_BIN", { WORKERS: "2" });

  for (const [mode, transports] of Object.entries(MODES)) {
    test(`a_session_over_${mode}_is_found_whichever_worker_is_asked`, async () => {
      const sockets = sequence(6).map(() => manager(server, transports).socket("/"));
      await Promise.all(sockets.map((socket) => connected(socket, mode)));
      await Promise.all(sockets.flatMap((socket) => sequence(20).map(async (n) => {
        assert.deepEqual(await acknowledged(socket, "ack", n), [n]);
      })));
      const everyone = sockets.map((socket) => next(socket, "bcast"));
      sockets[0].emit("bcast", mode);
      for (const args of await Promise.all(everyone)) assert.deepEqual(args, [mode]);
    });
  }
});

describe("engine.io-client", () => {
  const server = shared("CONFORMANCE_BIN");

  for (const [mode, transports] of Object.entries(MODES)) {
    test(`raw_messages_are_echoed_over_${mode}`, async () => {
      const engine = new EngineSocket(server().url, { path: "/engine.io/", transports });
      clients.push(engine);
      const upgrade = mode === "upgrade" ? next(engine, "upgrade") : undefined;
      await next(engine, "open");
      await upgrade;
      assert.equal(engine.transport.name, mode === "upgrade" ? "websocket" : mode);
      const sent = ["text ✓", "", Buffer.from([0, 255, 10]), Buffer.alloc(0), "b is no prefix here"];
      const back = collect(engine, "message", sent.length);
      for (const data of sent) engine.send(data);
      // The client's parser has no data, rather than an empty text, for an empty message.
      assert.deepEqual((await back).map(([data]) => data ?? ""), sent);
      const closed = next(engine, "close");
      engine.close();
      assert.equal((await closed)[0], "forced close");
    });
  }
});

/** A manager with a session of its own; `server` is a server or gives one. */
function manager(server, transports) {
  const { url } = typeof server === "function" ? server() : server;
  const made = new Manager(url, {
    autoConnect: false,
    forceNew: true,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    transports,
  });
  made.close = made._close;
  clients.push(made);
  return made;
}

function sequence(count) {
  return Array.from({ length: count }, (_, n) => n);
}
