// Chromium for the tests of pages. No page reaches a network: the official client that a page asks a
// CDN for is the copy that npm installed.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join as joinPath } from "node:path";
import { chromium } from "playwright-core";

const WAIT_MS = 15_000;
export const PUBLISHED_CLIENT = "https://cdn.socket.io/**";

// Launches the browser that CHROMIUM names, with or without QUIC.
export function launchBrowser({ quic = false } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      ...(quic ? [] : ["--disable-quic"]),
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Makes a context, as of another person: nothing is shared with other contexts. */
export async function newContext(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const body = await officialClient();
  context.setDefaultTimeout(WAIT_MS);
  await context.route(PUBLISHED_CLIENT, (route) => route.fulfill({ contentType: "text/javascript", body }));
  return context;
}

/** The pages of a test file, in one browser. */
export class Pages {
  #browser;
  #contexts = [];
  #faults = [];

  async start() {
    this.#browser = await launchBrowser();
  }

  async end() {
    await this.#browser?.close();
  }

  async context(options) {
    const context = await newContext(this.#browser, options);
    this.#contexts.push(context);
    return context;
  }

  /** Opens a page whose errors and dialogs are faults. */
  async page(context) {
    const page = await context.newPage();
    page.on("pageerror", (error) => this.#faults.push(String(error)));
    page.on("dialog", async (dialog) => {
      this.#faults.push(`a dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    return page;
  }

  async closeAll() {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  /** Returns the faults of all pages since it was called last. */
  takeFaults() {
    return this.#faults.splice(0);
  }
}

// Returns the text of the official client.
function officialClient() {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve("socket.io-client/package.json"));
  return readFile(joinPath(folder, "dist/socket.io.min.js"), "utf8");
}
