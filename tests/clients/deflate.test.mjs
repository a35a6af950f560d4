// Clients that compress (permessage-deflate, RFC 7692): the `ws` package as a bare Engine.IO client,
// and the official client, against conformance with `DEFLATE` set.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Manager } from "socket.io-client";
import WebSocket from "ws";
import { startServer, within } from "./server.mjs";

const SIZES = [0, 1, 100, 1022, 1023, 1024, 5_000, 20_000, 200_000, 999_999];
const open = [];

afterEach(() => {
  for (const close of open.splice(0)) close();
});

for (const takeover of [false, true]) {
  describe(`compression ${takeover ? "with" : "without"} context takeover`, () => {
    let server;
    before(async () => {
      // No ping while a client compresses: the pong is awaited for 200 ms only.
      const env = { DEFLATE: takeover ? "takeover" : "1", PING_INTERVAL_MS: "25000" };
      server = await startServer("CONFORMANCE_BIN", { env });
    });
    after(() => server?.kill());

    test("ws_agrees_to_compress", async () => {
      const { ws } = await bare(server);
      assert.equal(ws.extensions, "permessage-deflate");
      const none = takeover ? {} : { server_no_context_takeover: true, client_no_context_takeover: true };
      assert.deepEqual(parameters(ws), none);
    });

    test("ws_without_an_offer_is_not_compressed", async () => {
      const peer = await bare(server, { perMessageDeflate: false });
      assert.equal(peer.ws.extensions, "");
      for (const size of SIZES) await peer.echoes(`4${"x".repeat(size)}`);
    });

    for (const options of [
      true,
      { threshold: 0 },
      { threshold: 0, serverNoContextTakeover: true },
      { threshold: 0, clientNoContextTakeover: true },
      { threshold: 0, serverMaxWindowBits: 9 },
      { threshold: 0, clientMaxWindowBits: 9 },
      { threshold: 0, serverMaxWindowBits: 12, clientMaxWindowBits: 10, zlibDeflateOptions: { level: 9 } },
    ]) {
      test(`ws_with_${JSON.stringify(options)}_is_echoed`, async () => {
        const peer = await bare(server, { perMessageDeflate: options });
        assert.equal(peer.ws.extensions, "permessage-deflate");
        const bits = options.serverMaxWindowBits;
        if (bits) assert.equal(parameters(peer.ws).server_max_window_bits, bits);
        for (const size of SIZES) {
          await peer.echoes(`4${words(size)}`);
          await peer.echoes(Buffer.from(words(size)));
        }
        await peer.echoes(`4${"é€\u{1f600}".repeat(5_000)}`);
      });
    }

    test("a_window_that_the_server_has_not_is_no_compression", async () => {
      const peer = await bare(server, { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 8 } });
      assert.equal(peer.ws.extensions, "");
      await peer.echoes(`4${words(5_000)}`);
    });

    test("compressed_fragments_are_one_message", async () => {
      const peer = await bare(server, { perMessageDeflate: { threshold: 0 } });
      const text = words(10_000);
      peer.ws.send(`4${text}`, { fin: false });
      peer.ws.ping("between");
      peer.ws.send(text, { fin: false });
      peer.ws.send(text, { fin: true });
      assert.equal(await peer.message(), `4${text}${text}${text}`);
    });

    test("the_answer_is_smaller_than_its_text", async () => {
      const peer = await bare(server);
      const before = peer.ws._socket.bytesRead;
      await peer.echoes(`4${words(200_000)}`);
      const read = peer.ws._socket.bytesRead - before;
      assert.ok(read < 100_000, `${read} bytes`);
    });

    test("a_message_above_max_payload_is_refused_by_its_inflated_size", async () => {
      const peer = await bare(server);
      const closed = new Promise((resolve) => peer.ws.once("close", resolve));
      peer.ws.send(`4${"x".repeat(1_000_000)}`);
      assert.equal(await within(closed, "the close"), 1009);
    });

    for (const transports of [["websocket"], ["polling", "websocket"]]) {
      test(`the_official_client_compresses_over_${transports.join("_and_")}`, async () => {
        const manager = new Manager(server.url, { transports, reconnection: false, perMessageDeflate: { threshold: 100 } });
        open.push(() => manager.engine?.close());
        const socket = manager.socket("/");
        await within(new Promise((resolve, reject) => {
          socket.once("connect", resolve);
          socket.once("connect_error", reject);
        }), "the connect");
        while (manager.engine.transport.name !== "websocket") {
          await within(new Promise((resolve) => manager.engine.once("upgrade", resolve)), "the upgrade");
        }
        assert.equal(manager.engine.transport.ws.extensions, "permessage-deflate");
        for (const size of SIZES.slice(0, -1)) {
          const sent = [words(size), Buffer.from(words(size)), { deep: [words(size)] }];
          const back = new Promise((resolve) => socket.once("message-back", (...args) => resolve(args)));
          socket.emit("message", ...sent);
          assert.deepEqual(await within(back, `an event of ${size}`), sent);
          const answer = new Promise((resolve) => socket.emit("message-with-ack", ...sent, (...args) => resolve(args)));
          assert.deepEqual(await within(answer, `an answer of ${size}`), sent);
        }
      });
    }
  });
}

/** Text of this length that compresses like a message. */
function words(length) {
  let text = "";
  for (let n = 0; text.length < length; n += 1) text += `{"name":"user ${n * n}","age":${n}},`;
  return text.slice(0, length);
}

/** The parameters that the server has agreed to. */
function parameters(ws) {
  const { params } = ws._extensions["permessage-deflate"];
  return Object.fromEntries(Object.entries(params));
}

/** Opens a bare Engine.IO session on a WebSocket. */
async function bare(server, options = {}) {
  const url = `${server.url.replace("http", "ws")}/engine.io/?EIO=4&transport=websocket`;
  const ws = new WebSocket(url, { maxPayload: 0, ...options });
  open.push(() => ws.terminate());
  const inbox = [];
  let wake = () => {};
  // A server that closes while the peer still sends may reset the connection as well.
  ws.on("error", () => {});
  ws.on("message", (data, binary) => {
    if (!binary && String(data) === "2") {
      ws.send("3");
      return;
    }
    inbox.push(binary ? data : String(data));
    wake();
  });
  const closed = new Promise((_, reject) => {
    ws.once("close", (code) => reject(new Error(`closed with ${code} while a message was awaited`)));
  });
  closed.catch(() => {});
  const message = async () => {
    while (!inbox.length) {
      const arrival = new Promise((resolve) => { wake = resolve; });
      await within(Promise.race([arrival, closed]), "a message");
    }
    return inbox.shift();
  };
  const echoes = async (sent) => {
    ws.send(sent);
    assert.deepEqual(await message(), sent);
  };
  assert.equal((await message())[0], "0");
  return { ws, message, echoes };
}
