#!/usr/bin/env node
// A cluster under disturbances, for as long as it is told: three Rust nodes on a stream of a Redis that
// writes down what it has, official clients that come back, and at random a node or Redis killed or stopped
// for a while, a node that is late, or connections cut. At the end everybody must have everything.
//
//   CLUSTER_BIN=… cluster/soak.mjs [--seconds 600] [--seed N] [--clients 30] [--log]
//
// `--log` says of each disturbance when it is, and of each client where it is.
//
// Each node numbers its events for each audience, from its start on. A client misses none, gets none
// twice and none out of order, from where it began anew to where it does again. Exits with 1 and says why where not.

import { parseArgs } from "node:util";
import { readFile } from "node:fs/promises";
import { io } from "socket.io-client";
import { createClient } from "redis";
import { startRedis } from "../redis.mjs";
import { within } from "../server.mjs";
import { control, startNode } from "./nodes.mjs";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    log: { type: "boolean", default: false },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    clients: { type: "string", default: "30" },
  },
});
const SECONDS = Number(options.seconds);
const NODES = 3;
const ROOMS = ["red", "blue"];
const AUDIENCES = ["all", ...ROOMS];
const EMIT_MS = 40;
const ASK_MS = 250;
const ASK_LIMIT_MS = 2_000;
const CALM_MS = 30_000;
const STOPPED_MS = 6_000;

/** Numbers between 0 and 1, the same for the same seed (mulberry32). */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = seeded(Number(options.seed));
const among = (list) => list[Math.floor(random() * list.length)];
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const begun = Date.now();
const say = (text) => console.log(`${((Date.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${text}`);

const note = (text) => { if (options.log) say(text); };

const faults = [];
const fault = (text) => {
  faults.push(text);
  if (faults.length <= 200) say(`FAULT  ${text}`);
};
const counts = {};
const count = (what, by = 1) => { counts[what] = (counts[what] ?? 0) + by; };

/** A node from a start to its end, with the numbers of its events. */
class Life {
  static #latest = 0;

  constructor(node) {
    this.node = node;
    this.name = `life${(Life.#latest += 1)}`;
    this.sent = Object.fromEntries(AUDIENCES.map((audience) => [audience, 0]));
    this.isUp = true;
    /** Emits follow each other, so that their numbers are their order. */
    this.emits = Promise.resolve();
  }

  emit(audience) {
    this.emits = this.emits.then(async () => {
      if (!this.isUp) return;
      const number = (this.sent[audience] += 1);
      const rooms = audience === "all" ? [] : [audience];
      await control(this.node, { op: "emit", rooms, event: "n", args: [this.name, audience, number] });
      count("emits");
    }).catch((error) => {
      if (this.isUp) fault(`${this.name} does not emit: ${error.message}`);
    });
  }
}

/** A client that goes to any node when it has lost its own. */
class Watcher {
  constructor(name, room, transports) {
    this.name = name;
    this.audiences = ["all", room];
    /** The last number of each sender and audience, and whether the next may be any later one. */
    this.last = new Map();
    this.renewed = 0;
    this.socket = io(among(lives).node.url, {
      forceNew: true,
      query: { rooms: room },
      transports,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      timeout: 5_000,
    });
    this.socket.on("connect", () => this.#connected());
    this.socket.on("disconnect", (reason) => {
      if (reason === "io server disconnect") fault(`${name} was sent away`);
    });
    this.socket.io.on("reconnect_attempt", () => this.#elsewhere());
    this.socket.on("n", (life, audience, number) => this.#heard(life, audience, number));
    this.socket.on("ask", (question, ack) => ack(this.name));
  }

  #elsewhere() {
    this.socket.io.uri = among(lives.filter((life) => life.isUp)).node.url;
  }

  #connected() {
    note(`${this.name} is at ${this.socket.io.uri}${this.socket.recovered ? " again" : ""}`);
    if (this.socket.recovered) return count("recovered");
    this.renewed += 1;
    for (const entry of this.last.values()) entry.isAny = true;
    return count("began anew");
  }

  #heard(life, audience, number) {
    count("deliveries");
    const key = `${life} ${audience}`;
    const entry = this.last.get(key) ?? { number: 0, isAny: true };
    this.last.set(key, entry);
    // What it got as another socket may still be on its way to where it began anew.
    const isNext = number === entry.number + 1 || entry.isAny;
    if (!isNext) fault(`${this.name}: ${key} ${number} after ${entry.number}`);
    if (!this.audiences.includes(audience)) fault(`${this.name} is not in ${audience}`);
    entry.number = number;
    entry.isAny = false;
  }

