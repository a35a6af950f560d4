// What goes wrong beside Flask-SocketIO nodes: a node that is killed or stops, Redis that goes away.
//
// A Flask-SocketIO node serves its own clients without Redis and drops what was for others, looks for it
// again after one second, then two, and does not know of other nodes: who is asked and gone says nothing.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Member, assemble, bySender, control, settled, startNode } from "./nodes.mjs";
import { useCluster, whileRedisIsAway } from "./suite.mjs";

const KINDS = (process.env.BUS_KINDS ?? "rust,python,rust").split(",");
const SHORT_MS = 700;
const EARLY_MS = 3_000;
const AWAY = 20;
const BACK_MS = 15_000;

/** Asks a client that is gone or hears nothing: the question ends at its timeout. */
async function staysUnanswered(from, id) {
  const begun = Date.now();
  const { answers, timedOut } = await control(from, { op: "ask", rooms: [id], event: "ask", args: ["?"], timeout: SHORT_MS });
  const lasted = Date.now() - begun;
  assert.deepEqual([answers, timedOut], [[], true], from.kind);
  assert.ok(lasted >= SHORT_MS && lasted < EARLY_MS, `${from.kind}: ${lasted} ms`);
}

/** Asks each client from each node. */
async function areAnswered(froms, members) {
  for (const from of froms) {
    for (const member of members) {
      const order = { op: "ask", rooms: [member.id], event: "ask", args: ["?"], timeout: 5_000 };
      assert.deepEqual((await control(from, order)).answers, [member.id], `${from.kind} to ${member.node.kind}`);
      await member.expect("ask", "?");
    }
  }
}

function answering(members) {
  for (const member of members) member.socket.on("ask", (question, ack) => ack(member.id));
}

describe(`bus: ${KINDS.join(", ")}`, () => {
  let redis;
  let nodes;

  useCluster(KINDS, "bus", (started) => { ({ redis, nodes } = started); });

  test("a paused node affects no other node, and receives the missed events when it resumes", async () => {
    for (const stopped of nodes) {
      const { members } = await assemble(nodes);
      answering(members);
      const late = members[nodes.indexOf(stopped)];
      const present = members.filter((member) => member !== late);
      await stopped.pause();
      try {
        for (const { node: from } of present) {
          await staysUnanswered(from, late.id);
          await control(from, { op: "emit", event: "on", args: [nodes.indexOf(from)] });
          for (const member of present) assert.deepEqual(await member.until(from), [["on", nodes.indexOf(from)]]);
        }
        await areAnswered(present.map(({ node }) => node), present);
      } finally {
        stopped.resume();
      }
      const events = [];
      for (const { node: from } of present) events.push(...(await late.until(from)));
      const ons = bySender(events.filter(([event]) => event === "on"), nodes);
      assert.deepEqual(ons, nodes.map((node, at) => (node === stopped ? [] : [["on", at]])), stopped.kind);
      assert.equal(events.length, 4, "and it was asked by both");
      await areAnswered(nodes, members);
      Member.allLeave();
    }
  });

  test("a killed node affects no other node", async () => {
    const { members } = await assemble(nodes);
    answering(members);
    for (const kind of new Set(KINDS)) {
      const doomed = await startNode(kind, "bus", redis);
      const client = await Member.enter(doomed);
      const { id } = client;
      for (const from of nodes) await client.reached(from, [id]);
      await control(doomed, { op: "emit", event: "last", args: [] });
      for (const member of members) await member.expect("last");
      await doomed.kill();
      for (const from of nodes) {
        await staysUnanswered(from, id);
        await control(from, { op: "emit", event: "after", args: [] });
        for (const member of members) assert.deepEqual(await member.until(from), [["after"]], `${from.kind} to ${member.node.kind}`);
      }
      await areAnswered(nodes, members);
    }
  });

  test("while Redis is away local clients are served, and then the cluster is one again", async () => {
    const members = await whileRedisIsAway({
      redis,
      nodes,
      count: AWAY,
      ms: BACK_MS,
      servesItsOwn: () => true,
      isComplete: (from, to) => from === to,
    });
    answering(members);
    await areAnswered(nodes, members);
    await settled(nodes);
  });
});
