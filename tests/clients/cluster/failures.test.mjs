// What goes wrong in a cluster: nodes that die or stop, Redis that goes away.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startRedis } from "../redis.mjs";
import { Member, assemble, control, settled, startCluster, startNode } from "./nodes.mjs";

const KINDS = (process.env.CLUSTER_KINDS ?? "rust,node,rust").split(",");
const SHORT_MS = 700;
const EARLY_MS = 3_000;
const NOTICED_MS = 15_000;
const AWAY = 20;
const BACK_MS = 10_000;
// What each says of a request that one of three nodes did not answer.
const PARTIAL = { rust: /2 sockets, .*(silent: \[\S+\]|unnamed: 1)/, node: /timeout/ };

/** Lets a client answer with its id. */
function answering(member) {
  member.socket.on("ask", (question, ack) => ack(member.id));
}

/** Requests of three kinds end with what the clients `ids` and `servers` other servers say, at their timeout. */
async function endsPartially(from, stopped, ids, servers) {
  const pair = `${from.kind} asks, ${stopped.kind} has stopped`;
  const begun = Date.now();
  const asked = (order) => control(from, { args: ["?"], timeout: SHORT_MS, ...order }).finally(() => {
    // Node.js asks servers, and for sockets where the format is classic, for 5 s whatever the caller says.
    const latest = from.kind === "rust" || order.op === "ask" ? EARLY_MS : 2 * EARLY_MS;
    const lasted = Date.now() - begun;
    assert.ok(lasted >= SHORT_MS && lasted < latest, `${pair}: ${order.op} took ${lasted} ms`);
  });
  const [{ answers, timedOut }, , summed] = await Promise.all([
    asked({ op: "ask", event: "ask" }),
    assert.rejects(asked({ op: "fetch" }), PARTIAL[from.kind], pair),
    asked({ op: "serverSideAsk", event: "sum", args: [1] }),
  ]);
  assert.deepEqual([answers.sort(), timedOut], [ids, true], pair);
  assert.deepEqual([summed.answers.length, summed.timedOut], [servers, true], pair);
}

/** Keeps what came to a member, by the name of the event. */
function seen(member, [event, ...args]) {
  member.seen ??= {};
  (member.seen[event] ??= []).push(args[0]);
}

/** Waits until a node counts so many nodes: who was killed is noticed after a heartbeat. */
async function counted(node, expected) {
  const deadline = Date.now() + NOTICED_MS;
  for (;;) {
    const found = await control(node, { op: "nodes" });
    if (found === expected) return;
    assert.ok(Date.now() < deadline, `${node.kind} counts ${found} nodes, not ${expected}`);
  }
}

for (const mode of ["classic", "sharded", "streams"]) {
  describe(`${mode}: ${KINDS.join(", ")}`, () => {
    let redis;
    let nodes;

    before(async () => {
      redis = await startRedis();
      nodes = await startCluster(KINDS, mode, redis);
    });
    after(async () => {
      await Promise.all((nodes ?? []).map((node) => node.kill()));
      await redis?.kill();
    });
    afterEach(() => Member.allLeave());

    test("a node that stops is waited for in vain, and is one of the cluster again after it", async () => {
      for (const stopped of nodes) {
        const { members } = await assemble(nodes);
        for (const member of members) answering(member);
        const present = members.filter((member) => member.node !== stopped);
        const ids = present.map((member) => member.id).sort();
        stopped.pause();
        try {
          await Promise.all(present.map(({ node: from }) => endsPartially(from, stopped, ids, nodes.length - 2)));
          for (const { node: from } of present) {
            await control(from, { op: "emit", event: "on", args: [] });
            for (const member of present) {
              const events = await member.until(from);
              assert.deepEqual(events.filter(([event]) => event === "on"), [["on"]], `${from.kind} to ${member.node.kind}`);
            }
          }
        } finally {
          stopped.resume();
        }
        for (const from of nodes) {
          for (const member of members) await member.reached(from, []);
        }
        for (const { node: from } of members) {
          assert.equal((await control(from, { op: "fetch" })).length, members.length, from.kind);
          const { answers } = await control(from, { op: "ask", event: "ask", args: ["?"], timeout: 5_000 });
          assert.equal(answers.length, members.length, from.kind);
        }
        Member.allLeave();
      }
    });

    test("a node that is killed ends what it was asked, and the others go on", async () => {
      for (const from of nodes) {
        for (const kind of new Set(KINDS)) {
          const doomed = await startNode(kind, mode, redis);
          await settled([...nodes, doomed]);
          const { members } = await assemble(nodes);
          for (const member of members) answering(member);
          const client = await Member.enter(doomed);
          const pair = `${from.kind} asks, ${kind} is killed`;
          const ends = from.kind === "rust" && (kind === "rust" || mode !== "classic");
          const begun = Date.now();
          const asking = control(from, { op: "ask", event: "ask", args: ["?"], timeout: ends ? 15_000 : SHORT_MS });
          await client.next("ask");
          await doomed.kill();
          const { answers } = await asking;
          assert.deepEqual(answers.sort(), members.map((member) => member.id).sort(), pair);
          assert.ok(Date.now() - begun < EARLY_MS, `${pair}: ${Date.now() - begun} ms`);
          for (const member of members) await member.expect("ask", "?");
          await control(from, { op: "emit", event: "after", args: [] });
          for (const member of members) await member.expect("after");
          for (const node of nodes) await counted(node, nodes.length);
          Member.allLeave();
        }
      }
    });

    test("while Redis is away local clients are served, and then the cluster is one again", async () => {
      const { members } = await assemble(nodes);
      await redis.kill();
      for (const [at, from] of nodes.entries()) {
        for (let n = 0; n < AWAY; n += 1) await control(from, { op: "emit", event: `of ${at}`, args: [n] });
        // The Node.js adapters of the newer formats tell their own clients when Redis has been told.
        if (from.kind !== "rust" && mode !== "classic") continue;
        for (let n = 0; n < AWAY; n += 1) seen(members[at], await members[at].expect(`of ${at}`, n));
      }
      await redis.start();
      const since = Date.now();
      const marks = new Map();
      while (marks.size < nodes.length * members.length) {
        for (const [at, from] of nodes.entries()) await control(from, { op: "emit", event: `mark of ${at}`, args: [] });
        for (const [to, member] of members.entries()) {
          const event = await member.next("a mark", 300).catch(() => undefined);
          for (let next = event; next; next = await member.next("a mark", 20).catch(() => undefined)) {
            seen(member, next);
            if (next[0].startsWith("mark")) marks.set(`${next[0]} at ${to}`, Date.now() - since);
          }
        }
        const missing = () => `${[...marks.keys()].sort()} only, ${Date.now() - since} ms after Redis was back`;
        assert.ok(Date.now() - since < BACK_MS, missing());
      }
      const expected = Array.from({ length: AWAY }, (_, n) => n);
      for (const [at, from] of nodes.entries()) {
        for (const [to, member] of members.entries()) {
          if (from.kind !== "rust" || (mode !== "streams" && at !== to)) continue;
          assert.deepEqual(member.seen[`of ${at}`], expected, `${from.kind} to ${member.node.kind}`);
        }
      }
      await settled(nodes);
      for (const node of nodes) await counted(node, nodes.length);
    });
  });
}
