// Clients whose parser is not JSON: the official client with `socket.io-msgpack-parser` against the server
// of the matrix, and with a parser of its own against the example `cbor`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, describe, test } from "node:test";
import * as cborg from "cborg";
import { io } from "socket.io-client";
import { startServer, within } from "./server.mjs";
import { MODES, next } from "./sockets.mjs";

const msgpack = createRequire(import.meta.url)("socket.io-msgpack-parser");
const open = [];

afterEach(() => {
  for (const socket of open.splice(0)) socket.disconnect();
});

/** Connects a client with one of the parsers; its first event, if it is told to, is `hello`. */
async function client(server, parser, options = {}) {
  const query = { ...options.query, ...(parser === "json" ? {} : { parser }) };
  const socket = io(`${server.url}${options.namespace ?? ""}`, {
    forceNew: true, reconnection: false, ...options, query, ...PARSERS[parser],
  });
  open.push(socket);
  const hello = options.greets === false ? undefined : next(socket, "hello");
  const connected = new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  // Refused, it says no hello.
  hello?.catch(() => {});
  await within(connected, "to connect");
  return { socket, hello: await hello };
}

/** Each packet is a map in CBOR. */
class CborEncoder {
  encode({ type, nsp, data, id }) {
    const packet = { type, nsp };
    if (data !== undefined) packet.data = data;
    if (id !== undefined) packet.id = id;
    return [Buffer.from(cborg.encode(packet))];
  }
}

class CborDecoder extends msgpack.Decoder {
  add(message) {
    this.emit("decoded", cborg.decode(new Uint8Array(message)));
  }
}

const PARSERS = {
  json: {},
  msgpack: { parser: msgpack },
  cbor: { parser: { Encoder: CborEncoder, Decoder: CborDecoder } },
};

const VALUES = [
  0, -1, 127, 128, 65_535, 65_536, 4_294_967_296, -32, -33, -32_769, 2 ** 53 - 1, -(2 ** 53) + 1, 1.5, -0.1, 5e-324,
  true, false, null, "", "é\u{1f600}\u0000", "x".repeat(70_000), [], [[1], []], {}, { a: { b: [null] } },
  Buffer.from([]), Buffer.from([0, 255]), { deep: [Buffer.alloc(70_000, 7)] }, new Date(1_700_000_000_123),
];

