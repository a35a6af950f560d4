// Two nodes behind the real nginx and the real HAProxy, by the configurations of docs/proxies.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:http";
import { describe, test } from "node:test";
import {
  CLIENTS, KINDS, WAYS, WITHOUT_STICKINESS, crowd, eventually, losses, site, sizes, split, spread, upgraded,
} from "./proxies.mjs";
import { within } from "./server.mjs";
import { Member, control } from "./cluster/nodes.mjs";

for (const kind of KINDS) {
  describe(kind, () => {
    const it = site(kind);

    for (const transports of WAYS) {
      test(`clients stay on their node: ${transports}`, async () => {
        const { nodes, proxy } = it;
        const forwarded = await it.forwarded();
        const [members] = await spread(proxy, nodes, { transports });
        if (transports.length === 2) await upgraded(members);
        const text = "x".repeat(500_000);
        for (let n = 0; n < 5; n += 1) {
          await Promise.all(members.map(({ socket }) => socket.emitWithAck("join", `room ${n}`)));
          await control(nodes[n % 2], { op: "emit", rooms: ["a"], event: "n", args: [n, text] });
          for (const member of members) {
            const [event, number, came] = await member.next("n");
            assert.deepEqual([event, number, came.length], ["n", n, text.length]);
          }
        }
        const lengths = await Promise.all(members.map(({ socket }) => socket.emitWithAck("length", text)));
        assert.deepEqual(lengths, members.map(() => text.length));
        const ids = (await control(nodes[0], { op: "fetch", rooms: ["a"] })).map((socket) => socket.id);
        assert.deepEqual(ids.sort(), members.map((member) => member.id).sort());
        for (const member of members) assert.ok(member.socket.connected);
        assert.equal(await it.forwarded(), forwarded, "each request has come to the right node");
        const gone = members.map((member) => once(member.socket, "disconnect"));
        for (const member of members) member.leave();
        await Promise.all(gone);
      });

      test(`a message that is too large costs its sender only: ${transports}`, async () => {
        const members = await crowd(it.proxy, { transports });
        // The proxy refuses a large POST, and a client that is upgrading then leaves without a word:
        // its session lasts until its heartbeat fails.
        if (transports.length === 2) await upgraded(members);
        const [member, other] = members;
        const lost = losses([other]);
        const gone = once(member.socket, "disconnect");
        member.socket.emit("length", "x".repeat(1_100_000));
        await within(gone, "the end of a client that says too much");
        assert.equal(await other.socket.emitWithAck("length", "abc"), 3);
        assert.deepEqual(lost, []);
      });

      test(`nodes know whence a client comes, whatever it says itself: ${transports}`, async () => {
        const agent = new Agent({ localAddress: "127.0.0.2" });
        const extraHeaders = { "x-forwarded-for": "192.0.2.1", forwarded: "for=192.0.2.1" };
        const member = await Member.enter(it.proxy, { transports, agent, extraHeaders, withCredentials: true });
        assert.equal(await member.socket.emitWithAck("address"), "127.0.0.2");
        agent.destroy();
      });
    }

    test("a body as large as `max_payload` passes, and a larger one costs no session", async () => {
      const path = `${it.proxy.url}/socket.io/?EIO=4&transport=polling`;
      const opened = await fetch(path);
      const [cookie] = opened.headers.getSetCookie()[0].split(";");
      const { sid, maxPayload } = JSON.parse((await opened.text()).slice(1));
      const post = (body) => fetch(`${path}&sid=${sid}`, { method: "POST", body, headers: { cookie } });
      const event = (size) => `42["length","${"x".repeat(size - 15)}"]`;
      await post("40");
      // The last is the proxy's own limit, with nginx.
      for (const [size, status] of [[maxPayload, 200], [maxPayload + 1, 413], [2 ** 20, 413], [2 ** 20 + 1, 413]]) {
        const body = event(size);
        assert.deepEqual([body.length, (await post(body)).status], [size, status]);
      }
      assert.equal(await (await post("41")).text(), "ok");
    });
  });

  describe(`${kind} without stickiness`, () => {
    const it = site(kind, WITHOUT_STICKINESS[kind]);

    test("polls are forwarded to the node that has the session", async () => {
      const { nodes, proxy } = it;
      const members = await crowd(proxy, { transports: ["polling"] });
      const text = "x".repeat(100_000);
      const forwarded = await it.forwarded();
      for (let n = 0; n < 5; n += 1) {
        const lengths = await Promise.all(members.map(({ socket }) => socket.emitWithAck("length", text)));
        assert.deepEqual(lengths, members.map(() => text.length));
        await control(nodes[n % 2], { op: "emit", rooms: ["a"], event: "n", args: [n, text] });
        for (const member of members) {
          const [event, number, came] = await member.next("n");
          assert.deepEqual([event, number, came.length], ["n", n, text.length]);
        }
      }
      assert.ok((await sizes(nodes)).every((size) => size > 0));
      for (const member of members) assert.ok(member.socket.connected);
      // Each client has sent five messages, and every other request is at the wrong node.
      const messages = await it.forwarded() - forwarded;
      assert.ok(messages > members.length, `${messages} messages of polls that were forwarded`);
    });

    test("clients upgrade if they can, and continue polling otherwise", async () => {
      const members = [];
      const names = new Set();
      // Which node an upgrade comes to is by chance.
      for (let tries = 0; names.size < 2; tries += 1) {
        assert.ok(tries < 5, `all clients are on ${[...names]}`);
        for (const member of await crowd(it.proxy, { transports: ["polling", "websocket"] })) {
          const expected = await within(member.upgraded, "the end of an upgrade") ? "websocket" : "polling";
          const { name } = member.socket.io.engine.transport;
          assert.equal(name, expected);
          names.add(name);
          members.push(member);
        }
      }
      const lost = losses(members);
      for (let n = 0; n < 20; n += 1) {
        const lengths = await Promise.all(members.map(({ socket }) => socket.emitWithAck("length", "abc")));
        assert.deepEqual(lengths, members.map(() => 3));
      }
      assert.deepEqual(lost, []);
    });

    test("a poll that waits for a node that dies ends early", async () => {
      const { nodes } = it;
      const [home, away] = nodes;
      const opened = await (await fetch(`${home.url}/socket.io/?EIO=4&transport=polling`)).text();
      const { sid } = JSON.parse(opened.slice(1));
      const target = `${away.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
      const post = await fetch(target, { method: "POST", body: "40" });
      assert.equal(await post.text(), "ok");
      const connected = await (await fetch(target)).text();
      assert.match(connected, /^40\{"sid":/);
      const waiting = fetch(target);
      await home.kill();
      const ended = await within(waiting, "the poll to end");
      assert.equal(ended.status, 400);
      assert.deepEqual(await ended.json(), { code: 1, message: "Session ID unknown" });
      const next = await fetch(target, { method: "POST", body: "3" });
      assert.deepEqual(await next.json(), { code: 1, message: "Session ID unknown" });
      await home.start();
    });
  });
}

describe("haproxy, by its socket", () => {
  const it = site("haproxy");

  test("a node that is drained keeps its clients and gets no new ones", async () => {
    const { nodes, proxy } = it;
    const members = await crowd(proxy, { transports: ["polling"] });
    const [staying] = await split(nodes[0], members);
    const lost = losses(members);
    await proxy.admin("set server nodes/node1 state drain");
    const [before] = await sizes(nodes);
    const newcomers = await crowd(proxy, { transports: ["websocket"] });
    assert.deepEqual(await sizes(nodes), [before, 2 * CLIENTS - before]);
    await Promise.all(staying.map(({ socket }) => socket.emitWithAck("length", "abc")));
    assert.deepEqual(lost, []);
    await proxy.admin("set server nodes/node1 state ready");
    for (const member of [...members, ...newcomers]) member.leave();
    await eventually("clients on the node that is ready", async () => {
      const member = await Member.enter(proxy, { rooms: ["a"] });
      const [size] = await sizes(nodes);
      member.leave();
      return size > 0;
    });
  });
});

describe("nginx, a node that is taken out", () => {
  const it = site("nginx");

  test("its clients stay, by WebSockets and through the other node, and it gets no new ones", async () => {
    const { nodes, proxy } = it;
    const members = [...await crowd(proxy, { transports: ["polling"] }), ...await crowd(proxy, { transports: ["websocket"] })];
    const lost = losses(members);
    const [staying] = await split(nodes[0], members);
    const names = staying.map(({ socket }) => socket.io.engine.transport.name);
    assert.deepEqual([...new Set(names)].sort(), ["polling", "websocket"]);
    await proxy.reload([[`127.0.0.1:${nodes[0].port}`, `127.0.0.1:${nodes[0].port} down`]]);
    // An old worker of nginx serves the connections that it has.
    await eventually("new clients to go to the other node only", async () => {
      const [before] = await sizes(nodes);
      const newcomers = await crowd(proxy, { transports: ["websocket"] });
      const [now] = await sizes(nodes);
      for (const member of newcomers) member.leave();
      return now <= before;
    });
    for (let n = 0; n < 5; n += 1) {
      await Promise.all(staying.map(({ socket }) => socket.emitWithAck("length", "abc")));
      await control(nodes[1], { op: "emit", rooms: ["a"], event: "n", args: [n] });
      for (const member of staying) assert.deepEqual(await member.next("n"), ["n", n]);
    }
    assert.deepEqual(lost, []);
  });
});
