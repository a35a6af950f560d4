// The `ws` package as a bare Engine.IO client against `/engine.io/` of conformance: what a
// WebSocket peer may do with frames, and what the server must say to it.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import WebSocket from "ws";
import { startServer, within } from "./server.mjs";

const MAX_PAYLOAD = 1_000_000;

let server;
const peers = [];

before(async () => { server = await startServer("CONFORMANCE_BIN"); });
after(() => server?.kill());
afterEach(() => {
  for (const peer of peers.splice(0)) peer.ws.terminate();
});

describe("messages", () => {
  test("the_handshake_is_the_first_message", async () => {
    const peer = await connect();
    const { sid, ...told } = peer.handshake;
    assert.equal(typeof sid, "string");
    assert.deepEqual(told, { upgrades: [], pingInterval: 300, pingTimeout: 200, maxPayload: MAX_PAYLOAD });
  });

  test("text_and_bytes_are_echoed", async () => {
    const peer = await connect();
    for (const sent of ["4hello", "4€ \u{1f600}", "4", Buffer.from([0, 1, 255]), Buffer.alloc(0)]) {
      peer.ws.send(sent);
      assert.deepEqual(await peer.message(), sent);
    }
  });

  test("messages_sent_at_once_keep_their_order", async () => {
    const peer = await connect();
    for (let n = 0; n < 200; n += 1) peer.ws.send(n % 3 ? `4${n}` : Buffer.from([n]));
    for (let n = 0; n < 200; n += 1) assert.deepEqual(await peer.message(), n % 3 ? `4${n}` : Buffer.from([n]));
  });

  test("engine_heartbeats_are_sent_and_a_silent_peer_is_closed", async () => {
    const peer = await connect({ heartbeats: false });
    const pings = [];
    peer.ws.on("message", (data) => { if (String(data) === "2") pings.push(data); });
    const { code } = await peer.closed;
    assert.equal(pings.length, 1);
    assert.notEqual(code, 1009);
  });
});

describe("fragments", () => {
  test("of_text_are_one_message", async () => {
    const peer = await connect();
    peer.ws.send("4fr", { fin: false });
    peer.ws.send("", { fin: false });
    peer.ws.send("agm", { fin: false });
    peer.ws.send("ent", { fin: true });
    assert.equal(await peer.message(), "4fragment");
  });

  test("of_bytes_are_one_message", async () => {
    const peer = await connect();
    peer.ws.send(Buffer.from([1]), { fin: false });
    peer.ws.send(Buffer.from([2, 3]), { fin: true });
    assert.deepEqual(await peer.message(), Buffer.from([1, 2, 3]));
  });

  test("may_split_a_character", async () => {
    const peer = await connect();
    const bytes = Buffer.from("4€");
    peer.ws.send(bytes.subarray(0, 2), { fin: false, binary: false });
    peer.ws.send(bytes.subarray(2), { fin: true, binary: false });
    assert.equal(await peer.message(), "4€");
  });

  test("may_have_a_ping_between_them", async () => {
    const peer = await connect();
    peer.ws.send("4before ", { fin: false });
    const pong = peer.next("pong");
    peer.ws.ping("between");
    assert.equal(String((await pong)[0]), "between");
    peer.ws.send("after", { fin: true });
    assert.equal(await peer.message(), "4before after");
  });

  test("count_together_towards_the_limit", async () => {
    const peer = await connect();
    peer.ws.send(Buffer.alloc(MAX_PAYLOAD - 1), { fin: false });
    peer.ws.send(Buffer.alloc(1), { fin: true });
    assert.equal((await peer.message()).length, MAX_PAYLOAD);
    peer.ws.send(Buffer.alloc(MAX_PAYLOAD), { fin: false });
    peer.ws.send(Buffer.alloc(1), { fin: true });
    assert.equal((await peer.closed).code, 1009);
  });
});

