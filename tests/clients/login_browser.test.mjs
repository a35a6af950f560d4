// The page of examples/login in a real browser: who logs in by HTTP is known on the socket, who logs
// out is known no more. With sessions in cookies, and in a real Redis.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Pages } from "./browser.mjs";
import { startRedis } from "./redis.mjs";
import { startServer } from "./server.mjs";

const NOBODY = "Nobody that I know";

let server;
const pages = new Pages();

before(() => pages.start());

after(() => pages.end());

afterEach(async () => {
  await pages.closeAll();
  await server?.kill();
  assert.deepEqual(pages.takeFaults(), [], "the page threw or opened a dialog");
});

describe("sessions in cookies", () => {
  // An empty URL would be one: the variable must not be there.
  beforeEach(async () => { server = await startServer("LOGIN_BIN", { env: { REDIS_URL: undefined } }); });

  test("the_user_of_a_socket_follows_log_in_and_log_out", inAndOut);

  test("a_socket_keeps_the_session_of_its_handshake", async () => {
    const page = await open();
    await logIn(page, "Ada");
    await known(page, "You are Ada");
    await logOutElsewhere(page);
    await ask(page);
    await known(page, "You are Ada");
    await reconnect(page);
    await known(page, NOBODY);
  });
});

describe("sessions in Redis, shared", () => {
  let redis;

  before(async () => { redis = await startRedis(); });
  after(() => redis?.kill());
  beforeEach(async () => { server = await startServer("LOGIN_BIN", { env: { REDIS_URL: redis.url } }); });

  test("the_user_of_a_socket_follows_log_in_and_log_out", inAndOut);

  test("a_log_out_is_seen_by_the_next_event_of_the_same_socket", async () => {
    const page = await open();
    await logIn(page, "Ada");
    await known(page, "You are Ada");
    const id = await socketId(page);
    await logOutElsewhere(page);
    await ask(page);
    await known(page, NOBODY);
    assert.equal(await socketId(page), id, "the socket is still the same");
  });
});

async function inAndOut() {
  const page = await open();
  await known(page, NOBODY);
  await logIn(page, "<b>Ada</b>");
  await known(page, "You are <b>Ada</b>");
  // Another person's browser is another session.
  await known(await open(), NOBODY);
  await page.getByRole("button", { name: "Log out" }).click();
  await known(page, NOBODY);
  await logIn(page, "Grace");
  await known(page, "You are Grace");
}

/** A page of its own, as of another person: no cookie is shared with other pages. */
async function open() {
  const page = await pages.page(await pages.context());
  await page.goto(server.url);
  return page;
}

async function logIn(page, name) {
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Logs out as another tab would: this page, and its socket, stay. */
async function logOutElsewhere(page) {
  const status = await page.evaluate(async () => (await fetch("/logout", { method: "POST" })).status);
  assert.equal(status, 200);
}

async function ask(page) {
  await page.getByRole("button", { name: "Ask again" }).click();
}

async function reconnect(page) {
  await page.evaluate(() => { socket.disconnect().connect(); });
}

const socketId = (page) => page.evaluate(() => socket.id);

/** Waits for an answer that is not the one before, as the button shows by being enabled. */
async function known(page, text) {
  await page.getByRole("button", { name: "Ask again" }).and(page.locator(":enabled")).waitFor();
  await page.getByRole("status").filter({ hasText: text }).waitFor();
  assert.equal(await page.getByRole("status").textContent(), text);
}
