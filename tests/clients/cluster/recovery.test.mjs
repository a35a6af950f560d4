// Connection state recovery with the official client: on one node, across nodes, and after a SIGKILL.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createClient } from "redis";
import { startRedis } from "../redis.mjs";
import { eventually, within } from "../server.mjs";
import { Member, control, settled, startNode } from "./nodes.mjs";

const RECOVERY = { RECOVERY: "1" };
const TRIES = 20;

/** Loses the connection as a network does, and comes back to `node`. */
async function comeBack(member, node) {
  const { socket } = member;
  const gone = new Promise((resolve) => { socket.once("disconnect", resolve); });
  socket.io.engine.close();
  await within(gone, "the connection to be lost");
  return () => {
    socket.io.uri = node.url;
    const back = new Promise((resolve) => { socket.once("connect", resolve); });
    socket.connect();
    return within(back, "the client to be back");
  };
}

// An event's offset is its last argument.
const plain = (events) => events.map((event) => event.slice(0, 2));

for (const transports of [["websocket"], ["polling"]]) {
  describe(`recovery over ${transports}`, () => {
    let redis;
    let nodes;

    before(async () => {
      redis = await startRedis();
      nodes = await Promise.all([0, 1].map(() => startNode("rust", "streams", redis, RECOVERY)));
      await settled(nodes);
    });
    after(async () => {
      await Promise.all((nodes ?? []).map((node) => node.kill()));
      await redis?.kill();
    });

    /** Returns what comes to a member until it has all that the nodes have sent, its own node's last. */
    async function rest(member, home) {
      const others = nodes.filter((node) => node !== home);
      const events = [];
      for (const from of [...others, home]) events.push(...(await member.until(from)));
      return plain(events);
    }

    /** Sends a volatile event that is the last one of a member that is at `home`, and waits for it. */
    async function lastIsVolatile(member, home) {
      for (let n = 0; n < TRIES; n += 1) {
        await control(home, { op: "emit", rooms: ["a"], event: "volatile", args: ["a string"], volatile: true });
        // The answer is no event, has no offset, and comes after what was sent before it.
        await member.socket.emitWithAck("length", "");
        const came = plain(member.taken());
        if (came.length > 0) return assert.deepEqual(came, [["volatile", "a string"]]);
      }
      return assert.fail("the client is always busy");
    }

    test("a client gets the missed events on the same node and on another", async () => {
      const [one, two] = nodes;
      const member = await Member.enter(one, { rooms: ["a"], transports });
      const { id } = member;
      await member.socket.emitWithAck("set", "name", "Ann");
      let home = one;
      for (const node of [one, two, one]) {
        await lastIsVolatile(member, home);
        const back = await comeBack(member, node);
        await control(one, { op: "emit", rooms: ["a"], event: "of one", args: [1] });
        await control(two, { op: "emit", rooms: ["b"], event: "of two", args: [2] });
        await control(one, { op: "emit", event: "of one", args: [3] });
        await control(two, { op: "emit", rooms: ["a"], event: "of two", args: [4] });
        await control(two, { op: "emit", event: "of two", args: [{ $binary: "AQ==" }] });
        await back();
        home = node;
        assert.ok(member.socket.recovered, `recovered on ${node.url}`);
        assert.equal(member.id, id);
        const events = await rest(member, home);
        assert.deepEqual(events.filter(([name]) => name === "of one"), [["of one", 1], ["of one", 3]]);
        assert.deepEqual(events.filter(([name]) => name === "of two"), [["of two", 4], ["of two", Buffer.from([1])]]);
        assert.equal(events.length, 4, "nothing else, and nothing twice");
        const [found] = await control(two, { op: "fetch", rooms: [id] });
        assert.deepEqual(found, { id, rooms: ["a"], data: { name: "Ann" } });
      }
      member.leave();
    });

    test("a client of a killed node is recovered", async () => {
      const doomed = await startNode("rust", "streams", redis, RECOVERY);
      await settled([nodes[0], doomed]);
      const member = await Member.enter(doomed, { rooms: ["a"], transports });
      const { id } = member;
      const witness = await Member.enter(nodes[0], { rooms: ["a"], transports });
      await control(doomed, { op: "emit", rooms: ["a"], event: "seen", args: [0] });
      await member.next("seen");
      // The record of the client went to Redis with the event, or before it.
      await witness.next("seen");
      witness.leave();
      const gone = new Promise((resolve) => { member.socket.once("disconnect", resolve); });
      await doomed.kill();
      await within(gone, "the connection to be lost");
      for (let n = 0; n < 10; n += 1) await control(nodes[n % 2], { op: "emit", rooms: ["a"], event: `of ${n % 2}`, args: [n] });
      member.socket.io.uri = nodes[1].url;
      const back = new Promise((resolve) => { member.socket.once("connect", resolve); });
      member.socket.connect();
      await within(back, "the client to be back");
      assert.ok(member.socket.recovered);
      assert.equal(member.id, id);
      const events = await rest(member, nodes[1]);
      const of = (name) => events.filter((event) => event[0] === name).map(([, n]) => n);
      assert.deepEqual([of("of 0"), of("of 1"), events.length], [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9], 10]);
      member.leave();
    });
  });
}

