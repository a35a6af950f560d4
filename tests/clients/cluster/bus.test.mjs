// Clusters of Rust and Flask-SocketIO nodes on Flask-SocketIO's message queue.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRedis } from "../redis.mjs";
import { within } from "../server.mjs";
import { Member, control, marked, startCluster } from "./nodes.mjs";

const KINDS = (process.env.BUS_KINDS ?? "rust,python,rust").split(",");
const SHAPES = [
  [], [1], ["two", 2, { a: null }], [[1, 2]], ["é\u{1f600}\n\"q\""], [""], [{ z: [1.5, { b: [] }] }],
  [{ $binary: "AAEC/w==" }], ["mixed", { deep: [{ $binary: "AQ==" }, 2] }],
];

describe(`bus: ${KINDS.join(", ")}`, () => {
  let redis;
  let nodes;
  let members;

  before(async () => {
    redis = await startRedis();
    nodes = await startCluster(KINDS, "bus", redis);
    members = await Promise.all(nodes.map((node, at) => Member.enter(node, { rooms: ["a", `own${at}`] })));
  });
  after(async () => {
    for (const member of members ?? []) member.leave();
    await Promise.all((nodes ?? []).map((node) => node.kill()));
    await redis?.kill();
  });

  async function got(from, order) {
    await control(from, { op: "emit", event: "e", args: [], ...order });
    const came = [];
    for (const member of members) came.push((await member.until(from)).length);
    return came;
  }

  test("events of every shape reach the clients of every node", async () => {
    for (const from of nodes) {
      for (const args of SHAPES) {
        await control(from, { op: "emit", event: "shape", args });
        for (const member of members) {
          assert.deepEqual(marked(await member.next("shape")), ["shape", ...args], `${from.kind} to ${member.node.kind}`);
        }
      }
    }
  });

  test("rooms, ids and who is skipped mean the same on every node", async () => {
    for (const from of nodes) {
      assert.deepEqual(await got(from, {}), [1, 1, 1]);
      assert.deepEqual(await got(from, { rooms: ["own1"] }), [0, 1, 0]);
      assert.deepEqual(await got(from, { rooms: ["own0", "own2"] }), [1, 0, 1]);
      assert.deepEqual(await got(from, { rooms: ["a"], except: [members[2].id] }), [1, 1, 0]);
      assert.deepEqual(await got(from, { rooms: [members[0].id] }), [1, 0, 0]);
      await control(from, { op: "emitMany", event: "n", count: 300 });
      for (const member of members) {
        const events = await member.until(from);
        assert.deepEqual(events.map((event) => event[1]), Array.from({ length: 300 }, (_, n) => n), from.kind);
      }
    }
  });

  test("callbacks come back from the clients of every node", async () => {
    for (const member of members) member.socket.on("ask", (question, ack) => ack([question, member.id]));
    for (const from of nodes) {
      for (const member of members) {
        const { answers } = await control(from, { op: "ask", rooms: [member.id], event: "ask", args: ["?"], timeout: 5000 });
        assert.equal(JSON.stringify(answers), JSON.stringify([["?", member.id]]), `${from.kind} to ${member.node.kind}`);
        await member.next("ask");
      }
    }
  });

  test("sockets join, leave and go from every node", async () => {
    for (const from of nodes) {
      for (const member of members) {
        await control(from, { op: "join", rooms: [member.id], targets: ["x"] });
        await member.reached(from, ["x"]);
        await control(from, { op: "leave", rooms: [member.id], targets: ["x"] });
        await member.until(from);
      }
      assert.deepEqual(await got(from, { rooms: ["x"] }), [0, 0, 0]);
      for (const member of members) await control(from, { op: "join", rooms: [member.id], targets: ["y"] });
      for (const member of members) await member.reached(from, ["y"]);
      // What the others' marks have left behind.
      for (const member of members) await member.until(from);
      await control(from, { op: "closeRoom", rooms: ["y"] });
      assert.deepEqual(await got(from, { rooms: ["y"] }), [0, 0, 0]);
      for (const node of nodes) {
        const leaving = await Member.enter(node);
        const gone = new Promise((resolve) => { leaving.socket.once("disconnect", resolve); });
        await control(from, { op: "disconnect", rooms: [leaving.id] });
        assert.equal(await within(gone, "the client to go"), "io server disconnect");
      }
    }
  });
});
