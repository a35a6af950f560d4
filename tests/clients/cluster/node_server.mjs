// A Node.js node of a cluster that does what a test asks of it, by `POST /control`.
//
// Enters: `PORT`, `REDIS_URL`, `MODE` (`classic`, `sharded`, `streams`), `RECOVERY` for connection
// state recovery, and `ADMIN` for the server side of the Admin UI. It is the counterpart of the Rust server `cluster_probe`.

import { createServer } from "node:http";
import { instrument } from "@socket.io/admin-ui";
import { createClient } from "redis";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Server } from "socket.io";

const { ADMIN, PORT, REDIS_URL, MODE, RECOVERY } = process.env;

// The classic adapter leaves what it could not publish unhandled, which ends a process when Redis goes.
process.on("unhandledRejection", (error) => { console.error(String(error)); });

async function client() {
  const connected = createClient({ url: REDIS_URL, RESP: 2 });
  // The client connects again by itself; the test looks at what arrives.
  connected.on("error", () => {});
  await connected.connect();
  return connected;
}

async function adapter() {
  const publisher = await client();
  if (MODE === "streams") return createStreamsAdapter(publisher);
  const subscriber = await client();
  return MODE === "sharded"
    ? createShardedAdapter(publisher, subscriber, { subscriptionMode: "dynamic" })
    : createAdapter(publisher, subscriber);
}

const marked = (value) => {
  if (Buffer.isBuffer(value)) return { $binary: value.toString("base64") };
  if (Array.isArray(value)) return value.map(marked);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, marked(inner)]));
};
const unmarked = (value) => {
  if (Array.isArray(value)) return value.map(unmarked);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$binary === "string") return Buffer.from(value.$binary, "base64");
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unmarked(inner)]));
};

const http = createServer(async (request, response) => {
  if (request.method !== "POST" || request.url !== "/control") return;
  let body = "";
  for await (const chunk of request) body += chunk;
  let answer;
  try {
    answer = { ok: marked(await obey(JSON.parse(body))) ?? null };
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(answer));
});

const io = new Server(http, {
  adapter: await adapter(),
  ...(RECOVERY ? { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } } : {}),
});
if (ADMIN) instrument(io, { auth: false, mode: "development", serverId: "node" });
const heard = [];

for (const nsp of ["/", "/chat"]) {
  const namespace = io.of(nsp);
  namespace.on("connection", (socket) => {
    const rooms = String(socket.handshake.query.rooms ?? "").split(",").filter(Boolean);
    if (!socket.recovered) socket.join(rooms);
    socket.on("join", (room, ack) => { socket.join(room); ack(); });
    socket.on("leave", (room, ack) => { socket.leave(room); ack(); });
    socket.on("set", (key, value, ack) => { socket.data[key] = value; ack(); });
    socket.on("bcast", (...args) => namespace.emit("bcast", ...args));
    if (socket.handshake.query.rooms !== undefined) socket.emit("ready", socket.id);
  });
  for (const event of ["sum", "ping", "note"]) {
    namespace.on(event, (...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
      heard.push({ nsp, event, args: marked(args) });
      ack?.({ node: "node", sum: args.reduce((sum, value) => sum + value, 0) });
    });
  }
}

function audience({ nsp, rooms = [], except = [], volatile, local, timeout }) {
  let operator = io.of(nsp).except(except);
  if (rooms.length > 0) operator = operator.to(rooms);
  if (volatile) operator = operator.volatile;
  if (local) operator = operator.local;
  return timeout ? operator.timeout(timeout) : operator;
}

async function obey(order) {
  const namespace = io.of(order.nsp ?? "/");
  const args = unmarked(order.args ?? []);
  const withoutOwn = (socket) => [...socket.rooms].filter((room) => room !== socket.id).sort();
  switch (order.op) {
    case "emit":
      audience(order).emit(order.event, ...args);
      return null;
    case "emitMany":
      for (let n = 0; n < order.count; n += 1) audience(order).emit(order.event, n);
      return null;
    case "ask":
      return new Promise((resolve) => {
        audience(order).emit(order.event, ...args, (error, answers) => {
          resolve({ answers, timedOut: Boolean(error) });
        });
      });
    case "fetch": {
      const sockets = await audience(order).fetchSockets();
      return sockets.map((socket) => ({ id: socket.id, rooms: withoutOwn(socket), data: socket.data }));
    }
    case "join": audience(order).socketsJoin(order.targets); return null;
    case "leave": audience(order).socketsLeave(order.targets); return null;
    case "disconnect": audience(order).disconnectSockets(order.close ?? false); return null;
    case "serverSideEmit": namespace.serverSideEmit(order.event, ...args); return null;
    case "serverSideAsk":
      return new Promise((resolve) => {
        namespace.serverSideEmit(order.event, ...args, (error, answers) => {
          resolve({ answers, timedOut: Boolean(error) });
        });
      });
    case "heard": return heard;
    case "handshakes": {
      const sockets = await audience(order).fetchSockets();
      return sockets.map((socket) => ({ id: socket.id, handshake: socket.handshake }));
    }
    // The adapter's own question; one of the formats has it.
    case "allRooms": return [...await namespace.adapter.allRooms()].sort();
    case "nodes": return namespace.adapter.serverCount();
    case "count": return (await audience(order).fetchSockets()).length;
    case "rooms": {
      const sockets = await namespace.fetchSockets();
      return [...new Set(sockets.flatMap(withoutOwn))].sort();
    }
    // Behind the answer to this: it ends the connection on which that goes.
    case "close": setImmediate(() => io.close()); return null;
    default: throw new Error("unsupported");
  }
}

http.listen(Number(PORT), "127.0.0.1");
