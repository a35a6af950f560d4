// What goes wrong in a cluster: nodes that die or stop, Redis that goes away.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createClient } from "redis";
import { startRedis } from "../redis.mjs";
import { eventually } from "../server.mjs";
import { Member, assemble, bySender, control, settled, startNode } from "./nodes.mjs";
import { whileRedisIsAway } from "./suite.mjs";

const KINDS = (process.env.CLUSTER_KINDS ?? "rust,node,rust").split(",");
const SHORT_MS = 700;
const EARLY_MS = 3_000;
const NOTICED_MS = 15_000;
const AWAY = 20;
const BACK_MS = 10_000;
/** Where the names of nodes stand in Redis: each listens on a channel that has its own in it. */
const NAMES = {
  classic: ["CHANNELS", "socket.io-response#/#*#"],
  sharded: ["SHARDCHANNELS", "socket.io#/#*#"],
  streams: ["CHANNELS", "socket.io#/#*#"],
};

/** Lets a client answer with its id. */
function answering(member) {
  member.socket.on("ask", (question, ack) => ack(member.id));
}

/** What a node says of a question to three nodes that one did not answer. */
function partial(from, silent, mode) {
  if (from.kind === "node") return /timeout/;
  const named = `unresponsive_nodes: \\[${silent.name}\\], unidentified_nodes: 0,`;
  // Answers of Node.js servers in the classic format do not say whose they are.
  const isAmbiguous = mode === "classic" && KINDS.includes("node");
  return new RegExp(`2 sockets, .*(${named}${isAmbiguous ? "|unresponsive_nodes: \\[\\], unidentified_nodes: 1," : ""})`);
}

/** Requests of three kinds end with what the clients `ids` and `servers` other servers say, at their timeout. */
async function endsPartially(from, at, stopped, ids, servers, mode) {
  const pair = `${from.kind} asks, ${stopped.kind} has stopped`;
  const begun = Date.now();
  const asked = (order) => control(from, { args: [at], timeout: SHORT_MS, ...order }).finally(() => {
    // Node.js asks servers, and for sockets where the format is classic, for 5 s whatever the caller says.
    const latest = from.kind === "rust" || order.op === "ask" ? EARLY_MS : 2 * EARLY_MS;
    const lasted = Date.now() - begun;
    assert.ok(lasted >= SHORT_MS && lasted < latest, `${pair}: ${order.op} took ${lasted} ms`);
  });
  const [{ answers, timedOut }, , summed] = await Promise.all([
    asked({ op: "ask", event: "ask" }),
    assert.rejects(asked({ op: "fetch" }), partial(from, stopped, mode), pair),
    asked({ op: "serverSideAsk", event: "sum", args: [1] }),
  ]);
  assert.deepEqual([answers.sort(), timedOut], [ids, true], pair);
  assert.deepEqual([summed.answers.length, summed.timedOut], [servers, true], pair);
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
    let lookup;
    const nodes = [];

    /** Starts a node, and learns the name that it has in the cluster. */
    async function startNamed(kind) {
      const names = () => lookup.sendCommand(["PUBSUB", ...NAMES[mode]]);
      const before = await names();
      const node = await startNode(kind, mode, redis);
      const channel = await eventually("the node's name", async () => (await names()).find((name) => !before.includes(name)));
      return Object.assign(node, { name: channel.split("#").at(-2) });
    }

    before(async () => {
      redis = await startRedis();
      lookup = createClient({ url: redis.url, RESP: 2 });
      lookup.on("error", () => {});
      await lookup.connect();
      for (const kind of KINDS) nodes.push(await startNamed(kind));
      await settled(nodes);
    });
    after(async () => {
      lookup?.destroy();
      await Promise.all(nodes.map((node) => node.kill()));
      await redis?.kill();
    });
    afterEach(() => Member.allLeave());

    test("requests to a paused node time out, and it is in the cluster again when it resumes", async () => {
      for (const stopped of nodes) {
        const { members } = await assemble(nodes);
        for (const member of members) answering(member);
        const present = members.filter((member) => member.node !== stopped);
        const ids = present.map((member) => member.id).sort();
        await stopped.pause();
        try {
          await Promise.all(present.map(({ node: from }) => (
            endsPartially(from, nodes.indexOf(from), stopped, ids, nodes.length - 2, mode)
          )));
          for (const { node: from } of present) {
            await control(from, { op: "emit", event: "on", args: [nodes.indexOf(from)] });
            for (const member of present) {
              const events = await member.until(from);
              assert.deepEqual(events.filter(([event]) => event === "on"), [["on", nodes.indexOf(from)]], `${from.kind} to ${member.node.kind}`);
            }
          }
        } finally {
          stopped.resume();
        }
        // Its connections to Redis are there still, and all that was said waits in them.
        const late = members[nodes.indexOf(stopped)];
        const events = [];
        for (const { node: from } of present) events.push(...(await late.until(from)));
        const expected = nodes.map((node, at) => (node === stopped ? [] : [["ask", at], ["on", at]]));
        assert.deepEqual(bySender(events, nodes), expected, `a client of ${stopped.kind} that had stopped`);
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

    test("requests to a killed node end, and the other nodes continue", async () => {
      for (const from of nodes) {
        for (const kind of new Set(KINDS)) {
          const doomed = await startNamed(kind);
          await settled([...nodes, doomed]);
          const { members } = await assemble(nodes);
          for (const member of members) answering(member);
          const client = await Member.enter(doomed);
          const pair = `${from.kind} asks, ${kind} is killed`;
          const ends = from.kind === "rust" && (kind === "rust" || mode !== "classic");
          const begun = Date.now();
          const asking = control(from, { op: "ask", event: "ask", args: ["?"], timeout: ends ? 15_000 : SHORT_MS });
          await client.next("ask");
          // Comes after what it answers, but for streams, where answers go by another way than events.
          await control(doomed, { op: "emit", event: "alive", args: [] });
          for (const member of members) {
            const events = [await member.next("the question"), await member.next("a sign of life")];
            assert.deepEqual(events.map(([event]) => event).sort(), ["alive", "ask"], pair);
          }
          await doomed.kill();
          const { answers, timedOut, missing } = await asking;
          const lasted = Date.now() - begun;
          assert.deepEqual(answers.sort(), members.map((member) => member.id).sort(), pair);
          if (from.kind === "rust" && mode !== "streams") assert.equal(missing, 1, `${pair}: its client is missing`);
          if (ends) assert.ok(lasted < EARLY_MS, `${pair}: ${lasted} ms`);
          else assert.ok(timedOut && lasted >= SHORT_MS, `${pair}: ${lasted} ms`);
          await control(from, { op: "emit", event: "after", args: [] });
          for (const member of members) await member.expect("after");
          for (const node of nodes) await counted(node, nodes.length);
          Member.allLeave();
        }
      }
    });

    test("while Redis is away local clients are served, and then the cluster is one again", async () => {
      await whileRedisIsAway({
        redis,
        nodes,
        count: AWAY,
        ms: BACK_MS,
        // The Node.js adapters of the newer formats tell their own clients when Redis has been told.
        servesItsOwn: (from) => from.kind === "rust" || mode === "classic",
        isComplete: (from, to) => from.kind === "rust" && (mode === "streams" || from === to),
      });
      await settled(nodes);
      for (const node of nodes) await counted(node, nodes.length);
    });
  });
}
