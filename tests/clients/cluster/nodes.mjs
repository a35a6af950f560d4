// Clusters of several kinds of nodes for the tests, and clients of them.
//
// A node is a server process that obeys orders (`control`); a `Member` is an official client of one,
// which keeps what came until the test asks for it. Every wait has an end.

import { once } from "node:events";
import { request } from "node:http";
import { json, text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";
import { startProgram, within } from "../server.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

const COMMANDS = {
  rust: () => [needed("CLUSTER_BIN")],
  node: () => [process.execPath, here("node_server.mjs")],
  python: () => [process.env.PYTHON ?? "python3", here("flask_server.py")],
};

function needed(variable) {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} must hold the path of the node to test`);
  return value;
}

/** Starts one node. */
export async function startNode(kind, mode, redis, env = {}) {
  const settings = { REDIS_URL: redis.url, MODE: mode, ...env };
  const node = await startProgram(kind, COMMANDS[kind](), { env: settings });
  node.kind = kind;
  return node;
}

/** Starts nodes and waits until each hears the events of each. */
export async function startCluster(kinds, mode, redis, env = {}) {
  const nodes = await Promise.all(kinds.map((kind) => startNode(kind, mode, redis, env)));
  await settled(nodes);
  return nodes;
}

/** Waits until what one node emits arrives at clients of every node. */
export async function settled(nodes) {
  for (const nsp of ["/", "/chat"]) {
    const members = await Promise.all(nodes.map((node) => Member.enter(node, { nsp, rooms: ["settle"] })));
    for (const from of nodes) {
      for (const rooms of [[], ["settle"]]) {
        await Promise.all(members.map((member) => member.reached(from, rooms)));
      }
    }
    for (const member of members) member.leave();
  }
}

/** Makes a node do something, and returns what it answers; fails where it could not. */
export async function control(node, order) {
  const response = await posted(node, order);
  // To a node that stands still the order came too slowly to be taken.
  if (response.statusCode === 408) return control(node, order);
  if (response.statusCode !== 200) throw new Error(`${node.kind}: ${order.op}: ${await text(response)}`);
  const { ok, error } = await json(response);
  if (error) throw new Error(`${node.kind}: ${order.op}: ${error}`);
  return ok;
}

async function posted(node, order) {
  // A connection of its own: one that is kept may end just when the next order is sent.
  const sending = request(`${node.url}/control`, {
    agent: false,
    method: "POST",
    headers: { "content-type": "application/json" },
    // A drain takes as long as it is told.
    signal: AbortSignal.timeout((order.timeout ?? 0) + 20_000),
  });
  sending.end(JSON.stringify({ nsp: "/", ...order }));
  const [response] = await once(sending, "response");
  return response;
}

/** Returns a value with its binary as JSON can have it: `{ $binary: base64 }`. */
export const marked = (value) => {
  if (Buffer.isBuffer(value)) return { $binary: value.toString("base64") };
  if (Array.isArray(value)) return value.map(marked);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, marked(inner)]));
};

let fences = 0;

/** A client of a node. */
export class Member {
  static #entered = new Set();
  #events = [];
  #waiting = [];

  constructor(node, socket) {
    this.node = node;
    this.socket = socket;
    const { engine } = socket.io;
    /** Tells, when it has been tried, whether the client has gone from polling to a WebSocket. */
    this.upgraded = new Promise((resolve) => {
      engine.once("upgrade", () => resolve(true));
      engine.once("upgradeError", () => resolve(false));
    });
    socket.onAny((...event) => {
      if (typeof event.at(-1) === "function") this.ack = event.pop();
      this.#events.push(event);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  get id() {
    return this.socket.id;
  }

  static async enter(node, { nsp = "/", rooms = [], transports = ["websocket"], ...options } = {}) {
    const socket = io(`${node.url}${nsp}`, {
      forceNew: true,
      query: { rooms: rooms.join(",") },
      reconnection: false,
      transports,
      ...options,
    });
    const member = new Member(node, socket);
    Member.#entered.add(member);
    await member.expect("ready", socket.id);
    return member;
  }

  /** Returns the next event. */
  async next(what = "an event", ms = 5_000) {
    while (this.#events.length === 0) {
      await within(new Promise((wake) => { this.#waiting.push(wake); }), `${what} at a client of ${this.node.kind}`, ms);
    }
    return this.#events.shift();
  }

  /** Returns what has come and nobody has asked for yet, and forgets it. */
  taken() {
    return this.#events.splice(0);
  }

  /** Waits for an event of this name; fails where another comes first. */
  async expect(name, ...args) {
    const event = await this.next(name);
    const same = event[0] === name && (name === "ready" || JSON.stringify(event.slice(1)) === JSON.stringify(args));
    if (!same) throw new Error(`client of ${this.node.kind}: ${JSON.stringify(event)} where ${JSON.stringify([name, ...args])} was due`);
    return event;
  }

  /** Returns everything that comes before a fence that `from` sends now, to this client alone. */
  async until(from) {
    const fence = `fence ${(fences += 1)}`;
    await control(from, { op: "emit", nsp: this.nsp, rooms: [this.id], event: fence, args: [] });
    const before = [];
    for (;;) {
      const event = await this.next(fence);
      if (event[0] === fence) return before;
      before.push(event);
    }
  }

  get nsp() {
    return this.socket.nsp;
  }

  /** Waits until events of a node arrive here: it listens in the background when it has just begun. */
  async reached(from, rooms) {
    const mark = `reached ${(fences += 1)}`;
    const deadline = Date.now() + 10_000;
    let came;
    while (came !== mark) {
      if (Date.now() > deadline) throw new Error(`nothing of ${from.kind} arrives at a client of ${this.node.kind}`);
      await control(from, { op: "emit", nsp: this.nsp, rooms, event: mark, args: [] });
      const event = await this.next(mark, 500).catch(() => undefined);
      if (event) this.#isMark(event);
      came = event?.[0];
    }
    // The marks of the tries before, and of others, are still on their way.
    for (const event of await this.until(from)) this.#isMark(event);
  }

  /** Fails where an event is none of those by which members find out that nodes reach them. */
  #isMark([event]) {
    if (!event.startsWith("reached ")) throw new Error(`client of ${this.node.kind}: ${event} where only marks were due`);
  }

  leave() {
    Member.#entered.delete(this);
    this.socket.disconnect();
  }

  /** Lets all go that a test, also one that failed, has left. */
  static allLeave() {
    for (const member of Member.#entered) member.leave();
  }
}

let assemblies = 0;

/** Returns what each of `senders` sent to a member, where the first argument of every event says who. */
export const bySender = (events, senders) => senders.map((_, at) => events.filter(([, sender]) => sender === at));

/**
 * Enters one client at each node, in the room `shared` and one of its own, and waits until each node
 * reaches all. The rooms are new each time: a sharded Node.js node that leaves a room and joins it
 * again at once hears nothing of it.
 */
export async function assemble(nodes, nsp = "/") {
  const number = (assemblies += 1);
  const shared = `shared${number}`;
  const members = await Promise.all(nodes.map(async (node, at) => {
    const own = `own${number}.${at}`;
    return Object.assign(await Member.enter(node, { nsp, rooms: [shared, own] }), { own });
  }));
  for (const from of nodes) {
    for (const member of members) await member.reached(from, [shared]);
    for (const member of members) await member.reached(from, [member.own]);
  }
  await calm(nodes, members);
  return { members, shared };
}

/** Waits until no node finds a socket any more, and then for all that it still tells Redis of it. */
export async function emptied(nodes, nsp = "/") {
  const deadline = Date.now() + 10_000;
  for (const node of nodes) {
    while ((await control(node, { op: "fetch", nsp })).length > 0) {
      if (Date.now() > deadline) throw new Error(`${node.kind} still finds sockets`);
    }
    await control(node, { op: "fetch", nsp });
  }
}

/** Waits until the members have all that the nodes sent until now, and forgets it. */
export async function calm(nodes, members) {
  for (const from of nodes) for (const member of members) await member.until(from);
}
