// Connection state recovery with the official client: on one node, across nodes, and after a SIGKILL.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRedis } from "../redis.mjs";
import { within } from "../server.mjs";
import { Member, control, settled, startNode } from "./nodes.mjs";

const RECOVERY = { RECOVERY: "1" };

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

    async function missed(member, from, count) {
      const events = [];
      while (events.length < count) events.push(await member.next("what was missed"));
      await control(from, { op: "emit", rooms: [member.id], event: "live", args: [] });
      const [live] = await member.next("live");
      assert.equal(live, "live");
      return plain(events);
    }

    test("a client gets what it missed on the same node and on another", async () => {
      const [one, two] = nodes;
      const member = await Member.enter(one, { rooms: ["a"], transports });
      const { id } = member;
      await member.socket.emitWithAck("set", "name", "Ann");
      await member.next("nothing yet", 200).catch(() => {});
      for (const node of [one, two, one]) {
        await control(one, { op: "emit", rooms: ["a"], event: "volatile", args: ["a string"], volatile: true });
        await member.next("volatile", 1000).catch(() => {});
        const back = await comeBack(member, node);
        await control(one, { op: "emit", rooms: ["a"], event: "n", args: [1] });
        await control(two, { op: "emit", rooms: ["b"], event: "n", args: [2] });
        await control(two, { op: "emit", rooms: ["a"], event: "n", args: [3] });
        await control(two, { op: "emit", event: "n", args: [{ $binary: "AQ==" }] });
        await back();
        assert.ok(member.socket.recovered, `recovered on ${node.url}`);
        assert.equal(member.id, id);
        const events = (await missed(member, node, 3)).map(([, n]) => (Buffer.isBuffer(n) ? "binary" : n));
        assert.deepEqual(events.sort(), [1, 3, "binary"]);
        const [found] = await control(two, { op: "fetch", rooms: [id] });
        assert.deepEqual(found, { id, rooms: ["a"], data: { name: "Ann" } });
      }
      member.leave();
    });

    test("a client of a node that was killed goes on where it was", async () => {
      const doomed = await startNode("rust", "streams", redis, RECOVERY);
      await settled([nodes[0], doomed]);
      const member = await Member.enter(doomed, { rooms: ["a"], transports });
      const { id } = member;
      await control(doomed, { op: "emit", rooms: ["a"], event: "seen", args: [0] });
      await member.next("seen");
      const gone = new Promise((resolve) => { member.socket.once("disconnect", resolve); });
      await doomed.kill();
      await within(gone, "the connection to be lost");
      for (let n = 0; n < 10; n += 1) await control(nodes[n % 2], { op: "emit", rooms: ["a"], event: "n", args: [n] });
      member.socket.io.uri = nodes[1].url;
      const back = new Promise((resolve) => { member.socket.once("connect", resolve); });
      member.socket.connect();
      await within(back, "the client to be back");
      assert.ok(member.socket.recovered);
      assert.equal(member.id, id);
      const events = (await missed(member, nodes[0], 10)).map(([, n]) => n);
      assert.deepEqual(events.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      member.leave();
    });
  });
}
