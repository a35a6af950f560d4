// The proxies' configurations of docs/proxies with the real nginx and the real HAProxy, before two nodes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startRedis } from "./redis.mjs";
import { accepts, freePort, within } from "./server.mjs";
import { Member, control, settled, startNode } from "./cluster/nodes.mjs";

const CLIENTS = 12;
const START_MS = 10_000;
const POLL_MS = 20;
const docs = (name) => fileURLToPath(new URL(`../../docs/proxies/${name}`, import.meta.url));

/** Where a program is, which may be in no user's path. */
const program = (name) => process.env[name.toUpperCase()] ?? `/usr/sbin/${name}`;

async function started(name, args, port) {
  const child = spawn(program(name), args, { stdio: ["ignore", "inherit", "inherit"] });
  let ended = "";
  child.once("error", (error) => { ended = error.message; });
  child.once("exit", (code, signal) => { ended = `it exited with ${signal ?? code}`; });
  const deadline = Date.now() + START_MS;
  while (!(await accepts(port))) {
    if (ended) throw new Error(`${name} did not start: ${ended}`);
    if (Date.now() > deadline) throw new Error(`${name} did not accept`);
    await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
  }
  return async () => {
    const exit = once(child, "exit");
    // Its workers go with it.
    child.kill("SIGTERM");
    await within(exit, `${name} to end`, START_MS);
  };
}

const PROXIES = {
  async nginx(folder, port, nodes) {
    let config = await readFile(docs("nginx.conf"), "utf8");
    config = config.replace("listen 8080", `listen 127.0.0.1:${port}`)
      .replace("127.0.0.1:3001", `127.0.0.1:${nodes[0].port}`)
      .replace("127.0.0.1:3002", `127.0.0.1:${nodes[1].port}`);
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const temporary = paths.map((path) => `${path}_temp_path ${join(folder, path)};`).join("\n");
    config = config.replace("http {", `http {\naccess_log off;\n${temporary}`);
    const file = join(folder, "nginx.conf");
    await writeFile(file, config);
    const global = `daemon off; pid ${join(folder, "nginx.pid")};`;
    return started("nginx", ["-e", "stderr", "-p", folder, "-c", file, "-g", global], port);
  },
  async haproxy(folder, port, nodes) {
    let config = await readFile(docs("haproxy.cfg"), "utf8");
    config = config.replace("bind :8080", `bind 127.0.0.1:${port}`)
      .replace("127.0.0.1:3001", `127.0.0.1:${nodes[0].port}`)
      .replace("127.0.0.1:3002", `127.0.0.1:${nodes[1].port}`)
      .replace("/run/haproxy/admin.sock", join(folder, "admin.sock"))
      // Two descriptors each: a test may not have as many as a proxy.
      .replace("maxconn 16384", "maxconn 1000");
    const file = join(folder, "haproxy.cfg");
    await writeFile(file, config);
    return started("haproxy", ["-db", "-f", file], port);
  },
};

for (const [name, start] of Object.entries(PROXIES)) {
  describe(name, () => {
    let redis;
    let nodes;
    let folder;
    let stop;
    let proxy;

    before(async () => {
      redis = await startRedis();
      nodes = await Promise.all([0, 1].map(() => startNode("rust", "classic", redis)));
      await settled(nodes);
      folder = await mkdtemp(join(tmpdir(), "proxy-"));
      const port = await freePort();
      stop = await start(folder, port, nodes);
      proxy = { kind: name, url: `http://127.0.0.1:${port}` };
    });
    after(async () => {
      await stop?.();
      await Promise.all((nodes ?? []).map((node) => node.kill()));
      await redis?.kill();
      if (folder) await rm(folder, { recursive: true, force: true });
    });

    const crowd = (transports) => Promise.all(Array.from({ length: CLIENTS }, () => (
      Member.enter(proxy, { rooms: ["a"], transports, withCredentials: true })
    )));

    for (const transports of [["polling"], ["polling", "websocket"], ["websocket"]]) {
      test(`clients stay on their node: ${transports}`, async () => {
        const members = await crowd(transports);
        if (transports.length === 2) {
          await Promise.all(members.map(({ socket: { io: { engine } } }) => (
            engine.transport.name === "websocket" ? undefined : within(new Promise((resolve) => { engine.once("upgrade", resolve); }), "the upgrade")
          )));
        }
        const text = "x".repeat(500_000);
        for (let n = 0; n < 5; n += 1) {
          await Promise.all(members.map((member) => member.socket.emitWithAck("join", `room ${n}`)));
          await control(nodes[n % 2], { op: "emit", rooms: ["a"], event: "n", args: [n, text] });
          for (const member of members) {
            const [event, number, came] = await member.next("n");
            assert.deepEqual([event, number, came.length], ["n", n, text.length]);
          }
        }
        const sizes = await Promise.all(nodes.map((node) => (
          fetchLocal(node)
        )));
        assert.ok(sizes.every((size) => size > 0), `both nodes have clients: ${sizes}`);
        const ids = (await control(nodes[0], { op: "fetch", rooms: ["a"] })).map((socket) => socket.id);
        assert.deepEqual(ids.sort(), members.map((member) => member.id).sort());
        for (const member of members) assert.ok(member.socket.connected);
        const gone = members.map((member) => new Promise((resolve) => { member.socket.once("disconnect", resolve); }));
        for (const member of members) member.leave();
        await Promise.all(gone);
      });
    }
  });
}

/** Returns how many clients of the room are on this node. */
async function fetchLocal(node) {
  return control(node, { op: "localCount", rooms: ["a"] });
}

test("without stickiness the other node answers with the error of the reference", async () => {
  const redis = await startRedis();
  const nodes = await Promise.all([0, 1].map(() => startNode("rust", "classic", redis)));
  try {
    const opened = await (await fetch(`${nodes[0].url}/socket.io/?EIO=4&transport=polling`)).text();
    const { sid } = JSON.parse(opened.slice(1));
    const other = await fetch(`${nodes[1].url}/socket.io/?EIO=4&transport=polling&sid=${sid}`);
    assert.equal(other.status, 400);
    assert.deepEqual(await other.json(), { code: 1, message: "Session ID unknown" });
  } finally {
    await Promise.all(nodes.map((node) => node.kill()));
    await redis.kill();
  }
});
