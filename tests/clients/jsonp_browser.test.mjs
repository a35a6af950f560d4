// socket.io-client 2.5 by JSONP in a real browser, from the server's own page and from a page of
// another origin.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join as joinPath } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { Pages } from "./browser.mjs";
import { startServer, within } from "./server.mjs";

const pages = new Pages();
const PAGE = "<!doctype html><title>page</title><script src=\"/client.js\"></script>";
let other;
let script;
let server;

before(async () => {
  const folder = dirname(createRequire(import.meta.url).resolve("socket.io-client-2/package.json"));
  script = await readFile(joinPath(folder, "dist/socket.io.js"), "utf8");
  server = await startServer("CONFORMANCE_BIN", { env: { ALLOW_EIO3: "1", PING_INTERVAL_MS: "25000" } });
  // A server of its own: a browser keeps pages of unknown addresses from scripts of this machine.
  other = createServer((request, response) => {
    const isScript = request.url === "/client.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html; charset=utf-8");
    response.end(isScript ? script : PAGE);
  }).listen(0, "127.0.0.1");
  await once(other, "listening");
  await pages.start();
});

after(async () => {
  await pages.end();
  other?.close();
  await server?.kill();
});

afterEach(async () => {
  await pages.closeAll();
  assert.deepEqual(pages.takeFaults(), [], "the page threw or opened a dialog");
});

for (const origin of ["the server", "another server"]) {
  describe(`a page of ${origin}`, () => {
    test("exchanges_events_by_scripts_and_forms", async () => {
      const page = await open(origin);
      const texts = ["text", "\u{1f600} é", "\u2028\u2029", "a\nb\\nc\\\\n", "</script><!--", "\"'&+%", ""];
      const outcome = await run(page, async ([url, texts]) => {
        const socket = globalThis.io(url, { forceJSONP: true, transports: ["polling"] });
        await new Promise((resolve, reject) => {
          socket.once("connect", resolve);
          socket.once("connect_error", reject);
        });
        const ask = (...args) => new Promise((resolve) => {
          socket.emit("message-with-ack", ...args, (...answers) => resolve(answers));
        });
        const back = await ask(...texts);
        const [bytes] = await ask(new Uint8Array([1, 2, 255]).buffer);
        const long = "é".repeat(50_000);
        const [same] = await ask(long);
        const { constructor } = socket.io.engine.transport;
        socket.close();
        return {
          back,
          bytes: [...new Uint8Array(bytes)],
          long: same === long,
          scripts: performance.getEntriesByType("resource").filter((entry) => entry.initiatorType === "script").length,
          jsonp: constructor.name,
        };
      }, [server.url, texts]);
      assert.deepEqual(outcome.back, texts);
      assert.deepEqual(outcome.bytes, [1, 2, 255]);
      assert.equal(outcome.long, true);
      assert.ok(outcome.scripts > 3, `${outcome.scripts} scripts of a transport ${outcome.jsonp}`);
    });

    test("connects_to_a_namespace_with_a_query", async () => {
      const page = await open(origin);
      const auth = await run(page, (url) => new Promise((resolve, reject) => {
        const socket = globalThis.io(`${url}/custom?token=abc`, { forceJSONP: true, transports: ["polling"] });
        socket.once("auth", resolve);
        socket.once("connect_error", reject);
      }), server.url);
      assert.deepEqual(auth, { token: "abc" });
    });
  });
}

/** Opens a page with the client, of this origin. */
async function open(origin) {
  const context = await pages.context();
  const page = await pages.page(context);
  if (origin === "another server") {
    await page.goto(`http://127.0.0.1:${other.address().port}/page`);
    return page;
  }
  await context.route("**/page", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body: PAGE }));
  await context.route("**/client.js", (route) => route.fulfill({ contentType: "text/javascript", body: script }));
  await page.goto(`${server.url}/page`);
  return page;
}

function run(page, script, argument) {
  return within(page.evaluate(script, argument), "the script of the page", 20_000);
}
