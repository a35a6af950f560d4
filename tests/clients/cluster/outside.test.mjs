// Processes that are no servers, and reach the clients of every kind of node through Redis: the official
// emitter of Node.js, our own, and Flask-SocketIO's message queue.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { after, afterEach, before, describe, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { startRedis } from "../redis.mjs";
import { eventually, within } from "../server.mjs";
import { Member, assemble, calm, control, marked, startCluster } from "./nodes.mjs";
import { useCluster } from "./suite.mjs";

const KINDS = (process.env.CLUSTER_KINDS ?? "rust,node,rust").split(",");
const BUS_KINDS = (process.env.BUS_KINDS ?? "rust,python,rust").split(",");
const EVENTS = 300;
const TRIES = 20;
const BLOCKS = 40;
const gone = (member) => within(
  new Promise((resolve) => { member.socket.once("disconnect", resolve); }),
  `a client of ${member.node.kind} to go`,
);

describe(`the official emitter: ${KINDS.join(", ")}`, () => {
  let redis;
  let nodes;
  let client;
  let emitter;

  before(async () => {
    redis = await startRedis();
    nodes = await startCluster(KINDS, "classic", redis);
    client = createClient({ url: redis.url, RESP: 2 });
    await client.connect();
    emitter = new Emitter(client);
  });
  after(async () => {
    await client?.close();
    await Promise.all((nodes ?? []).map((node) => node.kill()));
    await redis?.kill();
  });
  afterEach(() => Member.allLeave());

  let fences = 0;
  /** What came to each of the members from the emitter until now. */
  async function came(of, members) {
    const fence = `fence of the emitter ${(fences += 1)}`;
    of.emit(fence);
    return Promise.all(members.map(async (member) => {
      const events = [];
      for (;;) {
        const event = await member.next(fence);
        if (event[0] === fence) return events;
        events.push(marked(event));
      }
    }));
  }

  for (const nsp of ["/", "/chat"]) {
    test(`${nsp}: emits to all, to rooms and to a socket, with bytes and in order`, async () => {
      const { members, shared } = await assemble(nodes, nsp);
      const of = nsp === "/" ? emitter : emitter.of(nsp);
      const [first, second, third] = members;
      for (const args of [[], [null, -1.5, "é"], [Buffer.from([1, 2])], [{ deep: [Buffer.from([3]), { z: [] }] }]]) {
        of.emit("all", ...args);
        assert.deepEqual(await came(of, members), members.map(() => [["all", ...marked(args)]]));
      }
      of.to(first.own).emit("one");
      of.to(second.id).emit("id");
      of.to([first.own, shared]).except(third.own).emit("union");
      const [ofFirst, ofSecond, ofThird] = await came(of, members);
      assert.deepEqual(ofFirst, [["one"], ["union"]]);
      assert.deepEqual(ofSecond, [["id"], ["union"]]);
      assert.deepEqual(ofThird, []);
      // It may be lost where a client's connection is busy, but comes to those that are not, once.
      const heard = new Set();
      for (let n = 0; heard.size < members.length; n += 1) {
        assert.ok(n < TRIES, `volatile events came to ${[...heard]} only`);
        of.volatile.emit("volatile", n);
        for (const [at, events] of (await came(of, members)).entries()) {
          if (events.length > 0) assert.deepEqual(events, [["volatile", n]]);
          if (events.length > 0) heard.add(at);
        }
      }
      for (let n = 0; n < EVENTS; n += 1) (n % 2 ? of : of.to(shared)).emit("n", n);
      const expected = Array.from({ length: EVENTS }, (_, n) => ["n", n]);
      assert.deepEqual(await came(of, members), members.map(() => expected));
    });

    test(`${nsp}: joins, leaves and disconnects`, async () => {
      const { members, shared } = await assemble(nodes, nsp);
      const of = nsp === "/" ? emitter : emitter.of(nsp);
      for (const [at, member] of members.entries()) {
        of.in(member.own).socketsJoin(["x", `x${at}`]);
        of.to("x").emit("joined", at);
        const heard = await came(of, members);
        assert.deepEqual(heard, members.map((_, to) => (to === at ? [["joined", at]] : [])), member.node.kind);
        of.in(member.id).socketsLeave("x");
        of.to("x").emit("left");
        assert.deepEqual(await came(of, members), [[], [], []], member.node.kind);
      }
      for (const close of [true, false]) {
        const { members: others } = await assemble(nodes, nsp);
        const reasons = others.map(gone);
        for (const other of others) of.in(other.own).disconnectSockets(close);
        for (const reason of await Promise.all(reasons)) assert.match(reason, /^(io server disconnect|transport close)$/);
      }
      of.to(shared).emit("still");
      assert.deepEqual(await came(of, members), members.map(() => [["still"]]));
    });
  }

  test("its events between servers are heard once by each", async () => {
    emitter.serverSideEmit("note", 7, { y: ["é"] });
    emitter.of("/chat").serverSideEmit("note", 8);
    const { members } = await assemble(nodes);
    await calm(nodes, members);
    for (const node of nodes) {
      const heard = await control(node, { op: "heard" });
      const expected = [{ nsp: "/", event: "note", args: [7, { y: ["é"] }] }, { nsp: "/chat", event: "note", args: [8] }];
      assert.deepEqual(heard.sort((one, two) => one.nsp.length - two.nsp.length), expected, node.kind);
      assert.equal(await control(node, { op: "nodes" }), nodes.length, "the emitter is no node");
    }
  });
});

