// The examples `cluster`, two nodes and one chat, and `job`, which reports to the page that started it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { io } from "socket.io-client";
import { startRedis } from "../redis.mjs";
import { freePort, startServer, within } from "../server.mjs";

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
    for (const at of [port, port + 1]) {
      clients.push(io(`http://127.0.0.1:${at}`, { transports: ["websocket"] }));
      await heard(clients.at(-1), "there");
    }
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
