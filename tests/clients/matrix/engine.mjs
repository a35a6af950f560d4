// One version of the official client of Engine.IO, without Socket.IO, over one choice of transports, through
// the features of the matrix that it has.
//
//   node engine.mjs PACKAGE URL RECOVERY_URL TRANSPORT[,TRANSPORT]
//
// Speaks with the matrix by lines, see `runner.mjs`. Its server is `/engine.io/`, which sends every message
// back, and closes the session of one that is `kick`.

import { createRequire } from "node:module";
import { everyPlane, same } from "./features.mjs";
import { ask, runFeatures } from "./runner.mjs";

const [name, url, , transports] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const client = require(name);
const ways = transports.split(",");
const open = new Set();

/** Opens a session, and waits for the last transport. */
async function connect(options = {}, server = url) {
  const settings = { transports: ways, path: "/engine.io", ...options };
  const socket = client.Socket ? new client.Socket(server, settings) : client(server, settings);
  open.add(socket);
  const messages = [];
  const waiting = [];
  socket.on("message", (data) => {
    const take = waiting.shift();
    if (take) take(data);
    else messages.push(data);
  });
  const later = () => new Promise((resolve) => { waiting.push(resolve); });
  socket.received = () => (messages.length > 0 ? messages.shift() : later());
  const failed = once(socket, "error").then(([error]) => { throw error; });
  failed.catch(() => {});
  await Promise.race([once(socket, "open"), failed]);
  if (ways.length > 1 && socket.transport.name !== "websocket") await Promise.race([once(socket, "upgrade"), failed]);
  return socket;
}

function once(socket, event) {
  return new Promise((resolve) => { socket.once(event, (...args) => resolve(args)); });
}

async function echo(socket, ...messages) {
  for (const message of messages) socket.send(message);
  for (const message of messages) same(await socket.received(), message);
}

runFeatures({
  connect: async () => {
    const socket = await connect();
    same([typeof socket.id, socket.transport.name], ["string", ways.at(-1)]);
  },
  auth: undefined,
  query: async () => {
    const socket = await connect({ query: { greet: "a b&ä" } });
    same(await socket.received(), "a b&ä");
  },
  refused: async () => {
    const refused = connect({ query: { refuse: "1" } });
    same(await refused.then(() => "open", () => "refused"), "refused");
  },
  events: async () => {
    const socket = await connect();
    await echo(socket, "text", "2probe", "\"\\\n", ..."x".repeat(300));
  },
  binary: async () => {
    const socket = await connect();
    await echo(socket, Buffer.from([0, 1, 254, 255]), "between", Buffer.alloc(1, 4), Buffer.alloc(70_000, 7));
  },
  acks: undefined,
  calls: undefined,
  namespaces: undefined,
  "server disconnect": async () => {
    const socket = await connect();
    const gone = once(socket, "close");
    socket.send("kick");
    same((await gone)[0], "transport close");
  },
  "client disconnect": async () => {
    const socket = await connect();
    const { id } = socket;
    socket.close();
    same(await ask("reason", { id }), "transport close");
  },
  "server timeout": async () => {
    const socket = await connect();
    const gone = once(socket, "close");
    await ask("freeze server");
    const [reason] = await gone;
    await ask("thaw server");
    same(reason, "ping timeout");
  },
  "client timeout": async () => {
    const socket = await connect();
    const gone = once(socket, "close");
    same(await ask("freeze client", { id: socket.id }), "ping timeout");
    await gone;
  },
  reconnect: undefined,
  recovery: undefined,
  compression: ways.at(-1) !== "websocket" ? undefined : async () => {
    const options = { perMessageDeflate: { threshold: 0 } };
    const socket = await connect(options, await ask("compressing server"));
    await ask("count bytes");
    await echo(socket, "compress me, ".repeat(40_000), Buffer.alloc(200_000, 5));
    const { up, down } = await ask("count bytes");
    if (up > 100_000 || down > 100_000) throw new Error(`${up} bytes up, ${down} bytes down`);
  },
  "1 MB": async () => {
    const socket = await connect();
    await echo(socket, "ä".repeat(524_288), Buffer.alloc(1_048_576, 3));
  },
  "UTF-8": async () => {
    const socket = await connect();
    await echo(socket, everyPlane());
  },
}, { done: () => { for (const socket of open) socket.close(); open.clear(); } });
