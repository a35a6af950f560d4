// One version of the official client, over one choice of transports, through all features of the matrix.
//
//   node javascript.mjs PACKAGE URL RECOVERY_URL TRANSPORT[,TRANSPORT]
//
// Speaks with the matrix by lines, see `runner.mjs`.

import { createRequire } from "node:module";
import { ask, runFeatures, same } from "./runner.mjs";

const [name, url, recoveryUrl, transports] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const io = require(name);
const { version } = require(`${name}/package.json`);
const MAJOR = Number(version.split(".")[0]);
const RECOVERS = MAJOR === 4 && Number(version.split(".")[1]) >= 6;

const open = new Set();

/** Connects, and resolves with the socket after the server's event `hello`. */
async function connect(namespace = "/", options = {}, server = url) {
  const socket = start(namespace, options, server);
  const hello = next(socket, "hello");
  await connected(socket);
  socket.hello = (await hello)[0];
  return socket;
}

function start(namespace, options, server = url) {
  const socket = io(server + namespace, {
    forceNew: true,
    transports: transports.split(","),
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    ...options,
  });
  open.add(socket);
  return socket;
}

function connected(socket) {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
    if (MAJOR < 3) socket.once("error", (error) => reject(new Error(JSON.stringify(error))));
  });
}

const next = (socket, event) => new Promise((resolve) => { socket.once(event, (...args) => resolve(args)); });
const acknowledged = (socket, event, ...args) => new Promise((resolve) => {
  socket.emit(event, ...args, (...answer) => resolve(answer));
});

async function echo(socket, ...args) {
  const echoed = next(socket, "echoed");
  socket.emit("echo", ...args);
  same(await echoed, args);
}

const BINARY = [Buffer.from([0, 1, 254, 255]), { deep: [Buffer.from("two"), Buffer.alloc(0)] }, "text", Buffer.alloc(70_000, 7)];

runFeatures({
  connect: async () => {
    const socket = await connect();
    same(typeof socket.id, "string");
    if (transports === "polling,websocket") await upgraded(socket.io.engine);
    same(socket.io.engine.transport.name, transports.split(",").at(-1));
  },
  auth: MAJOR < 3 ? undefined : async () => {
    const socket = await connect("/", { auth: { token: "ä", n: [1] } });
    same(socket.hello.auth, { token: "ä", n: [1] });
  },
  query: async () => {
    const socket = await connect("/", { query: { value: "a b&ä" } });
    same(socket.hello.value, "a b&ä");
  },
  refused: async () => {
    const socket = start("/private", { auth: { token: "wrong" } });
    if (MAJOR < 3) {
      const [error] = await next(socket, "error");
      return same(error, { code: 401 });
    }
    const [error] = await next(socket, "connect_error");
    same([error.message, error.data], ["not authorized", { code: 401 }]);
    return same(socket.connected, false);
  },
  events: async () => {
    const socket = await connect();
    await echo(socket, "text", 1.5, -7, true, false, null, [], {}, [[1, [2]], { a: { b: ["c"] } }], "");
    await echo(socket);
    const numbers = Array.from({ length: 300 }, (_, number) => number);
    const all = new Promise((resolve) => {
      const came = [];
      socket.on("echoed", (number) => { if (came.push(number) === numbers.length) resolve(came); });
    });
    for (const number of numbers) socket.emit("echo", number);
    same(await all, numbers);
  },
  binary: async () => {
    const socket = await connect();
    await echo(socket, ...BINARY);
    const [bytes] = await acknowledged(socket, "bytes", 100_000);
    same(bytes.equals(Buffer.alloc(100_000, 7)), true);
  },
  acks: async () => {
    const socket = await connect();
    same(await acknowledged(socket, "ack", 1, { two: [3] }, ...BINARY), [1, { two: [3] }, ...BINARY]);
    same(await acknowledged(socket, "ack"), []);
  },
  calls: async () => {
    const socket = await connect();
    socket.on("question", (value, answer) => answer({ to: value }));
    same(await acknowledged(socket, "call", "question", [6, "ä"]), [{ to: [6, "ä"] }]);
    same(await acknowledged(socket, "call", "question", Buffer.from([8])), [{ to: Buffer.from([8]) }]);
  },
  namespaces: async () => {
    const main = await connect();
    const chat = main.io.socket("/chat");
    const hello = next(chat, "hello");
    await hello;
    await echo(chat, "of chat");
    chat.disconnect();
    await echo(main, "of main");
  },
  "server disconnect": async () => {
    const socket = await connect();
    const gone = next(socket, "disconnect");
    socket.emit("kick");
    same((await gone)[0], "io server disconnect");
  },
  "client disconnect": async () => {
    const socket = await connect();
    const { id } = socket;
    socket.disconnect();
    same(await ask("reason", { id }), "client namespace disconnect");
  },
  "server timeout": async () => {
    const socket = await connect();
    const gone = next(socket, "disconnect");
    await ask("freeze server");
    const [reason] = await gone;
    const back = next(socket, "connect");
    await ask("thaw server");
    same(reason, "ping timeout");
    await back;
  },
  "client timeout": async () => {
    const socket = await connect();
    const { id } = socket;
    const gone = next(socket, "disconnect");
    same(await ask("freeze client", { id }), "ping timeout");
    await gone;
  },
  reconnect: async () => {
    const socket = await connect();
    const gone = next(socket, "disconnect");
    const back = next(socket, "connect");
    await ask("cut");
    same(["transport close", "transport error"].includes((await gone)[0]), true);
    socket.emit("echo", "buffered");
    const echoed = next(socket, "echoed");
    await back;
    same(await echoed, ["buffered"]);
  },
  recovery: !RECOVERS ? undefined : async () => {
    const socket = await connect("/", {}, recoveryUrl);
    const { id } = socket;
    const missed = next(socket, "missed");
    const back = next(socket, "connect");
    await ask("miss");
    same((await missed)[0], "missed");
    await back;
    same([socket.recovered, socket.id], [true, id]);
  },
  "1 MB": async () => {
    const socket = await connect();
    await echo(socket, "ä".repeat(524_288));
    await echo(socket, Buffer.alloc(1_048_576, 3));
  },
  "UTF-8": async () => {
    const socket = await connect();
    await echo(socket, everyPlane());
  },
}, { done: () => { for (const socket of open) socket.disconnect(); open.clear(); } });

/** Returns a string with characters of every plane, and the last ones of each length in UTF-8. */
function everyPlane() {
  const planes = Array.from({ length: 17 }, (_, plane) => String.fromCodePoint((plane << 16) + 0xfffd, (plane << 16) + 0x41));
  return ["\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\u2028\u2029\"\\", ...planes].join("");
}

function upgraded(engine) {
  return new Promise((resolve, reject) => {
    if (engine.transport.name === "websocket") resolve();
    engine.once("upgrade", resolve);
    engine.once("upgradeError", reject);
  });
}