  has(life) {
    return this.audiences.every((audience) => (
      this.last.get(`${life.name} ${audience}`)?.number === life.sent[audience]
    ));
  }
}

const redis = await startRedis({ lasting: true });
const start = async () => new Life(await startNode("rust", "streams", redis, { RECOVERY: "1" }));
const lives = await Promise.all(Array.from({ length: NODES }, start));

const owed = new Set();

/** Keeps a question until it has ended, and counts how it ended. */
function owe(what, life, question) {
  const asked = Date.now();
  const ended = question.then(
    () => count(`${what}: whole`),
    ({ message }) => {
      if (!life.isUp) return count(`${what}: its node was killed`);
      return count(/\d+ sockets/.test(message) ? `${what}: in part` : `${what}: ${message}`);
    },
  ).finally(() => {
    owed.delete(ended);
    const lasted = Date.now() - asked;
    // A node that was stopped takes so much longer.
    if (life.isUp && lasted > ASK_LIMIT_MS + STOPPED_MS) fault(`${what} of ${life.name} took ${lasted} ms`);
  });
  owed.add(ended);
}

function ask() {
  const life = among(lives.filter(({ isUp }) => isUp));
  const order = { args: [1], timeout: ASK_LIMIT_MS };
  const kind = among(["ask", "fetch", "serverSideAsk", "count", "join"]);
  const orders = {
    ask: { op: "ask", event: "ask", rooms: [among(ROOMS)] },
    fetch: { op: "fetch" },
    serverSideAsk: { op: "serverSideAsk", event: "sum" },
    count: { op: "count" },
    join: { op: among(["join", "leave"]), rooms: [among(ROOMS)], targets: ["side"] },
  };
  owe(kind, life, control(life.node, { ...order, ...orders[kind] }));
}

const DISTURBANCES = {
  async "a node is killed"() {
    const at = Math.floor(random() * lives.length);
    lives[at].isUp = false;
    note(`${lives[at].name} ends`);
    await lives[at].node.kill();
    await pause(random() * 1_000);
    lives[at] = await start();
    note(`${lives[at].name} begins, as ${lives[at].node.url}`);
  },
  async "a node is stopped"() {
    const { node } = among(lives);
    node.pause();
    await pause(1_000 + random() * 3_000);
    node.resume();
  },
  async "Redis is killed"() {
    await redis.kill();
    await pause(random() * 3_000);
    await redis.start();
  },
  async "Redis stands still"() {
    redis.pause();
    await pause(1_000 + random() * 6_000);
    redis.resume();
  },
  async "a node finds Redis later than the others"() {
    const life = among(lives);
    await redis.kill();
    await pause(random() * 1_000);
    life.node.pause();
    await redis.start();
    for (const { socket } of watchers) if (socket.io.uri === life.node.url) socket.io.engine?.close();
    await pause(500 + random() * 2_000);
    life.node.resume();
  },
  async "connections are cut"() {
    for (let n = 0; n < 5; n += 1) among(watchers).socket.io.engine?.close();
  },
};

async function disturb(until) {
  while (Date.now() < until) {
    await pause(1_000 + random() * 5_000);
    const [what, disturbance] = among(Object.entries(DISTURBANCES));
    count(what);
    note(what);
    await disturbance();
    note(`${what}: over`);
  }
}

