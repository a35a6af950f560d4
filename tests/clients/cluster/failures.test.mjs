// What goes wrong in a cluster: nodes that die or stop, Redis that goes away. And who is outside of it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { startRedis } from "../redis.mjs";
import { within } from "../server.mjs";
import { Member, control, settled, startCluster, startNode } from "./nodes.mjs";

const EARLY_MS = 3_000;

for (const mode of ["classic", "sharded", "streams"]) {
  describe(mode, () => {
    let redis;
    let nodes;

    before(async () => {
      redis = await startRedis();
      nodes = await startCluster(["rust", "node", "rust"], mode, redis);
    });
    after(async () => {
      await Promise.all((nodes ?? []).map((node) => node.kill()));
      await redis?.kill();
    });

    test("a node that stops reading is waited for in vain, and is one of the cluster again after it", async () => {
      const [rust, node, other] = nodes;
      for (const stopped of [node, other]) {
        const local = await Member.enter(rust);
        stopped.pause();
        const begun = Date.now();
        await assert.rejects(control(rust, { op: "fetch", timeout: 600 }), /1 sockets, .*silent: \[\S+\]|unnamed: 1/);
        assert.ok(Date.now() - begun < EARLY_MS);
        await control(rust, { op: "emit", event: "on", args: [] });
        await local.expect("on");
        stopped.resume();
        await local.reached(stopped, []);
        assert.equal((await control(rust, { op: "fetch" })).length, 1);
        local.leave();
      }
    });

    test("a node that is killed ends what it was asked, and the others go on", async () => {
      const [rust, node] = nodes;
      for (const kind of ["node", "rust"]) {
        const doomed = await startNode(kind, mode, redis);
        await settled([rust, doomed]);
        const client = await Member.enter(doomed);
        const begun = Date.now();
        const asking = control(rust, { op: "ask", event: "ask", args: [], timeout: 15_000 });
        await client.next("ask");
        await doomed.kill();
        const { answers } = await asking;
        assert.deepEqual(answers, []);
        if (kind === "rust" || mode !== "classic") {
          assert.ok(Date.now() - begun < EARLY_MS, `${Date.now() - begun} ms`);
        }
        assert.equal(await control(rust, { op: "nodes" }), 3);
        const member = await Member.enter(node);
        await control(rust, { op: "emit", event: "after", args: [] });
        await member.expect("after");
        member.leave();
      }
    });

    test("while Redis is away local clients are served, and then the cluster is one again", async () => {
      const [rust, node, other] = nodes;
      const [local, remote, third] = await Promise.all([rust, node, other].map((one) => Member.enter(one)));
      await redis.kill();
      for (let n = 0; n < 20; n += 1) await control(rust, { op: "emit", event: "away", args: [n] });
      for (let n = 0; n < 20; n += 1) await local.expect("away", n);
      await redis.start();
      if (mode === "streams") {
        for (let n = 0; n < 20; n += 1) await third.expect("away", n);
      }
      const drain = async (member, from) => {
        const mark = `back ${member.id}`;
        const deadline = Date.now() + 10_000;
        for (;;) {
          await control(from, { op: "emit", rooms: [member.id], event: mark, args: [] });
          for (;;) {
            const event = await member.next(mark, 300).catch(() => undefined);
            if (event?.[0] === mark) return;
            if (!event) break;
          }
          assert.ok(Date.now() < deadline, `nothing of ${from.kind} arrives at ${member.node.kind}`);
        }
      };
      await drain(third, rust);
      await drain(remote, rust);
      await drain(local, node);
      await drain(local, other);
      for (const member of [local, remote, third]) member.leave();
    });
  });
}

describe("the official emitter", () => {
  let redis;
  let nodes;
  let client;
  let emitter;

  before(async () => {
    redis = await startRedis();
    nodes = await startCluster(["rust", "node"], "classic", redis);
    client = createClient({ url: redis.url, RESP: 2 });
    await client.connect();
    emitter = new Emitter(client);
  });
  after(async () => {
    await client?.close();
    await Promise.all((nodes ?? []).map((node) => node.kill()));
    await redis?.kill();
  });

  test("reaches the clients of Rust nodes and their programs", async () => {
    const members = await Promise.all(nodes.map((node, at) => Member.enter(node, { rooms: ["a", `own${at}`] })));
    emitter.emit("all", 1, { two: [null] });
    emitter.to("own0").emit("binary", Buffer.from([1, 2]));
    emitter.to(["own0", "own1"]).except("own1").emit("except", "é");
    for (const member of members) await member.expect("all", 1, { two: [null] });
    assert.deepEqual((await members[0].next())[1], Buffer.from([1, 2]));
    await members[0].expect("except", "é");
    emitter.in("own0").socketsJoin(["x"]);
    emitter.to("x").emit("joined");
    await members[0].expect("joined");
    emitter.in("own0").socketsLeave(["x"]);
    emitter.to("x").emit("left");
    emitter.serverSideEmit("note", 7);
    emitter.of("/chat").emit("elsewhere");
    const gone = members.map((member) => new Promise((resolve) => { member.socket.once("disconnect", resolve); }));
    emitter.in("a").disconnectSockets(true);
    for (const reason of gone) {
      assert.match(await within(reason, "the clients to go"), /^(io server disconnect|transport close)$/);
    }
    const heard = await control(nodes[0], { op: "heard" });
    assert.deepEqual(heard, [{ nsp: "/", event: "note", args: [7] }]);
  });
});
