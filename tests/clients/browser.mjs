// Chromium for the tests of pages, and the official client's file for pages that ask a CDN for it.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join as joinPath } from "node:path";
import { chromium } from "playwright-core";

// Launches the browser that CHROMIUM names.
export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// Returns the text of the official client.
export function officialClient() {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve("socket.io-client/package.json"));
  return readFile(joinPath(folder, "dist/socket.io.min.js"), "utf8");
}
