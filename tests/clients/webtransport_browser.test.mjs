// The official client in Chromium over WebTransport: a server whose certificate the page pins by its
// hash, opened directly and by the upgrade from polling.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join as joinPath } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { launchBrowser, newContext } from "./browser.mjs";
import { startServer } from "./server.mjs";

const WAIT_MS = 15_000;
const PING_MS = 400;
const require = createRequire(import.meta.url);
const client = joinPath(dirname(require.resolve("socket.io-client/package.json")), "dist/socket.io.min.js");
let browser;
let server;
let page;
let folder;

before(async () => {
  folder = await mkdtemp(joinPath(tmpdir(), "webtransport-"));
  browser = await launchBrowser({ quic: true });
});
after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true });
});

/** Starts a server, and opens a page of it. */
async function start(env = {}) {
  server = await startServer("WEBTRANSPORT_BIN", { env: { ...env, IDENTITY: folder } });
  page = await openPage();
}

/** Opens a page with the client and the hash of the certificate. */
async function openPage() {
  const opened = await browser.newPage();
  opened.setDefaultTimeout(WAIT_MS);
  await opened.goto(`${server.url}/page`);
  await opened.addScriptTag({ content: await readFile(client, "utf8") });
  const hash = await (await fetch(`${server.url}/certificate`)).text();
  await opened.evaluate(([wait, known]) => {
    /** Connects; returns the socket. Without `hash` the certificate is not known. */
    globalThis.open = (transports, { hash = known, ...options } = {}) => {
      const value = Uint8Array.from(hash.match(/../g), (byte) => Number.parseInt(byte, 16));
      const webtransport = { serverCertificateHashes: [{ algorithm: "sha-256", value }] };
      return globalThis.io({ forceNew: true, transports, transportOptions: { webtransport }, ...options });
    };
    /** Awaits an event, and returns its arguments. */
    globalThis.once = (emitter, event) => new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`no ${event}`)), wait);
      emitter.once(event, (...args) => resolve(args));
    });
    globalThis.connected = async (...args) => {
      const socket = globalThis.open(...args);
      await globalThis.once(socket, "connect");
      return socket;
    };
    globalThis.transportOf = (socket) => socket.io.engine.transport.name;
    globalThis.upgraded = async (socket) => {
      while (globalThis.transportOf(socket) === "polling") {
        await globalThis.once(socket.io.engine, "upgrade");
      }
      return globalThis.transportOf(socket);
    };
  }, [WAIT_MS, hash]);
  return opened;
}

afterEach(async () => {
  await page?.close();
  await server?.kill();
});

for (const transports of [["webtransport"], ["polling", "webtransport"], ["polling", "websocket", "webtransport"]]) {
  describe(transports.join(", "), () => {
    test("events_acknowledgements_and_binary_pass_in_both_directions", async () => {
      await start();
      const result = await page.evaluate(async (names) => {
        const socket = globalThis.open(names, { auth: { token: "a" } });
        const [auth] = await globalThis.once(socket, "auth");
        const numbers = [];
        socket.on("number", (n) => numbers.push(n));
        // Before, during and after the upgrade.
        const early = Array.from({ length: 50 }, (_, n) => socket.emitWithAck("echo", n));
        socket.emit("count", 500);
        const transport = await globalThis.upgraded(socket);
        const late = Array.from({ length: 50 }, (_, n) => socket.emitWithAck("echo", n));
        const echoed = await Promise.all([...early, ...late]);
        await socket.emitWithAck("count", 500);
        socket.on("question", (value, answer) => answer({ question: value }));
        const bytes = async (data) => {
          const event = globalThis.once(socket, "bytes");
          const back = new Uint8Array(await socket.emitWithAck("bytes", data));
          const [emitted] = await event;
          return [...back].join() === [...new Uint8Array(emitted)].join() ? [...back] : "differs";
        };
        const none = globalThis.once(socket, "bytes");
        socket.emit("empty");
        const empty = (await none)[0].byteLength;
        const planes = Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x10000 + 0x3b1));
        const refused = socket.io.socket("/private");
        const [error] = await globalThis.once(refused, "connect_error");
        return {
          auth,
          transport,
          seen: await socket.emitWithAck("transport"),
          echoed,
          numbers,
          answer: await socket.emitWithAck("ask", [1, "ä"]),
          bytes: await bytes(new Uint8Array([0, 128, 255])),
          empty,
          length: (await bytes(new Uint8Array(1_000_000).fill(7))).length,
          text: (await socket.emitWithAck("echo", "ö".repeat(500_000))).length,
          planes: await socket.emitWithAck("echo", planes) + "" === planes + "",
          error: error.message,
          connected: socket.connected,
        };
      }, transports);
      const numbers = Array.from({ length: 50 }, (_, n) => n);
      const counted = Array.from({ length: 500 }, (_, n) => n);
      assert.deepEqual(result, {
        auth: { token: "a" },
        transport: "webtransport",
        seen: "webtransport",
        echoed: [...numbers, ...numbers],
        numbers: [...counted, ...counted],
        answer: { question: [1, "ä"] },
        bytes: [0, 128, 255],
        empty: 0,
        length: 1_000_000,
        text: 500_000,
        planes: true,
        error: "not for you",
        connected: true,
      });
    });

    test("either_side_disconnects", async () => {
      await start();
      const result = await page.evaluate(async (names) => {
        const watcher = await globalThis.connected(["polling"]);
        const kicked = await globalThis.connected(names);
        await globalThis.upgraded(kicked);
        const left = globalThis.once(watcher, "left");
        const bye = globalThis.once(kicked, "bye");
        const gone = globalThis.once(kicked, "disconnect");
        const closed = globalThis.once(kicked.io.engine, "close");
        kicked.emit("kick");
        const byServer = [(await bye)[0].length, (await gone)[0], (await closed)[0], await left];

        const leaver = await globalThis.connected(names);
        await globalThis.upgraded(leaver);
        const next = globalThis.once(watcher, "left");
        leaver.disconnect();
        return { byServer, byClient: await next };
      }, transports);
      assert.deepEqual(result.byServer.slice(0, 2), [300_000, "io server disconnect"]);
      assert.deepEqual(result.byServer[3], ["webtransport", "server namespace disconnect"]);
      assert.deepEqual(result.byClient, ["webtransport", "client namespace disconnect"]);
    });

    test("client_reconnects_after_the_server_has_ended", async () => {
      await start({ RECOVERY: "1" });
      const port = server.port;
      await page.evaluate(async (names) => {
        globalThis.socket = await globalThis.connected(names, { reconnectionDelay: 50, reconnectionDelayMax: 100 });
        await globalThis.upgraded(globalThis.socket);
        globalThis.gone = globalThis.once(globalThis.socket, "disconnect");
      }, transports);
      await server.kill();
      const [reason] = await page.evaluate(() => globalThis.gone);
      assert.ok(["transport close", "transport error"].includes(reason), reason);
      server = await startServer("WEBTRANSPORT_BIN", { port, env: { RECOVERY: "1", IDENTITY: folder } });
      const transport = await page.evaluate(async () => {
        const { socket } = globalThis;
        if (!socket.connected) await globalThis.once(socket, "connect");
        return globalThis.upgraded(socket);
      });
      assert.equal(transport, "webtransport");
    });
  });
}