for (const mode of ["classic", "sharded", "streams", "bus"]) {
  const kinds = mode === "bus" ? BUS_KINDS : KINDS;
  describe(`our own emitter, ${mode}: ${kinds.join(", ")}`, () => {
    let nodes;

    useCluster(kinds, mode, (started) => { ({ nodes } = started); });

    /** The first node is only asked to hold the emitter, which is none of the cluster's. */
    const outside = (order) => control(nodes[0], { outside: true, args: [], ...order });
    let fences = 0;
    /** What came to each of the members from the emitter until now. */
    async function came(nsp, members) {
      const fence = `fence of the emitter ${(fences += 1)}`;
      await outside({ op: "emit", nsp, event: fence });
      return Promise.all(members.map(async (member) => {
        const events = [];
        for (;;) {
          const event = await member.next(fence);
          if (event[0] === fence) return events;
          events.push(marked(event));
        }
      }));
    }

    for (const nsp of ["/", "/chat"]) {
      test(`${nsp}: emits to all, to rooms and to sockets, with bytes and in order`, async () => {
        const { members, shared } = await assemble(nodes, nsp);
        const [first, second, third] = members;
        for (const args of [[], [1, null, "é"], [{ $binary: "AQI=" }], [{ deep: [{ $binary: "Aw==" }, { z: [] }] }]]) {
          await outside({ op: "emit", nsp, event: "all", args });
          assert.deepEqual(await came(nsp, members), members.map(() => [["all", ...args]]));
        }
        await outside({ op: "emit", nsp, rooms: [first.own], event: "one" });
        await outside({ op: "emit", nsp, rooms: [second.id], event: "id" });
        await outside({ op: "emit", nsp, rooms: [first.own, second.own], event: "union" });
        await outside({ op: "emit", nsp, rooms: [shared], except: [third.id], event: "skip" });
        const [ofFirst, ofSecond, ofThird] = await came(nsp, members);
        assert.deepEqual(ofFirst, [["one"], ["union"], ["skip"]]);
        assert.deepEqual(ofSecond, [["id"], ["union"], ["skip"]]);
        assert.deepEqual(ofThird, []);
        const expected = [];
        for (let block = 0; block < BLOCKS; block += 1) {
          await outside({ op: "emitMany", nsp, rooms: block % 2 ? [shared] : [], event: `block ${block}`, count: 5 });
          for (let n = 0; n < 5; n += 1) expected.push([`block ${block}`, n]);
        }
        assert.deepEqual(await came(nsp, members), members.map(() => expected));
      });

      test(`${nsp}: lets sockets join, leave and go, and closes rooms`, async () => {
        const { members, shared } = await assemble(nodes, nsp);
        // Formats by sharded channels have a node listen for a new room in the background.
        const reaches = async (room, at) => {
          await eventually(`a client of ${nodes[at].kind} to be in ${room}`, async () => {
            await outside({ op: "emit", nsp, rooms: [room], event: "joined" });
            const heard = await came(nsp, members);
            assert.deepEqual(heard.filter((events, to) => to !== at && events.length > 0), []);
            return heard[at].length > 0;
          });
        };
        for (const [at, member] of members.entries()) {
          const room = `x${at} of ${shared}`;
          await outside({ op: "join", nsp, rooms: [member.id], targets: [room] });
          await reaches(room, at);
          await outside({ op: "leave", nsp, rooms: [member.id], targets: [room] });
          await outside({ op: "emit", nsp, rooms: [room], event: "left" });
          assert.deepEqual(await came(nsp, members), [[], [], []], member.node.kind);
          // Node.js has no word for it.
          if (member.node.kind !== "node") {
            await outside({ op: "join", nsp, rooms: [member.id], targets: [`y${at} of ${shared}`] });
            await reaches(`y${at} of ${shared}`, at);
            await outside({ op: "closeRoom", nsp, rooms: [`y${at} of ${shared}`] });
            await outside({ op: "emit", nsp, rooms: [`y${at} of ${shared}`], event: "closed" });
            assert.deepEqual(await came(nsp, members), [[], [], []], member.node.kind);
          }
        }
        for (const node of nodes) {
          for (const close of [true, false]) {
            const leaving = await Member.enter(node, { nsp });
            const reason = gone(leaving);
            await outside({ op: "disconnect", nsp, rooms: [leaving.id], close });
            assert.match(await reason, /^(io server disconnect|transport close)$/);
          }
        }
        assert.deepEqual(await came(nsp, members), [[], [], []]);
      });
    }

    test("its events between servers are heard once by each", async () => {
      if (mode === "bus") {
        await assert.rejects(outside({ op: "serverSideEmit", event: "note", args: [7] }));
        return;
      }
      const args = [7, { y: ["é"] }];
      await outside({ op: "serverSideEmit", event: "note", args });
      for (const node of nodes) {
        const heard = await eventually(`${node.kind} to hear it`, async () => {
          const all = await control(node, { op: "heard" });
          return all.length > 0 && all;
        });
        assert.deepEqual(heard, [{ nsp: "/", event: "note", args }], node.kind);
        assert.equal(await control(node, { op: "nodes" }), nodes.length, "the emitter is no node");
      }
    });
  });
}

