// The official page of the Admin UI, as npm ships it, in a real browser: it logs in to the servers of
// examples/admin, which are a cluster on a real Redis, sees both, and disconnects a client.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join as joinPath } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { io } from "socket.io-client";
import { Pages } from "./browser.mjs";
import { startRedis } from "./redis.mjs";
import { startServer, within } from "./server.mjs";

// Of the password "secret", at the lowest cost.
const HASH = "$2a$04$vA/Ouv0l5n5pLCoHabemJuacC2dOEBvdkCuedP/MEAXS8w0ZOYxK.";
const VIEWPORT = { width: 1280, height: 800 };
const TYPES = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml" };

let site;
let redis;
let servers;
let clients;
const pages = new Pages();

before(async () => {
  site = await serveUi();
  redis = await startRedis();
  await pages.start();
});

after(async () => {
  await pages.end();
  await redis?.kill();
  site?.close();
});

beforeEach(async () => {
  clients = [];
  const env = { ADMIN_HASH: HASH, ADMIN_PAGE: origin(), REDIS_URL: redis.url };
  servers = [];
  for (let at = 0; at < 2; at += 1) servers.push(await startServer("ADMIN_BIN", { env }));
});

afterEach(async () => {
  for (const client of clients) client.disconnect();
  await pages.closeAll();
  await Promise.all(servers.map((server) => server.kill()));
  assert.deepEqual(pages.takeFaults(), [], "the page threw or opened a dialog");
});

describe("the official page", () => {
  test("a_wrong_password_is_refused", async () => {
    const page = await open();
    await logIn(page, "guess");
    await page.getByText("Invalid credentials").waitFor();
  });

  test("it_sees_both_servers_and_disconnects_a_client", async () => {
    const [here, there] = await Promise.all(servers.map((server) => connect(server)));
    const [stays, goes] = [here.id, there.id];
    const page = await open();
    await logIn(page, "secret");

    await go(page, "Servers");
    for (const server of servers) await page.getByRole("cell", { name: new RegExp(`#${server.pid}$`) }).waitFor();
    assert.equal(await page.getByText("Healthy").count(), 2);

    await go(page, "Sockets");
    for (const id of [stays, goes]) await page.getByRole("cell", { name: id }).waitFor();
    await go(page, "Rooms");
    await page.getByRole("cell", { name: "ACME", exact: true }).waitFor();

    await go(page, "Sockets");
    // The client of the other server: the command crosses the cluster.
    const gone = within(once(there, "disconnect"), "the disconnect");
    await page.getByRole("row", { name: goes }).getByRole("button").click();
    assert.equal((await gone)[0], "io server disconnect");
    // The click has opened the details too.
    await page.getByText("disconnected", { exact: true }).first().waitFor();
    await go(page, "Sockets");
    await page.getByRole("cell", { name: stays }).waitFor();
    assert.equal(await page.getByRole("cell", { name: goes }).count(), 0);
    assert.equal(here.connected, true);
  });

  test("the_dashboard_counts_clients_and_traffic", async () => {
    for (const server of [...servers, ...servers]) await connect(server);
    const polling = await connect(servers[0], { transports: ["polling"] });
    const page = await open();
    await logIn(page, "secret");
    // The page is a client too.
    await page.getByRole("row", { name: /^WebSocket 5/ }).waitFor();
    await page.getByRole("row", { name: /^HTTP long-polling 1/ }).waitFor();
    assert.equal(polling.io.engine.transport.name, "polling");
    await page.getByRole("row", { name: "/ 5" }).waitFor();
    if (process.env.SCREENSHOTS) await drawn(page);
    await shoot(page, "admin-ui");
  });

  test("a_page_that_was_loaded_again_is_still_logged_in", async () => {
    const page = await open();
    await logIn(page, "secret");
    await connected(page);
    await page.reload();
    await connected(page);
    await go(page, "Servers");
    await page.getByRole("cell", { name: new RegExp(`#${servers[0].pid}$`) }).waitFor();
    assert.equal(await page.getByLabel("Password").count(), 0);
  });
});

/** Serves the page of the npm package. */
async function serveUi() {
  const folder = joinPath(folderOf("@socket.io/admin-ui"), "ui/dist");
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    const file = path === "/" ? "/index.html" : path;
    const body = await readFile(joinPath(folder, file)).catch(() => undefined);
    response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    response.end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Returns the folder of an npm package. */
function folderOf(name) {
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
}

function origin() {
  return `http://127.0.0.1:${site.address().port}`;
}

async function open() {
  const context = await pages.context({ viewport: VIEWPORT });
  // Nothing is loaded from other sites; the icons are the copy that npm installed.
  await context.route((url) => url.hostname !== "127.0.0.1", (route) => route.abort());
  await context.route("https://cdn.jsdelivr.net/npm/@mdi/font@latest/**", (route) => {
    const [, path] = new URL(route.request().url()).pathname.split("@latest/");
    return route.fulfill({ path: joinPath(folderOf("@mdi/font"), path) });
  });
  const page = await pages.page(context);
  await page.goto(origin());
  return page;
}

async function logIn(page, password) {
  await page.getByLabel("Server URL").fill(servers[0].url);
  await page.getByLabel("Username").fill("admin");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Connect" }).click();
}

async function connected(page) {
  // A narrow window has it in another place.
  await page.getByText("connected", { exact: true }).first().waitFor();
}

async function go(page, name) {
  await page.getByRole("navigation").getByText(name, { exact: true }).click();
}

/** Connects a client, which joins the room ACME and has received an event of it. */
async function connect(server, options = {}) {
  const client = io(server.url, { forceNew: true, reconnection: false, ...options });
  clients.push(client);
  await within(once(client, "connect"), "the connect");
  client.emit("watch", "ACME");
  await within(once(client, "price"), "a price");
  return client;
}

/** Waits until the diagrams show the traffic of some seconds. */
async function drawn(page) {
  await page.waitForFunction((since) => performance.now() - since > 25_000, await page.evaluate(() => performance.now()), {
    timeout: 40_000,
  });
}

async function shoot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: joinPath(folder, `${name}.png`), animations: "disabled" });
}
