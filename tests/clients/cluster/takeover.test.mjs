// A cluster of other servers whose nodes are replaced by Rust ones, one at a time, while clients talk.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { io } from "socket.io-client";
import { startRedis } from "../redis.mjs";
import { eventually, within } from "../server.mjs";
import { control, startNode } from "./nodes.mjs";

const NODES = 3;
const TALKERS = 6;
/** How many events each sends at least between two steps. */
const EACH = 5;
const PROBE = 0;

/** A client that says numbers to everybody, the next when all have heard the last that are there. */
class Talker {
  /** The numbers that came from each, in their order. */
  heard = new Map();
  /** Whom it hears at all, and what it had heard from each when it was last let go. */
  found = new Set();
  known = new Map();
  said = 0;
  isThere = false;
  stays = 0;
  #talking = Promise.resolve();
  #isTalking = false;

  constructor(name, node, talkers) {
    this.name = name;
    this.talkers = talkers;
    this.socket = io(node.url, { forceNew: true, transports: ["websocket"], reconnectionDelay: 20, reconnectionDelayMax: 100 });
    this.socket.on("connect", () => {
      this.isThere = true;
      this.stays += 1;
    });
    this.socket.on("disconnect", () => {
      this.isThere = false;
      for (const [from, numbers] of this.heard) this.known.set(from, numbers.at(-1));
    });
    this.socket.on("bcast", ([from, number]) => (number === PROBE ? this.found.add(from) : this.of(from).push(number)));
  }

  of(name) {
    if (!this.heard.has(name)) this.heard.set(name, []);
    return this.heard.get(name);
  }

  talk() {
    this.#isTalking = true;
    this.#talking = this.#talk();
    // Told by `rest`.
    this.#talking.catch(() => {});
  }

  /** Says no more; waits until all have heard what it has said. */
  async rest() {
    this.#isTalking = false;
    await this.#talking;
  }

  async #talk() {
    while (this.#isTalking) {
      const number = (this.said += 1);
      const there = this.talkers.filter((talker) => talker.isThere).map((talker) => [talker, talker.stays]);
      this.socket.emit("bcast", [this.name, number]);
      await eventually(`${number} of ${this.name} to reach all`, () => there.every(([talker, stay]) => (
        !talker.isThere || talker.stays !== stay || talker.of(this.name).at(-1) === number
      )));
    }
  }

  /** Waits until it has heard some more of everyone who talks. */
  async hears(others) {
    const before = others.map(({ said }) => said);
    await eventually(`${this.name} to hear of all`, () => (
      others.every(({ name }, at) => (this.of(name).at(-1) ?? 0) >= before[at] + EACH)
    ));
  }
}

/** How a node of each kind ends in order: its clients are let go, and then it is gone. */
async function close(node) {
  if (node.kind === "node") await control(node, { op: "close" });
  else await node.kill();
}

for (const [kind, mode] of [["node", "classic"], ["node", "sharded"], ["node", "streams"], ["python", "bus"]]) {
  describe(`${mode}: from ${kind} to rust`, () => {
    test("connected clients receive every event exactly once", async () => {
      const redis = await startRedis();
      const nodes = [];
      const talkers = [];
      try {
        for (let at = 0; at < NODES; at += 1) nodes.push(await startNode(kind, mode, redis));
        const here = (at) => talkers.filter((_, number) => number % NODES === at);
        for (let number = 0; number < TALKERS; number += 1) {
          talkers.push(new Talker(`talker ${number}`, nodes[number % NODES], talkers));
        }
        await eventually("all to be there", () => talkers.every((talker) => talker.isThere));
        await findEachOther(talkers);
        for (const talker of talkers) talker.talk();
        await Promise.all(talkers.map((talker) => talker.hears(talkers)));
        for (const [at, old] of nodes.slice().entries()) {
          const staying = talkers.filter((talker) => !here(at).includes(talker));
          const fresh = await startNode("rust", mode, redis);
          nodes.push(fresh);
          const scout = new Talker(`scout ${at}`, fresh, talkers);
          await eventually("the new node to hear of the others", () => talkers.every(({ name }) => scout.of(name).length > 0));
          await Promise.all(here(at).map((talker) => talker.rest()));
          for (const talker of here(at)) talker.socket.io.uri = fresh.url;
          const gone = here(at).map(({ socket }) => new Promise((resolve) => { socket.once("disconnect", resolve); }));
          await close(old);
          await within(Promise.all(gone), "the clients of the old node to be let go");
          await eventually("them to be at the new node", () => here(at).every((talker) => talker.isThere));
          scout.socket.disconnect();
          await old.kill();
          const back = staying.map(({ said }) => said);
          for (const talker of here(at)) talker.talk();
          await Promise.all(talkers.map((talker) => talker.hears(talkers)));
          // What was said while a client was nowhere it has missed, and nothing else.
          for (const talker of here(at)) {
            for (const [to, { name }] of staying.entries()) {
              const numbers = talker.of(name);
              const next = numbers[numbers.indexOf(talker.known.get(name)) + 1];
              assert.ok(next <= back[to] + 1, `${talker.name} missed what ${name} said up to ${next}`);
              talker.of(name).splice(0, numbers.indexOf(next));
            }
          }
          for (const talker of talkers) for (const [name, numbers] of talker.heard) assertAll(talker, name, numbers);
        }
        await Promise.all(talkers.map((talker) => talker.rest()));
        if (mode !== "bus") assert.equal(await control(nodes.at(-1), { op: "nodes" }), NODES);
      } finally {
        for (const talker of talkers) talker.rest().catch(() => {});
        for (const { socket } of talkers) socket.disconnect();
        await Promise.all(nodes.map((node) => node.kill()));
        await redis.kill();
      }
    });
  });
}

/** Waits until all talkers hear each other: nodes that have just begun do not listen yet. */
async function findEachOther(talkers) {
  for (const talker of talkers) {
    await eventually(`all to hear ${talker.name}`, () => {
      talker.socket.emit("bcast", [talker.name, PROBE]);
      return talkers.every((other) => other.found.has(talker.name));
    });
  }
}

/** Fails where a number is missing between the first and the last, or came twice. */
function assertAll(talker, name, numbers) {
  assert.deepEqual(numbers, numbers.map((_, at) => numbers[0] + at), `${talker.name} of ${name}`);
}
