// The Admin UI in a cluster of a Rust server (examples/admin) and a Node.js server with `instrument` of
// `@socket.io/admin-ui`: a page that is connected to either sees the clients of both, and its commands
// reach them. A page is an official client in the namespace `/admin`, which keeps what it gets.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { startRedis } from "../redis.mjs";
import { eventually, startServer, within } from "../server.mjs";
import { startNode } from "./nodes.mjs";

// Of the password "secret", at the lowest cost.
const HASH = "$2a$04$vA/Ouv0l5n5pLCoHabemJuacC2dOEBvdkCuedP/MEAXS8w0ZOYxK.";
const EVENTS = [
  "all_sockets", "server_stats", "socket_connected", "socket_updated", "socket_disconnected",
  "room_joined", "room_left", "event_received", "event_sent",
];

let redis;
let servers;
const sockets = [];

before(async () => {
  redis = await startRedis();
  servers = {
    rust: await startServer("ADMIN_BIN", { env: { ADMIN_HASH: HASH, REDIS_URL: redis.url } }),
    node: await startNode("node", "streams", redis, { ADMIN: "1" }),
  };
});

after(async () => {
  for (const socket of sockets) socket.disconnect();
  await Promise.all(Object.values(servers ?? {}).map((server) => server.kill()));
  await redis?.kill();
});

async function connect(server, namespace = "", auth = {}) {
  const socket = io(`${server.url}${namespace}`, { auth, forceNew: true, transports: ["websocket"] });
  sockets.push(socket);
  await within(new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  }), "the connect");
  return socket;
}

/** A page, whose `got` has the arguments of each event by its name. */
async function open(server) {
  const socket = io(`${server.url}/admin`, {
    auth: { username: "admin", password: "secret" }, forceNew: true, transports: ["websocket"],
  });
  sockets.push(socket);
  const got = Object.fromEntries(EVENTS.map((event) => [event, []]));
  for (const event of EVENTS) socket.on(event, (...args) => got[event].push(args));
  await within(new Promise((resolve) => { socket.once("all_sockets", resolve); }), "the first list");
  return { socket, got };
}

for (const kind of ["rust", "node"]) {
  describe(`a page at the ${kind} server`, () => {
    let page;
    let clients;

    before(async () => {
      clients = { rust: await connect(servers.rust), node: await connect(servers.node) };
      page = await open(servers[kind]);
    });

    test("it_sees_both_servers", async () => {
      const expected = ["node", `#${servers.rust.pid}`];
      await eventually("the statistics of both", async () => {
        const ids = page.got.server_stats.map(([stats]) => stats.serverId);
        return expected.every((end) => ids.some((id) => id.endsWith(end)));
      });
      for (const [stats] of page.got.server_stats) {
        const main = stats.namespaces.find((namespace) => namespace.name === "/");
        assert.equal(typeof main.socketsCount, "number");
        assert.equal(typeof stats.clientsCount, "number");
      }
    });

    test("it_lists_the_clients_of_both", async () => {
      const [[listed]] = page.got.all_sockets;
      for (const client of Object.values(clients)) {
        const found = listed.find((socket) => socket.id === client.id);
        assert.equal(found?.nsp, "/");
        assert.equal(found.handshake.address.replace("::ffff:", ""), "127.0.0.1");
        assert.deepEqual(found.rooms, [client.id]);
      }
    });

    test("it_sees_what_happens_on_both", async () => {
      for (const server of Object.values(servers)) {
        const client = await connect(server);
        const { id } = client;
        client.emit("note", 7);
        const saw = (event, matches) => eventually(`${event} of ${id}`, async () => page.got[event].some(matches));
        await saw("socket_connected", ([socket]) => socket.id === id && socket.nsp === "/");
        await saw("event_received", ([nsp, from, args]) => nsp === "/" && from === id && args[0] === "note");
        client.disconnect();
        await saw("socket_disconnected", ([nsp, gone]) => nsp === "/" && gone === id);
      }
    });

    test("its_commands_reach_the_clients_of_both", async () => {
      for (const client of Object.values(clients)) {
        const { id } = client;
        const saw = (event, ...args) => eventually(`${event} of ${id}`, async () =>
          page.got[event].some((got) => args.every((arg, at) => got[at] === arg)));
        page.socket.emit("join", "/", "room", id);
        await saw("room_joined", "/", "room", id);
        const told = within(new Promise((resolve) => { client.once("hello", resolve); }), "the event");
        page.socket.emit("emit", "/", "room", "hello", 1);
        assert.equal(await told, 1);
        page.socket.emit("leave", "/", "room", id);
        await saw("room_left", "/", "room", id);
        const gone = within(new Promise((resolve) => { client.once("disconnect", resolve); }), "the disconnect");
        page.socket.emit("_disconnect", "/", true, id);
        await gone;
        await eventually(`the end of ${id}`, async () =>
          page.got.socket_disconnected.some(([nsp, ended]) => nsp === "/" && ended === id));
      }
    });
  });
}
