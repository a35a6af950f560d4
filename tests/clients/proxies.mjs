// nginx and HAProxy for tests, by the configurations of docs/proxies or by others.
//
// Enters: the nodes, and what a test changes in a configuration. Leaves: a running proxy on a free
// loopback port, alone or with two nodes behind it, and clients of it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { Member, control, startCluster } from "./cluster/nodes.mjs";
import { startRedis } from "./redis.mjs";
import { accepts, eventually as waitFor, freePort, within } from "./server.mjs";

export const CLIENTS = 12;
export const MOVED_MS = 15_000;
export const WAYS = [["polling"], ["polling", "websocket"], ["websocket"]];
/** For clients that are to come back, and soon. */
export const AGAIN = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 500 };

const START_MS = 10_000;
const POLL_MS = 20;
const docs = (name) => readFile(fileURLToPath(new URL(`../../docs/proxies/${name}`, import.meta.url)), "utf8");

/** Where a program is, which may be in no user's path. */
const program = (name) => process.env[name.toUpperCase()] ?? `/usr/sbin/${name}`;

/** Replaces what must be there. */
function replaced(text, pairs) {
  return pairs.reduce((changed, [from, to]) => {
    if (!changed.includes(from)) throw new Error(`the configuration has no ${JSON.stringify(from)}`);
    return changed.replace(from, to);
  }, text);
}

class Proxy {
  #child;
  #folder;
  #write;

  /** `write` returns a configuration for the folder and port that it gets. */
  constructor(kind, folder, port, write) {
    this.kind = kind;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#folder = folder;
    this.#write = write;
  }

  get #file() {
    return join(this.#folder, "proxy.conf");
  }

