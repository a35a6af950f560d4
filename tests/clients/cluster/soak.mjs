#!/usr/bin/env node
// A cluster under disturbances, for as long as it is told: three Rust nodes on a Redis that writes down
// what it has, official clients that come back, and at random a node or Redis killed or stopped for a
// while, a node that is late, or connections cut. At the end everybody must have everything.
//
//   CLUSTER_BIN=… cluster/soak.mjs [--mode streams] [--seconds 600] [--seed N] [--clients 30] [--log]
//
// `--log` says of each disturbance when it is, and of each client where it is.
//
// Each node numbers its events for each audience, from its start on. On streams a client misses none, gets
// none twice and none out of order, from where it began anew to where it does again, which must have one of
// the causes in `why`. In the modes `classic` and `sharded` it may miss what was on its way, and comes back
// to its own node. Exits with 1 and says why where not.

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
    mode: { type: "string", default: "streams" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    clients: { type: "string", default: "30" },
  },
});
const SECONDS = Number(options.seconds);
const NODES = 3;
const IS_STREAMS = options.mode === "streams";
const ROOMS = ["red", "blue"];
/** Who gets the events of each kind; `quiet` is for clients that hardly ever get one. */
const AUDIENCES = {
  all: { nsp: "/", rooms: [] },
  red: { nsp: "/", rooms: ["red"] },
  blue: { nsp: "/", rooms: ["blue"] },
  quiet: { nsp: "/chat", rooms: ["quiet"] },
};
const QUIET = 6;
const EMIT_MS = 40;
/** Longer than the stream keeps an event, at what is emitted by three nodes. */
const RARELY_MS = 200_000;
const ASK_MS = 250;
const ASK_LIMIT_MS = 2_000;
const CALM_MS = 30_000;
const STOPPED_MS = 6_000;
/** For so long a node that a client comes to waits for Redis. */
const REDIS_LIMIT_MS = 3_000;
/** So much later than Redis is back each node has found it, also where the machine is busy. */
const FOUND_MS = 5_000;
const WRITTEN_MS = 1_000;
const CLOCK_MS = 300;
/** The log counts whole seconds. */
const SAID_MS = 2_500;
/** What the adapter lets a stream have; Redis cuts it by whole blocks of entries. */
const STREAM_LENGTH = 10_000;
const STREAM_BLOCK = 100;

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

/** Spans of time in which something was not there. */
class Spans {
  #spans = [];

  /** Begins one, and returns what ends it, so many milliseconds later than it is called. */
  begin() {
    const span = { from: Date.now(), to: Infinity };
    this.#spans.push(span);
    return (later = 0) => { span.to = Date.now() + later; };
  }

  /** Returns the first moment from which on it is there for `ms`. */
  free(from, ms) {
    const span = this.#spans.find((one) => one.from < from + ms && one.to > from);
    return span ? this.free(span.to, ms) : from;
  }

  /** Tells whether it was away all the time between. */
  covers(from, to) {
    const span = this.#spans.find((one) => one.from <= from && one.to > from);
    return span !== undefined && (span.to >= to || this.covers(span.to, to));
  }

  with(others) {
    const all = new Spans();
    all.#spans = [...this.#spans, ...others.#spans];
    return all;
  }
}

const redisAway = new Spans();

/** A node from a start to its end, with the numbers of its events. */
class Life {
  static #latest = 0;

  constructor(node) {
    this.node = node;
    this.name = `life${(Life.#latest += 1)}`;
    this.sent = Object.fromEntries(Object.keys(AUDIENCES).map((audience) => [audience, 0]));
    this.isUp = true;
    this.stopped = new Spans();
    /** Emits follow each other, so that their numbers are their order. */
    this.emits = Promise.resolve();
  }