for (const [mode, transports] of Object.entries(MODES)) {
  describe(`msgpack over ${mode}`, () => {
    let server;
    before(async () => { server = await startServer("MATRIX_BIN"); });
    after(() => server?.kill());

    test("a_client_is_greeted_with_its_auth_and_query", async () => {
      const auth = { token: "abc", n: [1, null] };
      const { hello } = await client(server, "msgpack", { transports, auth, query: { value: "b c" } });
      assert.deepEqual(hello, [{ auth, value: "b c" }]);
    });

    test("values_are_echoed_as_they_were_sent", async () => {
      const { socket } = await client(server, "msgpack", { transports });
      for (const value of VALUES) {
        const echoed = next(socket, "echoed");
        socket.emit("echo", value, "end");
        assert.deepEqual(await echoed, [value, "end"]);
        const answer = new Promise((resolve) => { socket.emit("ack", value, (...args) => resolve(args)); });
        assert.deepEqual(await within(answer, "the acknowledgement"), [value]);
      }
      const echoed = next(socket, "echoed");
      socket.emit("echo", undefined, new Uint8Array([1, 2]).buffer, { u: undefined });
      const [nothing, buffer] = await echoed;
      assert.equal(nothing, undefined);
      assert.deepEqual(Buffer.from(buffer), Buffer.from([1, 2]));
    });

    test("the_server_calls_the_client", async () => {
      const { socket } = await client(server, "msgpack", { transports });
      socket.on("question", (text, data, answer) => answer({ text, data }));
      const called = await within(socket.emitWithAck("call", "question", "é", Buffer.from([9])), "the call");
      assert.deepEqual(called, { text: "é", data: Buffer.from([9]) });
    });

    test("a_refused_client_gets_message_and_data", async () => {
      await assert.rejects(
        client(server, "msgpack", { transports, namespace: "/private", auth: { token: "x" }, greets: false }),
        (error) => error.message === "not authorized" && error.data.code === 401,
      );
    });

    test("a_namespace_is_left_by_either_side", async () => {
      const { socket } = await client(server, "msgpack", { transports, namespace: "/chat" });
      const gone = next(socket, "disconnect");
      socket.emit("kick");
      assert.equal((await gone)[0], "io server disconnect");
      const { socket: other } = await client(server, "msgpack", { transports });
      const { id } = other;
      other.disconnect();
      const ended = async () => (await fetch(`${server.url}/reasons/${id}`)).text();
      while ((await ended()) === "") await new Promise(setImmediate);
      assert.match(await ended(), /client/);
    });

    test("clients_of_both_parsers_get_one_broadcast", async () => {
      const clients = await Promise.all(["json", "msgpack", "json", "msgpack"].map(
        (parser) => client(server, parser, { transports }),
      ));
      const news = clients.map(({ socket }) => next(socket, "news"));
      await fetch(`${server.url}/emit/news`, { method: "POST" });
      assert.deepEqual(await Promise.all(news), clients.map(() => ["missed"]));
    });

    test("a_client_with_the_wrong_parser_costs_itself_only", async () => {
      const { socket } = await client(server, "msgpack", { transports });
      const wrong = io(server.url, {
        forceNew: true, reconnection: false, transports, query: { parser: "msgpack" },
      });
      open.push(wrong);
      const closed = new Promise((resolve) => { wrong.io.engine.once("close", resolve); });
      await within(closed, "the end of the wrong client");
      assert.equal(await socket.emitWithAck("ack", 7), 7);
    });
  });
}

describe("recovery", () => {
  let server;
  before(async () => { server = await startServer("MATRIX_BIN", { env: { RECOVERY: "1" } }); });
  after(() => server?.kill());

  for (const [first, second] of [["msgpack", "msgpack"], ["json", "msgpack"], ["msgpack", "json"]]) {
    test(`a_client_with_${first}_comes_back_with_${second}`, async () => {
      const { socket } = await client(server, first, { transports: ["websocket"] });
      const news = next(socket, "news");
      await fetch(`${server.url}/emit/news`, { method: "POST" });
      const [, offset] = await news;
      assert.equal(typeof offset, "string");
      const { id, _pid: pid } = socket;
      const gone = next(socket, "disconnect");
      socket.io.engine.close();
      await gone;
      await fetch(`${server.url}/emit/missed`, { method: "POST" });
      const again = io(server.url, {
        forceNew: true, reconnection: false, transports: ["websocket"], auth: { pid, offset },
        query: second === "json" ? {} : { parser: second }, ...PARSERS[second],
      });
      open.push(again);
      const missed = next(again, "missed");
      await next(again, "connect");
      assert.equal(again.id, id);
      assert.equal((await missed)[0], "missed");
    });
  }
});

describe("the example cbor", () => {
  let server;
  before(async () => { server = await startServer("CBOR_BIN"); });
  after(() => server?.kill());

  for (const [mode, transports] of Object.entries(MODES)) {
    test(`values_are_shared_by_clients_of_both_parsers_over_${mode}`, async () => {
      const options = { transports, greets: false };
      const [cbor, json] = await Promise.all(["cbor", "json"].map((parser) => client(server, parser, options)));
      for (const value of [1, -1.5, "é", null, [true], { a: ["b"] }]) {
        assert.deepEqual(await cbor.socket.emitWithAck("echo", value), value);
        const shared = [cbor, json].map(({ socket }) => next(socket, "shared"));
        cbor.socket.emit("share", value);
        assert.deepEqual(await Promise.all(shared), [[value], [value]]);
      }
      const data = await cbor.socket.emitWithAck("echo", Buffer.from([0, 255]));
      assert.deepEqual(Buffer.from(data), Buffer.from([0, 255]));
    });
  }
});
