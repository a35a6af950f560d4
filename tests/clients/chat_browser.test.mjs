// The chat page of examples/chat in a real browser: what two people see of each other, and what
// they see when the server goes away and comes back.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join as joinPath } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { PUBLISHED_CLIENT, Pages } from "./browser.mjs";
import { startServer } from "./server.mjs";

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const NARROWEST = { width: 360, height: 640 };
const LOCAL_CLIENT = "**/socket.io/socket.io.min.js";

let server;
const pages = new Pages();

before(() => pages.start());

after(() => pages.end());

// A server of its own for each test: no history, and no nickname that a closed page holds still.
beforeEach(async () => {
  server = await startServer("CHAT_BIN");
});

afterEach(async () => {
  await pages.closeAll();
  await server?.kill();
  assert.deepEqual(pages.takeFaults(), [], "the page threw or opened a dialog");
});

describe("two people in the lobby", () => {
  test("each_sees_the_other_come_and_go", async () => {
    const ada = await enter("Ada");
    const grace = await enter("Grace");
    await person(ada, "Grace").waitFor();
    await person(grace, "Ada").waitFor();
    await ada.locator(".note", { hasText: "Grace joined" }).waitFor();
    await grace.getByRole("button", { name: "Leave the chat" }).click();
    await person(ada, "Grace").waitFor({ state: "detached" });
    await ada.locator(".note", { hasText: "Grace left" }).waitFor();
  });

  test("a_message_reaches_the_other_and_is_ticked", async () => {
    const ada = await enter("Ada");
    const grace = await enter("Grace");
    await say(ada, "hello from Ada");
    await sent(ada, "hello from Ada");
    await row(grace, "hello from Ada").waitFor();
    assert.match(await row(grace, "hello from Ada").innerText(), /Ada/);
    await say(grace, "hello from Grace");
    await sent(grace, "hello from Grace");
    await row(ada, "hello from Grace").waitFor();
  });

  test("typing_is_seen_until_the_message_is_sent", async () => {
    const ada = await enter("Ada");
    const grace = await enter("Grace");
    await person(ada, "Grace").waitFor();
    await ada.getByRole("textbox", { name: "Message" }).pressSequentially("let me think");
    await grace.getByText("Ada is typing…").waitFor();
    await ada.keyboard.press("Enter");
    await row(grace, "let me think").waitFor();
    await grace.getByText("Ada is typing…").waitFor({ state: "hidden" });
  });

  test("a_later_client_gets_the_history", async () => {
    const ada = await enter("Ada");
    await say(ada, "written before Grace came");
    await sent(ada, "written before Grace came");
    const grace = await enter("Grace");
    await row(grace, "written before Grace came").waitFor();
  });

  test("a_nickname_in_use_is_refused_and_another_accepted", async () => {
    await enter("Ada");
    const second = await open();
    await nickname(second, "Ada");
    await second.getByRole("alert").filter({ hasText: "nickname is taken" }).waitFor();
    await nickname(second, "x".repeat(24));
    await second.getByRole("heading", { name: "# lobby" }).waitFor();
  });

  test("an_empty_nickname_is_refused", async () => {
    const page = await open();
    await nickname(page, "   ");
    await page.getByRole("alert").filter({ hasText: "nickname must be 1 to 24 characters" }).waitFor();
  });
});

describe("typed text", () => {
  test("markup_is_shown_as_text_everywhere", async () => {
    const markup = "<img src=x onerror=alert(1)>";
    const author = await enter("<b>Mallory</b>");
    const reader = await enter("Ada");
    await say(author, markup);
    await row(reader, markup).waitFor();
    await row(author, markup).waitFor();
    await author.getByRole("textbox", { name: "Make or join a room" }).fill("<i>room</i>");
    await author.getByRole("button", { name: "Go to this room" }).click();
    await reader.locator('.room[data-room="<i>room</i>"]').waitFor();
    for (const page of [author, reader]) {
      assert.equal(await page.locator("#app :is(img, b, i):not(.brand b, #empty b, .dots i)").count(), 0);
    }
  });

  test("lines_are_kept_and_addresses_become_links", async () => {
    const ada = await enter("Ada");
    const grace = await enter("Grace");
    const box = ada.getByRole("textbox", { name: "Message" });
    await box.fill("see https://example.org/a?b=1.");
    await box.press("Shift+Enter");
    await box.pressSequentially("javascript:alert(1)");
    await box.press("Enter");
    const text = grace.locator(".text", { hasText: "see https://example.org" });
    await text.waitFor();
    assert.equal(await text.textContent(), "see https://example.org/a?b=1.\njavascript:alert(1)");
    assert.deepEqual(
      await text.locator("a").evaluateAll((links) => links.map((link) => link.href)),
      ["https://example.org/a?b=1"],
    );
  });
});