describe("recovery between kinds of nodes", () => {
  let redis;
  let client;
  let rust;
  let node;

  before(async () => {
    redis = await startRedis();
    client = await createClient({ url: redis.url, RESP: 2 }).connect();
    [rust, node] = await Promise.all(["rust", "node"].map((kind) => startNode(kind, "streams", redis, RECOVERY)));
    await settled([rust, node]);
  });
  after(async () => {
    client?.destroy();
    await Promise.all([rust?.kill(), node?.kill()]);
    await redis?.kill();
  });

  /** Enters a node, gets an event there, and comes to the other after it has missed some. */
  async function moved(from, to, transports) {
    const witness = await Member.enter(to);
    const member = await Member.enter(from, { rooms: ["a"], transports });
    const { id } = member;
    await member.socket.emitWithAck("set", "name", "Ann");
    await control(to, { op: "emit", rooms: ["a"], event: "seen", args: [1] });
    await member.next("seen");
    const key = `sio:session:${member.socket._pid}`;
    const back = await comeBack(member, to);
    await control(from, { op: "emit", rooms: ["a"], event: "of from", args: [1] });
    await control(to, { op: "emit", rooms: ["b"], event: "of to", args: [2] });
    await control(to, { op: "emit", rooms: ["a"], event: "of to", args: [3] });
    await control(from, { op: "emit", event: "of from", args: [{ $binary: "AQ==" }] });
    await eventually("the node to write down what the client has", () => client.exists(key));
    // Who begins anew gets live what its new node reads only then.
    await witness.until(from);
    witness.leave();
    await back();
    const events = [];
    for (const by of [from, to]) events.push(...(await member.until(by)));
    return { member, id, events: plain(events) };
  }

  for (const transports of [["websocket"], ["polling"]]) {
    test(`a client of a Node.js node is recovered on a Rust node: ${transports}`, async () => {
      const { member, id, events } = await moved(node, rust, transports);
      assert.deepEqual([member.socket.recovered, member.id], [true, id]);
      assert.deepEqual(events.filter(([name]) => name === "of from"), [["of from", 1], ["of from", Buffer.from([1])]]);
      assert.deepEqual(events.filter(([name]) => name === "of to"), [["of to", 3]]);
      assert.equal(events.length, 3, "nothing else, and nothing twice");
      const [found] = await control(node, { op: "fetch", rooms: [id] });
      assert.deepEqual(found, { id, rooms: ["a"], data: { name: "Ann" } });
      member.leave();
    });

    test(`a client of a Rust node gets a new socket on a Node.js node: ${transports}`, async () => {
      const { member, id, events } = await moved(rust, node, transports);
      assert.equal(member.socket.recovered, false);
      assert.notEqual(member.id, id);
      assert.deepEqual(events, [["ready", member.id]]);
      await control(rust, { op: "emit", rooms: ["a"], event: "now", args: [4] });
      assert.deepEqual(plain([await member.next("now")]), [["now", 4]]);
      member.leave();
    });
  }
});