describe("control frames", () => {
  test("a_ping_is_answered_with_its_payload", async () => {
    const peer = await connect();
    for (const payload of ["", "x".repeat(125)]) {
      const pong = peer.next("pong");
      peer.ws.ping(payload);
      assert.equal(String((await pong)[0]), payload);
    }
  });

  test("an_unsolicited_pong_is_ignored", async () => {
    const peer = await connect();
    peer.ws.pong("unasked");
    peer.ws.send("4still here");
    assert.equal(await peer.message(), "4still here");
  });

  test("a_close_is_answered", async () => {
    const peer = await connect();
    peer.ws.close(1000, "done");
    assert.equal((await peer.closed).code, 1000);
  });
});

describe("limits", () => {
  test("the_longest_message_passes_and_the_next_is_too_big", async () => {
    for (const longest of [`4${"x".repeat(MAX_PAYLOAD - 1)}`, Buffer.alloc(MAX_PAYLOAD, 9)]) {
      const peer = await connect();
      peer.ws.send(longest);
      const back = await peer.message();
      assert.ok(typeof longest === "string" ? back === longest : longest.equals(back));
      peer.ws.send(typeof longest === "string" ? `${longest}x` : Buffer.alloc(MAX_PAYLOAD + 1));
      assert.equal((await peer.closed).code, 1009);
    }
  });

  test("a_peer_that_breaks_the_rules_is_closed_and_the_server_lives_on", async () => {
    const breaches = {
      "text that is no UTF-8": (ws) => ws.send(Buffer.from([0x34, 0xff, 0xfe]), { binary: false }),
      "a frame without a mask": (ws) => ws.send("4bare", { mask: false }),
      "an unknown packet type": (ws) => ws.send("9"),
      "an empty text": (ws) => ws.send(""),
    };
    for (const [name, breach] of Object.entries(breaches)) {
      const peer = await connect();
      breach(peer.ws);
      await within(peer.closed, `the close after ${name}`);
    }
    const peer = await connect();
    peer.ws.send("4fine");
    assert.equal(await peer.message(), "4fine");
  });
});

describe("permessage-deflate", () => {
  test("is_offered_and_not_taken", async () => {
    const peer = await connect({ options: { perMessageDeflate: true } });
    assert.equal(peer.ws.extensions, "");
    assert.equal(peer.response.headers["sec-websocket-extensions"], undefined);
    peer.ws.send(`4${"a".repeat(5_000)}`);
    assert.equal(await peer.message(), `4${"a".repeat(5_000)}`);
  });
});

/** A peer behind its handshake. It answers heartbeats, as it must, unless told not to. */
async function connect({ heartbeats = true, options = {} } = {}) {
  const url = `${server.url.replace("http", "ws")}/engine.io/?EIO=4&transport=websocket`;
  const ws = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0, ...options });
  const inbox = [];
  let wake = () => {};
  const peer = { ws };
  peers.push(peer);
  peer.next = (event) => within(new Promise((resolve) => ws.once(event, (...args) => resolve(args))), `"${event}"`);
  const closed = new Promise((resolve) => ws.once("close", (code, reason) => resolve({ code, reason: String(reason) })));
  peer.message = async () => {
    while (!inbox.length) {
      const arrival = new Promise((resolve) => { wake = resolve; });
      const end = closed.then(({ code }) => { throw new Error(`closed with ${code} while a message was awaited`); });
      await within(Promise.race([arrival, end]), "a message");
    }
    return inbox.shift();
  };
  // A server that closes while the peer still sends may reset the connection as well.
  ws.on("error", () => {});
  ws.on("upgrade", (response) => { peer.response = response; });
  ws.on("message", (data, binary) => {
    if (!binary && String(data) === "2") {
      if (heartbeats) ws.send("3");
      return;
    }
    inbox.push(binary ? data : String(data));
    wake();
  });
  const first = await peer.message();
  assert.equal(first[0], "0");
  peer.handshake = JSON.parse(first.slice(1));
  Object.defineProperty(peer, "closed", { get: () => within(closed, "the close") });
  return peer;
}