  /** Returns what the node has just said of a client that began anew there. */
  said() {
    const words = /\[(\S+Z) .*starts a new session: (.*)$/;
    const [, at, why] = words.exec(this.node.output.split("\n").findLast((line) => words.test(line))) ?? [];
    return Date.now() - Date.parse(at) < SAID_MS ? why : "nothing";
  }

  emit(audience) {
    this.emits = this.emits.then(async () => {
      if (!this.isUp) return;
      const number = (this.sent[audience] += 1);
      await control(this.node, { op: "emit", ...AUDIENCES[audience], event: "n", args: [this.name, audience, number] });
      count("emits");
    }).catch((error) => {
      if (this.isUp) fault(`${this.name} does not emit: ${error.message}`);
    });
  }
}

/** A client that goes to another node when it has lost its own; to its own, where only that knows it. */
class Watcher {
  constructor(name, audiences, transports) {
    const { nsp, rooms } = AUDIENCES[audiences.at(-1)];
    this.name = name;
    this.audiences = audiences;
    /** The last number of each sender and audience, and whether the next may be any later one. */
    this.last = new Map();
    this.life = among(lives);
    /** Where it has been at last, since when and until when, and where it has tried to go since. */
    this.stay = undefined;
    this.tries = [];
    this.socket = io(`${this.life.node.url}${nsp}`, {
      forceNew: true,
      query: { rooms: rooms.join() },
      transports,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      timeout: 5_000,
    });
    this.socket.on("connect", () => this.#connected());
    this.socket.on("disconnect", (reason) => {
      this.stay.to = Date.now();
      if (reason === "io server disconnect") fault(`${name} was sent away`);
    });
    this.socket.io.on("reconnect_attempt", () => this.#elsewhere());
    this.socket.on("n", (life, audience, number) => this.#heard(life, audience, number));
    this.socket.on("ask", (question, ack) => ack(this.name));
  }

  #elsewhere() {
    if (IS_STREAMS || !this.life.isUp) this.life = among(lives.filter((life) => life.isUp));
    this.socket.io.uri = this.life.node.url;
    this.tries.push(this.life);
  }

  #connected() {
    const { stay, tries } = this;
    note(`${this.name} is at ${this.socket.io.uri}${this.socket.recovered ? " again" : ""}`);
    this.stay = { life: this.life, from: Date.now() };
    this.tries = [];
    if (!stay) return;
    if (this.socket.recovered) {
      count("recovered");
      return;
    }
    const cause = this.#why(stay, tries);
    if (cause) count(`began anew: ${cause}`);
    else fault(`${this.name} began anew at ${this.life.name}, and was at ${stay.life.name}: ${this.life.said()}`);
    for (const entry of this.last.values()) entry.isAny = true;
  }

  /** Returns why the client may have begun anew; `undefined` where it must not. */
  #why(stay, tries) {
    const now = Date.now();
    if (!IS_STREAMS) return stay.life === this.life ? undefined : "it is at another node";
    const wasAway = redisAway.with(this.life.stopped).covers(now - REDIS_LIMIT_MS + CLOCK_MS, now - CLOCK_MS);
    if (wasAway && this.life.said().startsWith("the broker is unreachable")) return "Redis was away";
    const written = redisAway.with(stay.life.stopped).free(stay.from, WRITTEN_MS) + WRITTEN_MS;
    if (stay.to < written) return "it was not written down yet";
    // That node has taken what the other had written down.
    if (tries.some((life) => !life.isUp)) return "a node was killed to which it came";
    return undefined;
  }

