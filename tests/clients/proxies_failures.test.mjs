// Nodes that die, hang or can not be reached behind the real nginx and the real HAProxy, by the
// configurations of docs/proxies.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import {
  AGAIN, CLIENTS, KINDS, MOVED_MS, WAYS, crowd, eventually, losses, site, sizes, split, spread, startProxy, upgraded,
} from "./proxies.mjs";
import { startRedis } from "./redis.mjs";
import { within } from "./server.mjs";
import { Member, settled, startCluster } from "./cluster/nodes.mjs";

/** The documents' ten seconds are long for a test. */
const TRIED_AGAIN_SOON = [1, 2].map(() => ["fail_timeout=10s", "fail_timeout=1s"]);

/**
 * Starts what holds a port and takes no more connections, as a machine that is gone: the handshake of
 * TCP gets no answer.
 */
async function startUnreachable() {
  const listen = 'const s = require("net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(s.address().port))';
  const child = spawn(process.execPath, ["-e", listen], { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  const [line] = await once(child.stdout, "data", { signal: AbortSignal.timeout(MOVED_MS) });
  child.kill("SIGSTOP");
  const port = Number(line);
  const held = [];
  for (;;) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    held.push(socket);
    if (!(await within(once(socket, "connect"), "a queue that is full", 500).catch(() => false))) break;
    assert.ok(held.length < 20, "the port still takes connections");
  }
  return {
    port,
    end: () => {
      for (const socket of held) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}

for (const kind of KINDS) {
  describe(`${kind}, a node dies`, () => {
    const it = site(kind, kind === "nginx" ? TRIED_AGAIN_SOON : []);

    for (const transports of WAYS) {
      test(`its clients go to the other node, and to both when it is back: ${transports}`, async () => {
        const { nodes, proxy } = it;
        const [members, , others] = await spread(proxy, nodes, { transports, ...AGAIN });
        if (transports.length === 2) await upgraded(members);
        const lost = losses(others);
        await nodes[0].kill();
        await eventually("the clients to be on the other node", async () => (await sizes([nodes[1]]))[0] === CLIENTS);
        const newcomers = await crowd(proxy, { transports });
        assert.equal((await sizes([nodes[1]]))[0], 2 * CLIENTS);
        assert.deepEqual(lost, []);
        await nodes[0].start();
        await settled(nodes);
        const staying = [...members, ...newcomers];
        const lostLater = losses(staying);
        await eventually("clients on the node that is back", async () => {
          await Member.enter(proxy, { rooms: ["a"], transports });
          return (await sizes(nodes))[0] > 0;
        });
        const lengths = await Promise.all(staying.map(({ socket }) => socket.emitWithAck("length", "abc")));
        assert.deepEqual(lengths, staying.map(() => 3));
        assert.deepEqual((await split(nodes[1], staying))[0], staying);
        assert.deepEqual(lostLater, []);
      });
    }
  });

  describe(`${kind} and a node that can not be reached`, () => {
    let gone;
    let proxy;
    let redis;
    let node;
    before(async () => {
      redis = await startRedis();
      [node] = await startCluster(["rust"], "classic", redis);
      gone = await startUnreachable();
      // The documents' five seconds are long for a test.
      const limit = { nginx: "proxy_connect_timeout", haproxy: "timeout connect" }[kind];
      proxy = await startProxy(kind, [gone, node], [[`${limit} 5s`, `${limit} 1s`]]);
    });
    afterEach(() => Member.allLeave());
    after(async () => {
      await proxy?.stop();
      gone?.end();
      await node?.kill();
      await redis?.kill();
    });

    test("clients are on the other after the time that a connection may take", async () => {
      for (const transports of [["polling"], ["websocket"]]) {
        // HAProxy's check, when it fails, ends the tries that still run.
        const members = await crowd(proxy, { transports, ...AGAIN });
        for (const { socket } of members) assert.ok(socket.connected);
      }
      assert.deepEqual(await sizes([node]), [2 * CLIENTS]);
    });
  });
}

describe("haproxy, by its health check", () => {
  const it = site("haproxy");
  /** Returns what HAProxy knows of the nodes in this column. */
  const column = async (name) => {
    const lines = (await it.proxy.admin("show stat")).split("\n").map((line) => line.split(","));
    const at = lines[0].indexOf(name);
    return lines.filter(([backend, server]) => backend === "nodes" && server.startsWith("node")).map((line) => line[at]);
  };
  /** Returns the states of the nodes, as `UP`. */
  const states = () => column("status");

  test("the health check finds nodes up, one that dies down, and up again", async () => {
    // At least one check of each.
    await eventually("both nodes to be checked", async () => (await states()).join() === "UP,UP");
    await it.nodes[0].kill();
    await eventually("a node that is killed to be down", async () => (await states()).join() === "DOWN,UP");
    // All that it was ever tried for.
    const [tries] = await column("stot");
    await crowd(it.proxy, { transports: ["polling"] });
    assert.equal((await column("stot"))[0], tries);
    await it.nodes[0].start();
    await eventually("it to be up again", async () => (await states()).join() === "UP,UP");
  });

  test("clients of a node that answers nothing go to the other", async () => {
    const { nodes, proxy } = it;
    await eventually("both nodes to be checked", async () => (await states()).join() === "UP,UP");
    const members = [];
    for (const transports of WAYS) members.push(...await crowd(proxy, { transports, ...AGAIN }));
    const [hung, others] = await split(nodes[0], members);
    const names = new Set(hung.map(({ socket }) => socket.io.engine.transport.name));
    assert.deepEqual([...names].sort(), ["polling", "websocket"]);
    const lost = losses(others);
    await nodes[0].pause();
    try {
      await eventually("the clients to be on the other node", async () => (await sizes([nodes[1]]))[0] === members.length);
      assert.equal((await states()).join(), "DOWN,UP");
      assert.deepEqual(lost, []);
    } finally {
      nodes[0].resume();
    }
  });
});

describe("nginx, clients that keep their cookie", () => {
  const it = site("nginx", TRIED_AGAIN_SOON);
  // As a browser does, over all of its sessions.
  const enter = (at) => Member.enter(it.proxy, {
    rooms: ["a"], transports: ["polling"], extraHeaders: { cookie: `node=${at}` }, ...AGAIN,
  });

  test("stay in the session that they have elsewhere when their node is back", async () => {
    const { nodes } = it;
    const members = await Promise.all(Array.from({ length: CLIENTS }, (_, at) => enter(at)));
    const [orphans] = await split(nodes[0], members);
    assert.ok(orphans.length > 0);
    const first = members.indexOf(orphans[0]);
    await nodes[0].kill();
    await eventually("the clients to be on the other node", async () => (await sizes([nodes[1]]))[0] === CLIENTS);
    await nodes[0].start();
    await settled(nodes);
    const lost = losses(members);
    // A new session of the same cookie is at home again, so that polls of the old one come there too.
    await eventually("the node to be used again", async () => {
      const member = await enter(first);
      const [size] = await sizes(nodes);
      member.leave();
      return size > 0;
    });
    for (let n = 0; n < 5; n += 1) {
      await Promise.all(orphans.map(({ socket }) => socket.emitWithAck("length", "abc")));
    }
    assert.deepEqual(lost, []);
    assert.deepEqual((await split(nodes[1], members))[0], members);
  });
});
