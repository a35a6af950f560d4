// One bundle of the official client in a page of Chromium, over one choice of transports, through all
// features of the matrix.
//
//   node chromium.mjs PACKAGE BUNDLE URL RECOVERY_URL TRANSPORT[,TRANSPORT]
//
// Speaks with the matrix by lines, see `runner.mjs`. The page comes from a server of its own on this machine:
// a browser keeps pages of unknown addresses from servers on loopback.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launchBrowser } from "../browser.mjs";
import { ask, runFeatures } from "./runner.mjs";

const [name, bundle, url, recoveryUrl, transports] = process.argv.slice(2);
const folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
const parser = bundle.includes("msgpack") ? "msgpack" : undefined;
const here = fileURLToPath(new URL(".", import.meta.url));

const FILES = {
  "/": ["text/html; charset=utf-8", "<!doctype html><title>matrix</title><script src=\"/client.js\"></script>"],
  "/client.js": ["text/javascript", await readFile(join(folder, "dist", bundle), "utf8")],
  "/features.mjs": ["text/javascript", await readFile(join(here, "features.mjs"), "utf8")],
};

const files = createServer(async (wanted, response) => {
  const { pathname } = new URL(wanted.url, "http://localhost");
  if (pathname.startsWith("/frozen/")) {
    // A page cannot be stopped as a process can: its one thread waits for this answer.
    response.end(await ask("reason", { id: decodeURIComponent(pathname.slice("/frozen/".length)) }));
    return;
  }
  const [type, body] = FILES[pathname] ?? ["text/plain", ""];
  response.setHeader("content-type", type);
  response.end(body);
}).listen(0, "127.0.0.1");
await once(files, "listening");

// Over QUIC the page knows the certificate of a server by its hash.
const quic = transports.includes("webtransport");
const hash = quic ? await (await fetch(`${url}/certificate`)).text() : "";
const browser = await launchBrowser({ quic });
const page = await browser.newPage();
await page.exposeFunction("askMatrix", (what, more) => ask(what, more));
await page.goto(`http://127.0.0.1:${files.address().port}/`);

const found = await page.evaluate(async (settings) => {
  const { features } = await import("/features.mjs");
  const open = new Set();
  const ask = (what, more = {}) => {
    if (what !== "freeze client") return globalThis.askMatrix(what, more);
    const request = new XMLHttpRequest();
    request.open("GET", `/frozen/${encodeURIComponent(more.id)}`, false);
    request.send();
    return request.responseText;
  };
  const bytes = (numbers) => new Uint8Array(numbers).buffer;
  const value = Uint8Array.from(settings.hash.match(/../gu) ?? [], (byte) => Number.parseInt(byte, 16));
  const webtransport = { serverCertificateHashes: [{ algorithm: "sha-256", value }] };
  const io = (address, options) => globalThis.io(address, { transportOptions: { webtransport }, ...options });
  const all = features({ ...settings, io, ask, bytes, open, isPage: true });
  globalThis.runFeature = (feature) => all[feature]();
  globalThis.endFeature = () => { for (const socket of open) socket.disconnect(); open.clear(); };
  return Object.keys(all).map((feature) => [feature, all[feature] !== undefined]);
}, { version, url, recoveryUrl, transports, hash, parser });

const run = Object.fromEntries(found.map(([feature, hasIt]) => [
  feature,
  hasIt ? () => page.evaluate((one) => globalThis.runFeature(one), feature) : undefined,
]));
await runFeatures(run, { done: () => page.evaluate(() => globalThis.endFeature()), end: () => browser.close() });