  #heard(life, audience, number) {
    count("deliveries");
    const key = `${life} ${audience}`;
    const entry = this.last.get(key) ?? { number: 0, isAny: true };
    this.last.set(key, entry);
    // What it got as another socket may still be on its way to where it began anew.
    const isNext = IS_STREAMS ? number === entry.number + 1 : number > entry.number;
    if (!isNext && !entry.isAny) fault(`${this.name}: ${key} ${number} after ${entry.number}`);
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
const start = async () => new Life(await startNode("rust", options.mode, redis, { RECOVERY: "1", RUST_LOG: "actix_socketio=warn" }));
const lives = await Promise.all(Array.from({ length: NODES }, start));

const owed = new Set();

/** Keeps a question until it has ended, and counts how it ended. */
function owe(what, life, question) {
  const asked = Date.now();
  const ended = question.then(
    (answer) => count(`${what}: ${answer?.timedOut || answer?.missing ? "in part" : "whole"}`),
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
    const life = among(lives);
    const over = life.stopped.begin();
    await life.node.pause();
    await pause(1_000 + random() * 3_000);
    life.node.resume();
    over();
  },
  async "Redis is killed"() {
    const over = redisAway.begin();
    await redis.kill();
    await pause(random() * 3_000);
    await redis.start();
    over(FOUND_MS);
  },
  async "Redis stands still"() {
    const over = redisAway.begin();
    await redis.pause();
    await pause(1_000 + random() * 6_000);
    redis.resume();
    over(FOUND_MS);
  },
  async "a node finds Redis later than the others"() {
    const life = among(lives);
    const [over, overThere] = [redisAway.begin(), life.stopped.begin()];
    await redis.kill();
    await pause(random() * 1_000);
    await life.node.pause();
    await redis.start();
    over(FOUND_MS);
    for (const { socket } of watchers) if (socket.io.uri === life.node.url) socket.io.engine?.close();
    await pause(500 + random() * 2_000);
    life.node.resume();
    overThere(FOUND_MS);
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

say(`${options.mode}, seed ${options.seed}, ${SECONDS} s`);
const watchers = Array.from({ length: Number(options.clients) }, (_, n) => (
  new Watcher(`client${n}`, n < QUIET ? ["quiet"] : ["all", ROOMS[n % 2]], [["websocket"], ["polling"], ["polling", "websocket"]][n % 3])
));
await eventually("the clients connect", () => watchers.find(({ socket }) => !socket.connected)?.name);

const emitting = setInterval(() => {
  for (const life of lives) life.emit(among(["all", ...ROOMS]));
}, EMIT_MS);
const emittingRarely = setInterval(() => among(lives).emit("quiet"), RARELY_MS);
const asking = setInterval(ask, ASK_MS);
const reporting = setInterval(async () => {
  say(`${counts.deliveries} deliveries, ${faults.length} faults; nodes have ${await memory().catch(() => "just ended")}`);
}, 30_000);
await disturb(Date.now() + SECONDS * 1_000);
for (const timer of [emitting, emittingRarely, asking, reporting]) clearInterval(timer);
say("no more disturbances");

await within(Promise.all(owed), "the questions that are owed", CALM_MS).catch((error) => fault(error.message));
await Promise.all(lives.map((life) => life.emits));
await eventually("the clients are there", () => watchers.find(({ socket }) => !socket.connected)?.name);
await eventually("the nodes are connected", async () => {
  const all = await Promise.all(lives.map(({ node }) => control(node, { op: "health" })));
  return all.some((health) => !health.connected || health.queuedBytes > 0) && JSON.stringify(all);
});
const emitToAll = () => {
  for (const life of lives) for (const audience of Object.keys(AUDIENCES)) life.emit(audience);
  return Promise.all(lives.map((life) => life.emits));
};
await emitToAll();
await eventually("everybody has everything", async () => {
  // Where nothing is kept, what was sent before all nodes listened again is lost.
  if (!IS_STREAMS) {
    await emitToAll();
    await pause(200);
  }
  const missing = lives.flatMap((life) => watchers.filter((watcher) => !watcher.has(life)).map((watcher) => `${watcher.name} of ${life.name}`));
  return missing.length > 0 && missing.join(", ");
});
for (const { node, name } of lives) {
  const nodes = await control(node, { op: "nodes" });
  if (nodes !== NODES) fault(`${name} counts ${nodes} nodes`);
  const sockets = [];
  for (const nsp of ["/", "/chat"]) sockets.push(...(await control(node, { op: "fetch", nsp })));
  if (sockets.length !== watchers.length) fault(`${name} finds ${sockets.length} sockets`);
  const health = await control(node, { op: "health" });
  count("refused", health.refused);
  count("lost", health.lost);
}
say(`nodes have ${await memory()}`);

// A client that says goodbye leaves nothing behind, and each node has read its stream to the end.
const farewells = watchers.map(({ socket }) => `sio:session:${socket._pid}`);
for (const { socket } of watchers) socket.disconnect();
await eventually("the clients leave", async () => {
  const sockets = await control(lives[0].node, { op: "fetch" });
  return sockets.length > 0 && `${sockets.length} sockets`;
});
const client = await createClient({ url: redis.url }).connect();
await eventually("nothing is left behind", async () => {
  const left = [];
  for await (const keys of client.scanIterator()) left.push(...keys);
  const kept = left.filter((key) => farewells.includes(key));
  if (kept.length > 0) return `what clients had that have said goodbye: ${kept.join(", ")}`;
  const forever = [];
  for (const key of left) if (await client.ttl(key) < 0) forever.push(key);
  counts["keys that end by themselves"] = left.length - forever.length;
  return forever.join() !== (IS_STREAMS ? "socket.io" : "") && `keys ${forever.join(", ")}`;
});
if (IS_STREAMS) {
  const entries = await client.xLen("socket.io");
  counts["entries in the stream"] = entries;
  if (entries > STREAM_LENGTH + STREAM_BLOCK) fault(`${entries} entries are in the stream`);
  // Who waits for the next entry has read all.
  await eventually("the nodes have read to the end", async () => {
    const connections = (await client.sendCommand(["CLIENT", "LIST"])).split("\n");
    const waiting = connections.filter((line) => /\bflags=\w*b/.test(line) && /\bcmd=xread\b/.test(line));
    return waiting.length !== NODES && `${waiting.length} wait`;
  });
}
await client.close();
await Promise.all(lives.map(({ node }) => node.kill()));
await redis.kill();
for (const [what, number] of Object.entries(counts).sort()) say(`${String(number).padStart(9)}  ${what}`);
say(faults.length === 0 ? "nothing is owed" : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