describe(`SocketIO(message_queue=…): ${BUS_KINDS.join(", ")}`, () => {
  let redis;
  let nodes;
  let outside;
  let lines;

  before(async () => {
    redis = await startRedis();
    nodes = await startCluster(BUS_KINDS, "bus", redis);
    const script = fileURLToPath(new URL("flask_outside.py", import.meta.url));
    outside = spawn(process.env.PYTHON ?? "python3", [script], {
      env: { ...process.env, REDIS_URL: redis.url },
      stdio: ["pipe", "pipe", "inherit"],
    });
    lines = createInterface({ input: outside.stdout })[Symbol.asyncIterator]();
  });
  after(async () => {
    outside?.kill("SIGKILL");
    await Promise.all((nodes ?? []).map((node) => node.kill()));
    await redis?.kill();
  });
  afterEach(() => Member.allLeave());

  /** Gives the process an order, and waits until it has done it. */
  async function obeyed(order) {
    outside.stdin.write(`${JSON.stringify(order)}\n`);
    const { value: error } = await within(lines.next(), `the process to ${order.op}`, 20_000);
    assert.equal(error, "", order.op);
  }

  const SHAPES = [
    [], [1, "two"], [[1, 2]], [-1.5, 4_294_967_296, true], ["é\u{1f600}\n\"q\"\u2028"], [""], [[]], [{}],
    [{ z: [1.5, { b: null }] }], [{ _placeholder: true, num: 0 }], ["s".repeat(70_000)],
    [{ $binary: "AAEC/w==" }], [{ $binary: "" }, 1], ["mixed", { deep: [{ $binary: "AQ==" }, 2, { $binary: "Ag==" }] }],
  ];

  for (const nsp of ["/", "/chat"]) {
    test(`${nsp}: events of every shape reach all, rooms and sockets`, async () => {
      const { members, shared } = await assemble(nodes, nsp);
      const [first, second, third] = members;
      for (const args of SHAPES) {
        for (const to of [undefined, shared]) {
          await obeyed({ op: "emit", nsp, event: "shape", args, to });
          for (const member of members) {
            assert.deepEqual(marked(await member.next("shape")), ["shape", ...args], member.node.kind);
          }
        }
      }
      // The queue has the same for null as for nothing.
      await obeyed({ op: "emit", nsp, event: "nothing", args: [null] });
      for (const member of members) assert.deepEqual(await member.next("nothing"), ["nothing"], member.node.kind);
      await obeyed({ op: "emit", nsp, event: "one", args: [1], to: first.own });
      await obeyed({ op: "emit", nsp, event: "id", args: [1], to: second.id });
      await obeyed({ op: "emit", nsp, event: "both", args: [1], to: [first.own, third.own] });
      await obeyed({ op: "emit", nsp, event: "skip", args: [1], to: shared, skip: [second.id, third.id] });
      await obeyed({ op: "managerEmit", nsp, event: "manager", args: [{ $binary: "AQ==" }] });
      const bytes = ["manager", { $binary: "AQ==" }];
      const expected = [[["one", 1], ["both", 1], ["skip", 1], bytes], [["id", 1], bytes], [["both", 1], bytes]];
      for (const [at, member] of members.entries()) {
        for (const event of expected[at]) assert.deepEqual(marked(await member.next(event[0])), event, member.node.kind);
        assert.deepEqual(await member.until(member.node), []);
      }
      for (let n = 0; n < EVENTS; n += 1) await obeyed({ op: "emit", nsp, event: "n", args: [n], to: n % 2 ? shared : undefined });
      for (const member of members) for (let n = 0; n < EVENTS; n += 1) await member.expect("n", n);
    });

    test(`${nsp}: sockets enter, leave and go, and rooms are closed`, async () => {
      const { members, shared } = await assemble(nodes, nsp);
      let fence = 0;
      const heard = async (event) => {
        await obeyed({ op: "emit", nsp, event, args: [1], to: "x" });
        await obeyed({ op: "emit", nsp, event: "fence", args: [(fence += 1)] });
        const counts = [];
        for (const member of members) {
          let count = 0;
          while ((await member.next("fence"))[0] === event) count += 1;
          counts.push(count);
        }
        return counts;
      };
      for (const [at, member] of members.entries()) {
        await obeyed({ op: "enter", nsp, to: member.id, room: "x" });
        assert.deepEqual(await heard("entered"), members.map((_, to) => (to === at ? 1 : 0)), member.node.kind);
        await obeyed({ op: "leave", nsp, to: member.id, room: "x" });
        assert.deepEqual(await heard("left"), [0, 0, 0], member.node.kind);
      }
      for (const member of members) await obeyed({ op: "enter", nsp, to: member.id, room: "x" });
      assert.deepEqual(await heard("all entered"), [1, 1, 1]);
      await obeyed({ op: "close", nsp, room: "x" });
      assert.deepEqual(await heard("closed"), [0, 0, 0]);
      for (const node of nodes) {
        const leaving = await Member.enter(node, { nsp, rooms: [shared] });
        const reason = gone(leaving);
        await obeyed({ op: "disconnect", nsp, to: leaving.id });
        assert.equal(await reason, "io server disconnect", node.kind);
      }
      assert.deepEqual(await heard("nobody else went"), [0, 0, 0]);
    });
  }
});
