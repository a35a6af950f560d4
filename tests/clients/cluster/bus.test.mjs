// Clusters of Rust and Flask-SocketIO nodes on Flask-SocketIO's message queue.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually, within } from "../server.mjs";
import { Member, control, marked } from "./nodes.mjs";
import { useCluster } from "./suite.mjs";

const KINDS = (process.env.BUS_KINDS ?? "rust,python,rust").split(",");
const SHAPES = [
  [], [1], ["two", 2, { a: null }], [[1, 2]], ["é\u{1f600}\n\"q\""], [""], [{ z: [1.5, { b: [] }] }],
  [{ $binary: "AAEC/w==" }], ["mixed", { deep: [{ $binary: "AQ==" }, 2] }],
];

describe(`bus: ${KINDS.join(", ")}`, () => {
  let nodes;
  let members;

  useCluster(KINDS, "bus", (started) => { ({ nodes } = started); });

  /** Enters one client at each node, in the room `a` and one of its own. */
  async function enter(nsp = "/") {
    members = await Promise.all(nodes.map((node, at) => Member.enter(node, { nsp, rooms: ["a", `own${at}`] })));
  }

  async function got(from, order) {
    await control(from, { op: "emit", event: "e", args: [], ...order });
    const came = [];
    for (const member of members) came.push((await member.until(from)).length);
    return came;
  }

  for (const nsp of ["/", "/chat"]) {
    test(`${nsp}: events of every shape reach the clients of every node, all of them and a room's`, async () => {
      await enter(nsp);
      for (const from of nodes) {
        for (const args of SHAPES) {
          for (const rooms of [[], ["a"]]) {
            await control(from, { op: "emit", nsp, rooms, event: "shape", args });
            for (const member of members) {
              assert.deepEqual(marked(await member.next("shape")), ["shape", ...args], `${from.kind} to ${member.node.kind}`);
            }
          }
        }
      }
    });

    test(`${nsp}: rooms, ids and skipped sockets mean the same on every node`, async () => {
      await enter(nsp);
      for (const [at, from] of nodes.entries()) {
        assert.deepEqual(await got(from, { nsp }), [1, 1, 1]);
        assert.deepEqual(await got(from, { nsp, rooms: ["own1"] }), [0, 1, 0]);
        assert.deepEqual(await got(from, { nsp, rooms: ["own0", "own2"] }), [1, 0, 1]);
        assert.deepEqual(await got(from, { nsp, rooms: ["a"], except: [members[2].id] }), [1, 1, 0]);
        assert.deepEqual(await got(from, { nsp, rooms: [members[0].id] }), [1, 0, 0]);
        // What python-socketio calls `ignore_queue`.
        assert.deepEqual(await got(from, { nsp, local: true }), nodes.map((_, to) => (to === at ? 1 : 0)));
        assert.deepEqual(await got(from, { nsp: nsp === "/" ? "/chat" : "/" }), [0, 0, 0], "another namespace");
      }
    });

    test(`${nsp}: events to a room and to everyone stay in their order`, async () => {
      await enter(nsp);
      for (const from of nodes) {
        const expected = [];
        for (let block = 0; block < 60; block += 1) {
          const event = `block ${block}`;
          await control(from, { op: "emitMany", nsp, rooms: block % 2 ? ["a"] : [], event, count: 5 });
          for (let n = 0; n < 5; n += 1) expected.push([event, n]);
        }
        for (const member of members) assert.deepEqual(await member.until(from), expected, `${from.kind} to ${member.node.kind}`);
      }
    });
  }

  test("a volatile event reaches the clients that are not busy", async () => {
    await enter();
    for (const from of nodes.filter((node) => node.kind === "rust")) {
      for (const [at, member] of members.entries()) {
        await eventually(`a volatile event to ${member.node.kind}`, async () => {
          const came = await got(from, { volatile: true, rooms: [`own${at}`] });
          assert.deepEqual(came.filter((_, to) => to !== at), [0, 0]);
          return came[at] === 1;
        });
      }
    }
  });

  test("callbacks come back from the clients of every node", async () => {
    await enter();
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
    await enter();
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
        for (const close of [false, true]) {
          const leaving = await Member.enter(node);
          const gone = new Promise((resolve) => { leaving.socket.once("disconnect", resolve); });
          await control(from, { op: "disconnect", rooms: [leaving.id], close });
          assert.equal(await within(gone, "the client to go"), "io server disconnect");
        }
      }
    }
  });
});