describe("rooms", () => {
  test("a_room_keeps_its_own_messages_and_people", async () => {
    const ada = await enter("Ada");
    const grace = await enter("Grace");
    await person(grace, "Ada").waitFor();
    await ada.getByRole("textbox", { name: "Make or join a room" }).fill("kitchen");
    await ada.keyboard.press("Enter");
    await ada.getByRole("heading", { name: "# kitchen" }).waitFor();
    await person(grace, "Ada").waitFor({ state: "detached" });
    await say(ada, "only for the kitchen");
    await sent(ada, "only for the kitchen");
    await grace.locator('.room[data-room="kitchen"]').click();
    await row(grace, "only for the kitchen").waitFor();
    await person(ada, "Grace").waitFor();
    await grace.locator('.room[data-room="lobby"]').click();
    await person(ada, "Grace").waitFor({ state: "detached" });
    assert.equal(await row(grace, "only for the kitchen").count(), 0);
  });

  test("the_address_names_the_room", async () => {
    const ada = await enter("Ada", { path: "/#reading%20club", room: "reading club" });
    await ada.waitForFunction(() => location.hash === "#reading%20club");
  });
});

describe("transports", () => {
  test("the_page_upgrades_to_websocket", async () => {
    const ada = await enter("Ada");
    await transport(ada, "websocket");
  });

  test("without_websocket_the_chat_runs_over_polling", async () => {
    const prepare = (context) => context.addInitScript(() => { delete globalThis.WebSocket; });
    const ada = await enter("Ada", { prepare });
    const grace = await enter("Grace");
    await transport(ada, "polling");
    await person(ada, "Grace").waitFor();
    await say(grace, "over websocket");
    await row(ada, "over websocket").waitFor();
    await say(ada, "over polling");
    await sent(ada, "over polling");
    await row(grace, "over polling").waitFor();
    await transport(ada, "polling");
  });

  test("the_published_client_is_loaded_when_the_server_has_none", async () => {
    const asked = [];
    const prepare = async (context) => {
      await context.route(LOCAL_CLIENT, (route) => route.fulfill({ status: 404, body: "not here" }));
      context.on("request", (request) => asked.push(request.url()));
    };
    await enter("Ada", { prepare });
    assert.ok(asked.some((url) => url.startsWith("https://cdn.socket.io/4.8.1/")), asked.join("\n"));
  });

  test("a_client_that_cannot_be_loaded_is_reported", async () => {
    const prepare = async (context) => {
      await context.route(LOCAL_CLIENT, (route) => route.abort());
      await context.route(PUBLISHED_CLIENT, (route) => route.abort());
    };
    const page = await open({ prepare, ready: false });
    await page.getByRole("alert").filter({ hasText: "could not be loaded" }).waitFor();
  });
});