  async start(args) {
    await writeFile(this.#file, await this.#write(this.#folder, this.port));
    const child = spawn(program(this.kind), args(this.#folder, this.#file), { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    let ended = "";
    child.once("error", (error) => { ended = error.message; });
    child.once("exit", (code, signal) => { ended = `it exited with ${signal ?? code}`; });
    const deadline = Date.now() + START_MS;
    while (!(await accepts(this.port))) {
      if (ended) throw new Error(`${this.kind} did not start: ${ended}`);
      if (Date.now() > deadline) throw new Error(`${this.kind} did not accept`);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }

  /** Changes the configuration and has nginx read it again. */
  async reload(pairs) {
    await writeFile(this.#file, replaced(await readFile(this.#file, "utf8"), pairs));
    this.#child.kill("SIGHUP");
  }

  /** Says something to HAProxy by its socket, and returns what it answers. */
  async admin(command) {
    const socket = connect(join(this.#folder, "admin.sock"));
    socket.end(`${command}\n`);
    const answer = [];
    socket.on("data", (chunk) => answer.push(chunk));
    await within(once(socket, "close"), `HAProxy to answer ${command}`);
    return Buffer.concat(answer).toString();
  }

  async stop() {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      // Its workers go with it.
      this.#child.kill("SIGTERM");
      await within(exit, `${this.kind} to end`, START_MS);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What differs between the documents and a test. */
const WRITTEN = {
  nginx: (nodes) => async (folder, port) => {
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const temporary = paths.map((path) => `${path}_temp_path ${join(folder, path)};`).join("\n");
    return replaced(await docs("nginx.conf"), [
      ["listen 8080", `listen 127.0.0.1:${port}`],
      ["127.0.0.1:3001", `127.0.0.1:${nodes[0].port}`],
      ["127.0.0.1:3002", `127.0.0.1:${nodes[1].port}`],
      ["http {", `http {\naccess_log off;\n${temporary}`],
    ]);
  },
  haproxy: (nodes) => async (folder, port) => replaced(await docs("haproxy.cfg"), [
    ["bind :8080", `bind 127.0.0.1:${port}`],
    ["127.0.0.1:3001", `127.0.0.1:${nodes[0].port}`],
    ["127.0.0.1:3002", `127.0.0.1:${nodes[1].port}`],
    ["/run/haproxy/admin.sock", join(folder, "admin.sock")],
    // Two descriptors each: a test may not have as many as a proxy.
    ["maxconn 16384", "maxconn 1000"],
  ]),
};

const ARGUMENTS = {
  nginx: (folder, file) => {
    const { uid, username } = userInfo();
    // Whoever runs the test has made the folder, which a large body goes to.
    const user = uid === 0 ? `user ${username};` : "";
    const settings = `daemon off; pid ${join(folder, "nginx.pid")}; ${user}`;
    return ["-e", "stderr", "-p", folder, "-c", file, "-g", settings];
  },
  haproxy: (_, file) => ["-db", "-f", file],
};

export const KINDS = Object.keys(WRITTEN);

/** Starts a proxy before two nodes, with these changes to its configuration. */
export async function startProxy(kind, nodes, changes = []) {
  const folder = await mkdtemp(join(tmpdir(), "proxy-"));
  const write = async (...place) => replaced(await WRITTEN[kind](nodes)(...place), changes);
  const proxy = new Proxy(kind, folder, await freePort(), write);
  try {
    await proxy.start(ARGUMENTS[kind]);
  } catch (error) {
    await proxy.stop();
    throw error;
  }
  return proxy;
}

/** What lets each request go to the next node. */
export const WITHOUT_STICKINESS = {
  nginx: [["hash $sticky consistent;", ""]],
  haproxy: [
    ["balance leastconn", "balance roundrobin"],
    ["cookie node insert indirect nocache httponly attr SameSite=Lax", ""],
    [" cookie node1", ""],
    [" cookie node2", ""],
  ],
};

/** Waits until something holds. */
export const eventually = (what, holds) => waitFor(what, holds, MOVED_MS);

/** Clients that begin at the same time, in the room `a`. */
export const crowd = (proxy, options) => Promise.all(Array.from({ length: CLIENTS }, () => (
  Member.enter(proxy, { rooms: ["a"], withCredentials: true, ...options })
)));

/** Waits until all are on WebSockets that may be. */
export const upgraded = (members) => Promise.all(members.map(async (member) => {
  assert.equal(await within(member.upgraded, "the upgrade"), true);
}));

/** Returns how many clients of the room each node has. */
export const sizes = (nodes) => Promise.all(nodes.map((node) => control(node, { op: "localCount", rooms: ["a"] })));

/** Returns those members that are sockets of this node, and the others. */
export async function split(node, members) {
  const event = `whose ${Math.random()}`;
  const heard = new Set();
  for (const member of members) member.socket.once(event, () => heard.add(member));
  await control(node, { op: "emit", rooms: ["a"], local: true, event, args: [] });
  await Promise.all(members.map((member) => member.until(node)));
  return [members.filter((member) => heard.has(member)), members.filter((member) => !heard.has(member))];
}

/** Clients as `crowd`, some of them on each node: all, those of the first and those of the second. */
export async function spread(proxy, nodes, options) {
  for (let tries = 0; tries < 10; tries += 1) {
    const members = await crowd(proxy, options);
    const [first, second] = await split(nodes[0], members);
    if (first.length > 0 && second.length > 0) return [members, first, second];
    // A proxy that looks for the node with the fewest counts those that have just left for a moment.
    for (const member of members) member.leave();
    await eventually("the clients to be gone", async () => (await sizes(nodes)).every((size) => size === 0));
  }
  return assert.fail("all clients are on one node");
}

/** Counts the disconnects of members from now on. */
export function losses(members) {
  const lost = [];
  for (const member of members) member.socket.on("disconnect", (reason) => lost.push(reason));
  return lost;
}

/**
 * Starts a cluster and a proxy before it for the tests of a suite. `forwarded` returns how many messages
 * of polls at the wrong node there have been.
 */
export function site(kind, changes) {
  const it = {};
  let count = 0;
  let listener;
  it.forwarded = async () => {
    await listener.ping();
    return count;
  };
  before(async () => {
    it.redis = await startRedis();
    listener = await createClient({ url: it.redis.url, RESP: 2 }).on("error", () => {}).connect();
    await listener.pSubscribe("socket.io-poll#*", () => { count += 1; });
    it.nodes = await startCluster(["rust", "rust"], "classic", it.redis);
    it.proxy = await startProxy(kind, it.nodes, changes);
  });
  afterEach(async () => {
    Member.allLeave();
    // The next clients are spread by how many each node has.
    await eventually("the clients to be gone", async () => (await sizes(it.nodes)).every((size) => size === 0));
  });
  after(async () => {
    await it.proxy?.stop();
    listener?.destroy();
    await Promise.all((it.nodes ?? []).map((node) => node.kill()));
    await it.redis?.kill();
  });
  return it;
}
