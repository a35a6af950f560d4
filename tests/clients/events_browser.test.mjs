// EventSource in Chromium: events, a connection that is cut, and the events that were missed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchBrowser } from "./browser.mjs";
import { Proxy } from "./matrix/proxy.mjs";
import { startServer } from "./server.mjs";

const WAIT_MS = 15_000;
let server;
let proxy;
let browser;
let page;

before(async () => {
  server = await startServer("MATRIX_BIN", { env: { SERVER: process.env.SERVER ?? "direct", RECOVERY: "1" } });
  proxy = await Proxy.start(server.port);
  browser = await launchBrowser();
  page = await browser.newPage();
  page.setDefaultTimeout(WAIT_MS);
  // A page of the server's own origin.
  await page.route("**/page", (route) => route.fulfill({ contentType: "text/html", body: "<title>events</title>" }));
  await page.goto(`${proxy.url}/page`);
});
after(async () => {
  await browser?.close();
  proxy?.close();
  await server?.kill();
});

const emit = (event) => fetch(`${server.url}/emit/${event}`, { method: "POST" });

/** Waits until the page has received as many events, and returns them. */
async function received(count) {
  await page.waitForFunction((least) => globalThis.received.length >= least, count);
  return page.evaluate(() => globalThis.received);
}

test("EventSource gets events, reconnects, and gets what it missed", async () => {
  await page.evaluate(() => {
    globalThis.received = [];
    globalThis.source = new EventSource("/socket.io/events?room=public&value=a");
    for (const name of ["connect", "hello", "news", "missed"]) {
      globalThis.source.addEventListener(name, ({ type, data }) => globalThis.received.push([type, ...JSON.parse(data)]));
    }
  });
  const [connect, hello] = await received(2);
  assert.deepEqual([connect[0], typeof connect[1]], ["connect", "string"]);
  assert.deepEqual(hello, ["hello", { auth: {}, value: "a" }]);
  await emit("news");
  assert.deepEqual((await received(3))[2], ["news", "missed"]);

  proxy.hold();
  proxy.cut();
  await emit("missed");
  proxy.release();
  const back = (await received(6)).slice(3);
  assert.deepEqual(back.map(([type]) => type).sort(), ["connect", "hello", "missed"]);
  assert.deepEqual(back.find(([type]) => type === "connect"), connect, "the socket is recovered");
  await page.evaluate(() => globalThis.source.close());
});

test("EventSource does not reconnect after a refusal", async () => {
  const state = await page.evaluate(() => new Promise((resolve) => {
    const source = new EventSource("/socket.io/events?room=secret");
    source.onerror = () => resolve(source.readyState);
  }));
  assert.equal(state, 2, "closed");
});