describe("a server that goes away", () => {
  test("both_clients_reconnect_and_queued_messages_are_delivered_once", async () => {
    const ada = await enter("Ada", { path: "/#harbour", room: "harbour" });
    const grace = await enter("Grace", { path: "/#harbour", room: "harbour" });
    await person(ada, "Grace").waitFor();
    await say(ada, "before");
    await row(grace, "before").waitFor();
    await transport(ada, "websocket");

    await server.kill();
    for (const page of [ada, grace]) {
      await page.getByText("Connection lost.").waitFor();
      await transport(page, "offline");
    }
    const kept = ["Ada 1", "Ada 2", "Ada 3", "Grace 1", "Grace 2"];
    for (const text of kept) {
      const page = text.startsWith("Ada") ? ada : grace;
      await say(page, text);
      await page.locator('.row[data-state="sending"]', { hasText: text }).waitFor();
    }
    await shoot(ada, "chat-reconnecting");

    await server.start();
    for (const page of [ada, grace]) {
      await page.getByText("Connection lost.").waitFor({ state: "hidden" });
      await page.getByRole("heading", { name: "# harbour" }).waitFor();
    }
    await person(ada, "Grace").waitFor();
    await person(grace, "Ada").waitFor();
    for (const text of kept) await sent(text.startsWith("Ada") ? ada : grace, text);

    // What follows in the order of the room is behind any second copy of what went before.
    await say(ada, "after, Ada");
    await row(grace, "after, Ada").waitFor();
    await say(grace, "after, Grace");
    await row(ada, "after, Grace").waitFor();
    for (const page of [ada, grace]) {
      await page.waitForFunction((count) => document.querySelectorAll("#log .row").length >= count, kept.length + 3);
      const texts = await page.locator("#log .text").allTextContents();
      assert.deepEqual([...texts].sort(), ["after, Ada", "after, Grace", "before", ...kept].sort());
      assert.deepEqual(texts.filter((text) => /^Ada \d/.test(text)), kept.slice(0, 3));
      assert.deepEqual(texts.filter((text) => /^Grace \d/.test(text)), kept.slice(3));
    }
    await transport(ada, "websocket");
    await transport(grace, "websocket");
  });

  test("a_room_picked_while_offline_is_the_one_rejoined", async () => {
    const ada = await enter("Ada");
    await server.kill();
    await ada.getByText("Connection lost.").waitFor();
    await ada.getByRole("textbox", { name: "Make or join a room" }).fill("shelter");
    await ada.keyboard.press("Enter");
    await say(ada, "found it in the dark");
    await server.start();
    await sent(ada, "found it in the dark");
    const grace = await enter("Grace", { path: "/#shelter", room: "shelter" });
    await row(grace, "found it in the dark").waitFor();
    await person(grace, "Ada").waitFor();
  });
});

describe("a connection that breaks", () => {
  test("a_message_whose_acknowledgement_is_lost_is_shown_once", async () => {
    const wire = tap();
    const ada = await enter("Ada", { prepare: wire.prepare });
    const grace = await enter("Grace");
    await transport(ada, "websocket");
    await person(ada, "Grace").waitFor();
    wire.swallow((frame) => String(frame).startsWith("43"));
    await say(ada, "only once");
    await row(grace, "only once").waitFor();
    await ada.locator('.row[data-state="sending"]', { hasText: "only once" }).waitFor();
    wire.swallow(() => false);
    await wire.cut();
    await sent(ada, "only once");
    await say(ada, "and then");
    await row(grace, "and then").waitFor();
    for (const page of [ada, grace]) {
      assert.deepEqual(await page.locator("#log .text").allTextContents(), ["only once", "and then"]);
    }
  });

  test("a_nickname_held_by_the_old_socket_is_asked_for_again", async () => {
    const wire = tap();
    const ada = await enter("Ada", { prepare: wire.prepare });
    await transport(ada, "websocket");
    await wire.cut({ serverToo: false });
    await ada.getByText("Cannot rejoin yet: nickname is taken.").waitFor();
    await say(ada, "still me");
    await wire.cut({ pageToo: false });
    await sent(ada, "still me");
    await ada.getByText("Cannot rejoin yet").waitFor({ state: "hidden" });
  });
});