test("heartbeat_keeps_a_session_and_ends_a_silent_one", async () => {
  await start({ PING: String(PING_MS) });
  const other = await openPage();
  await page.evaluate(async () => {
    globalThis.watcher = await globalThis.connected(["polling"]);
    globalThis.left = globalThis.once(globalThis.watcher, "left");
  });
  const isConnected = await other.evaluate(async () => {
    globalThis.socket = await globalThis.connected(["webtransport"], { reconnection: false });
    for (let n = 0; n < 4; n += 1) await globalThis.once(globalThis.socket.io.engine, "ping");
    return globalThis.socket.connected;
  });
  assert.equal(isConnected, true);
  const gone = other.evaluate(async (ping) => {
    // The page does nothing for a while, and so answers no ping.
    const until = performance.now() + 5 * ping;
    while (performance.now() < until);
    if (globalThis.socket.connected) await globalThis.once(globalThis.socket, "disconnect");
  }, PING_MS);
  assert.deepEqual(await page.evaluate(() => globalThis.left), ["webtransport", "ping timeout"]);
  await gone;
  await other.close();
});

test("client_without_the_hash_uses_another_transport", async () => {
  await start();
  const result = await page.evaluate(async () => {
    const hash = "00".repeat(32);
    const falls = await globalThis.connected(["polling", "websocket", "webtransport"], { hash });
    const transport = await globalThis.upgraded(falls);
    const alone = globalThis.open(["webtransport"], { hash, reconnection: false });
    const [error] = await globalThis.once(alone, "connect_error");
    return { transport, echoed: await falls.emitWithAck("echo", 1), error: error.message };
  });
  assert.deepEqual(result, { transport: "websocket", echoed: 1, error: "webtransport error" });
});

test("large_message_above_the_limit_closes_the_session", async () => {
  await start();
  const result = await page.evaluate(async () => {
    const watcher = await globalThis.connected(["polling"]);
    const socket = await globalThis.connected(["webtransport"], { reconnection: false });
    const left = globalThis.once(watcher, "left");
    const gone = globalThis.once(socket, "disconnect");
    socket.emit("echo", "x".repeat(2_000_000));
    return { left: await left, gone: (await gone)[0] };
  });
  assert.deepEqual(result.left, ["webtransport", "message too large"]);
  assert.match(result.gone, /^transport (close|error)$/);
});

test("client_of_a_closed_page_is_noticed", async () => {
  await start({ PING: String(PING_MS) });
  const other = await openPage();
  await page.evaluate(async () => {
    globalThis.watcher = await globalThis.connected(["polling"]);
    globalThis.left = globalThis.once(globalThis.watcher, "left");
  });
  await other.evaluate(() => globalThis.connected(["webtransport"]).then(() => true));
  await other.close();
  // Chromium may send nothing as it closes a page.
  const [transport, reason] = await page.evaluate(() => globalThis.left);
  assert.equal(transport, "webtransport");
  assert.match(reason, /^(transport close|ping timeout)$/);
});

test("page_of_the_example_upgrades_to_webtransport", async () => {
  server = await startServer("WEBTRANSPORT_EXAMPLE_BIN");
  const context = await newContext(browser);
  page = await context.newPage();
  await page.goto(server.url);
  await page.locator("#transport", { hasText: "webtransport" }).waitFor();
  assert.equal(await page.locator("#echo").innerText(), "hello");
  await context.close();
});