/** Waits until something holds. */
async function eventually(what, holds) {
  const deadline = Date.now() + CALM_MS;
  for (;;) {
    const missing = await holds();
    if (!missing) return;
    if (Date.now() > deadline) {
      fault(`${what}: ${missing}`);
      return;
    }
    await pause(50);
  }
}

async function memory() {
  const sizes = await Promise.all(lives.map(async ({ node }) => {
    const status = await readFile(`/proc/${node.pid}/status`, "utf8");
    return `${(Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024).toFixed(1)} MB`;
  }));
  return sizes.join(", ");
}

say(`seed ${options.seed}, ${SECONDS} s`);
const watchers = Array.from({ length: Number(options.clients) }, (_, n) => (
  new Watcher(`client${n}`, ROOMS[n % 2], [["websocket"], ["polling"], ["polling", "websocket"]][n % 3])
));
await eventually("the clients connect", () => watchers.find(({ socket }) => !socket.connected)?.name);

const emitting = setInterval(() => {
  for (const life of lives) life.emit(among(AUDIENCES));
}, EMIT_MS);
const asking = setInterval(ask, ASK_MS);
const reporting = setInterval(async () => {
  say(`${counts.deliveries} deliveries, ${faults.length} faults; nodes have ${await memory().catch(() => "just ended")}`);
}, 30_000);
await disturb(Date.now() + SECONDS * 1_000);
for (const timer of [emitting, asking, reporting]) clearInterval(timer);
say("no more disturbances");

await within(Promise.all(owed), "the questions that are owed", CALM_MS).catch((error) => fault(error.message));
await Promise.all(lives.map((life) => life.emits));
await eventually("the clients are there", () => watchers.find(({ socket }) => !socket.connected)?.name);
await eventually("the nodes are connected", async () => {
  const all = await Promise.all(lives.map(({ node }) => control(node, { op: "health" })));
  return all.some((health) => !health.connected || health.queuedBytes > 0) && JSON.stringify(all);
});
for (const life of lives) for (const audience of AUDIENCES) life.emit(audience);
await Promise.all(lives.map((life) => life.emits));
await eventually("everybody has everything", () => {
  const missing = lives.flatMap((life) => watchers.filter((watcher) => !watcher.has(life)).map((watcher) => `${watcher.name} of ${life.name}`));
  return missing.length > 0 && missing.join(", ");
});
for (const { node, name } of lives) {
  const nodes = await control(node, { op: "nodes" });
  if (nodes !== NODES) fault(`${name} counts ${nodes} nodes`);
  const sockets = await control(node, { op: "fetch" });
  if (sockets.length !== watchers.length) fault(`${name} finds ${sockets.length} sockets`);
  const health = await control(node, { op: "health" });
  count("refused", health.refused);
  count("lost", health.lost);
}
say(`nodes have ${await memory()}`);

// A client that says goodbye leaves nothing behind, and the stream is read to its end.
for (const { socket } of watchers) socket.disconnect();
await eventually("the clients leave", async () => {
  const sockets = await control(lives[0].node, { op: "fetch" });
  return sockets.length > 0 && `${sockets.length} sockets`;
});
const client = await createClient({ url: redis.url }).connect();
await eventually("nothing is left behind", async () => {
  const left = [];
  for await (const keys of client.scanIterator()) left.push(...keys);
  const forever = [];
  for (const key of left) if (await client.ttl(key) < 0) forever.push(key);
  counts["keys that end by themselves"] = left.length - forever.length;
  return forever.join() !== "socket.io" && `keys ${forever.join(", ")}`;
});
counts["entries in the stream"] = await client.xLen("socket.io");
await client.close();
await Promise.all(lives.map(({ node }) => node.kill()));
await redis.kill();
for (const [what, number] of Object.entries(counts).sort()) say(`${String(number).padStart(9)}  ${what}`);
say(faults.length === 0 ? "nothing is owed" : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