describe("the layout", () => {
  test("on_a_phone_rooms_and_people_are_in_a_drawer", async () => {
    const ada = await enter("Ada", { viewport: NARROWEST });
    await say(ada, `one long word ${"abcdefghij".repeat(30)}`);
    const rooms = ada.getByRole("button", { name: "lobby" });
    assert.equal(await rooms.isVisible(), false);
    await ada.getByRole("button", { name: "Rooms and people", exact: true }).click();
    await rooms.waitFor();
    await ada.keyboard.press("Escape");
    await rooms.waitFor({ state: "hidden" });
    const overflow = await ada.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.equal(overflow, 0);
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`the_page_is_drawn_on_desktop_and_phone_in_${colorScheme}`, async () => {
      const nobody = await open({ colorScheme });
      await shoot(nobody, `welcome-${colorScheme}`);
      const ada = await enter("Ada", { colorScheme });
      const grace = await enter("Grace", { colorScheme, viewport: PHONE });
      await say(ada, "Morning! Did the new build come through?");
      await row(grace, "Morning!").waitFor();
      await say(grace, "It did, an hour ago. Everything is green.");
      await say(grace, "I will write it up after lunch, unless someone else wants to: there is a bit to tell about the upgrade from polling to WebSocket.");
      await row(ada, "I will write").waitFor();
      await say(ada, "Thank you");
      await sent(ada, "Thank you");
      await row(grace, "Thank you").waitFor();
      await ada.getByRole("textbox", { name: "Message" }).pressSequentially("And tom");
      await grace.getByText("Ada is typing…").waitFor();
      await transport(ada, "websocket");
      await transport(grace, "websocket");
      await shoot(ada, `chat-desktop-${colorScheme}`);
      await shoot(grace, `chat-phone-${colorScheme}`);
      await grace.getByRole("button", { name: "Rooms and people", exact: true }).click();
      await grace.waitForFunction(() => document.querySelector("#sidebar").getBoundingClientRect().left === 0);
      await shoot(grace, `chat-phone-drawer-${colorScheme}`);
    });
  }
});

/** A page of its own, as of another person: nothing is shared with other pages. */
async function open({ path = "/", prepare, ready = true, viewport = DESKTOP, colorScheme = "light" } = {}) {
  const context = await pages.context({ viewport, colorScheme });
  await prepare?.(context);
  const page = await pages.page(context);
  await page.goto(server.url + path);
  if (ready) await page.getByRole("button", { name: "Join" }).and(page.locator(":enabled")).waitFor();
  return page;
}

/** A page whose person has joined `room`. */
async function enter(nick, { room = "lobby", ...options } = {}) {
  const page = await open(options);
  await nickname(page, nick);
  await page.getByRole("heading", { name: `# ${room}`, exact: true }).waitFor();
  await person(page, nick).waitFor({ state: "attached" });
  return page;
}

/** Sits on a page's first WebSocket: swallows frames that come from the server, cuts either end. */
function tap() {
  let first;
  let swallowed = () => false;
  const prepare = (context) => context.routeWebSocket(/socket\.io/, (near) => {
    const far = near.connectToServer();
    first ??= { near, far };
    near.onMessage((frame) => far.send(frame));
    far.onMessage((frame) => { if (!swallowed(frame)) near.send(frame); });
    // Setting these keeps one end open when the other closes.
    near.onClose(() => {});
    far.onClose(() => {});
  });
  const cut = async ({ pageToo = true, serverToo = true } = {}) => {
    if (pageToo) await first.near.close({ code: 1001 });
    if (serverToo) await first.far.close();
  };
  return { cut, prepare, swallow: (test) => { swallowed = test; } };
}

async function nickname(page, nick) {
  await page.getByRole("textbox", { name: "Nickname" }).fill(nick);
  await page.getByRole("button", { name: "Join" }).click();
}

async function say(page, text) {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.getByRole("textbox", { name: "Message" }).press("Enter");
}

// Strict on purpose: Playwright refuses to wait for two rows where one is meant.
const row = (page, text) => page.locator("#log .row", { hasText: text });
const person = (page, nick) => page.locator(`#people [data-nick="${nick}"]`);

async function sent(page, text) {
  const mine = page.locator('#log .row.mine[data-state="sent"]', { hasText: text });
  await mine.waitFor();
  assert.match(await mine.locator(".meta").textContent(), /\d\d:\d\dSent$/);
}

async function transport(page, name) {
  await page.locator(`#transport[data-transport="${name}"]`).waitFor();
  assert.equal(await page.locator("#transport").textContent(), `Transport: ${name}`);
}

async function shoot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: joinPath(folder, `${name}.png`), animations: "disabled" });
}
