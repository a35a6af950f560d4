// The examples `cluster`, two nodes and one chat, also its page in Chromium, and `job`, which reports to the
// page that started it.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { io } from "socket.io-client";
import { launchBrowser, newContext } from "../browser.mjs";
import { startRedis } from "../redis.mjs";
import { eventually, freePort, startServer, within } from "../server.mjs";

const heard = (socket, event) => within(new Promise((resolve) => {
  socket.once(event, (...args) => resolve(args));
}), event);

/** Starts the example on a port whose successor is free too, which nobody can promise. */
async function startExample(env) {
  let failure;
  for (let tries = 0; tries < 10; tries += 1) {
    const port = await freePort();
    try {
      return await startServer("CLUSTER_EXAMPLE_BIN", { port, env });
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

test("two nodes are one chat", async () => {
  const redis = await startRedis();
  let example;
  const clients = [];
  try {
    example = await startExample({ REDIS_URL: redis.url });
    const { port } = example;
    const page = await (await fetch(example.url)).text();
    assert.match(page, new RegExp(`of \\[${port}, ${port + 1}\\]`));
    // Behind them is the event's offset.
    const counts = (args) => args.slice(0, 2);
    const enter = async (at) => {
      const client = io(`http://127.0.0.1:${at}`, { forceNew: true, transports: ["websocket"] });
      clients.push(client);
      client.emit("here");
      return counts(await heard(client, "there"));
    };
    // The nodes find each other when they have begun.
    await eventually("each node to know of the other", async () => {
      const both = [await enter(port), await enter(port + 1)];
      for (const client of clients.splice(0)) client.disconnect();
      return both.every(([, nodes]) => nodes === 2);
    });
    await eventually("those to be gone", async () => {
      const [people] = await enter(port);
      if (people > 1) clients.pop().disconnect();
      return people === 1;
    });
    await enter(port + 1);
    // What those before them asked may still be on its way.
    await eventually("both to be counted", async () => {
      const told = clients.map((client) => heard(client, "there"));
      clients[0].emit("here");
      return (await Promise.all(told)).every((args) => counts(args).join() === "2,2");
    });
    for (const [at, client] of clients.entries()) {
      const both = clients.map((one) => heard(one, "said"));
      client.emit("say", "hello");
      for (const [node, text] of await Promise.all(both)) {
        assert.deepEqual([node, text], [`node on port ${port + at}`, "hello"]);
      }
    }
  } finally {
    for (const client of clients) client.disconnect();
    await example?.kill();
    await redis.kill();
  }
});

/** Opens the page of a node, and returns its columns by their ports. */
async function openPage(browser, port) {
  const context = await newContext(browser);
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}`);
  return [port, port + 1].map((at) => page.locator("section", { hasText: `Node on port ${at}: connected` }));
}

/** Says something in one column of a page after the other, and waits until it stands in both, once. */
async function speaksInBoth(columns, port) {
  const text = (at) => `hello from ${at} <b>&amp;`;
  for (const [at, column] of columns.entries()) {
    await column.getByRole("textbox", { name: "Message" }).fill(text(at));
    await column.getByRole("button", { name: "Send" }).click();
    for (const one of columns) await one.locator("li", { hasText: text(at) }).waitFor();
  }
  for (const column of columns) {
    const said = await column.locator("li:not(.note)").allInnerTexts();
    assert.deepEqual(said, columns.map((_, at) => `node on port ${port + at}: ${text(at)}`));
  }
}

test("the page shows both nodes, and the messages of each in both columns", async () => {
  const redis = await startRedis();
  const browser = await launchBrowser();
  let client;
  let example;
  try {
    example = await startExample({ REDIS_URL: redis.url });
    const columns = await openPage(browser, example.port);
    await speaksInBoth(columns, example.port);
    client = io(`http://127.0.0.1:${example.port + 1}`, { transports: ["websocket"] });
    client.emit("here");
    for (const column of columns) await column.locator("li.note", { hasText: "3 on 2 nodes" }).waitFor();
  } finally {
    client?.disconnect();
    await browser.close();
    await example?.kill();
    await redis.kill();
  }
});

/** Returns the processes that a process has started. */
async function startedBy(pid) {
  const lists = (await readdir(`/proc/${pid}/task`)).map((task) => readFile(`/proc/${pid}/task/${task}/children`, "utf8"));
  return (await Promise.all(lists)).join(" ").split(" ").filter(Boolean).map(Number);
}

const isThere = (pid) => readFile(`/proc/${pid}/stat`, "utf8").then((stat) => !stat.includes(") Z "), () => false);

test("without REDIS_URL the example brings a Redis, which ends with it", async () => {
  const browser = await launchBrowser();
  let example;
  let started = [];
  try {
    example = await startExample({ REDIS_URL: undefined });
    started = await startedBy(example.pid);
    assert.equal(started.length, 1, "it has started a Redis");
    await speaksInBoth(await openPage(browser, example.port), example.port);
    await browser.close();
    await example.end();
    assert.equal(await isThere(started[0]), false, "its Redis has ended");
  } finally {
    await browser.close();
    await example?.kill();
    for (const pid of started) if (await isThere(pid)) process.kill(pid, "SIGKILL");
  }
});

test("a job in another process reports to the page that started it", async () => {
  const redis = await startRedis();
  let example;
  let client;
  try {
    example = await startServer("JOB_BIN", { env: { REDIS_URL: redis.url } });
    client = io(example.url, { transports: ["websocket"] });
    const progress = [];
    client.on("progress", (percent) => progress.push(percent));
    const done = heard(client, "done");
    const worker = await within(client.emitWithAck("start", "thumbnails"), "the job to start");
    assert.equal(typeof worker, "number");
    assert.deepEqual(await done, ["thumbnails"]);
    assert.deepEqual(progress, [0, 20, 40, 60, 80, 100]);
  } finally {
    client?.disconnect();
    await example?.kill();
    await redis.kill();
  }
});
