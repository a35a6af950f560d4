// The clients of the matrix, and the features that some of them do not have.

const ALL = ["polling", "websocket", "polling,websocket"];
const RECOVERY = "clients recover since socket.io-client 4.6";
const python = process.env.PYTHON ?? "python3";

export const FEATURES = [
  "connect", "auth", "query", "refused", "events", "binary", "acks", "calls", "namespaces", "server disconnect",
  "client disconnect", "server timeout", "client timeout", "reconnect", "recovery", "compression", "1 MB", "UTF-8",
];

const OLD = { auth: "the protocol has no auth payload", recovery: RECOVERY };
const PYTHON_RECOVERY = "python-socketio recovers no session";
const PYTHON_COMPRESSION = "its WebSocket has no compression";
const RUST = "rust_socketio has no such call";
const RAW = "Engine.IO has no such feature";
const REPLAYED = "not in its source";

/** A client that needs seconds for 1 MB, and sends nothing else meanwhile: by a form, or in Python alone. */
const SLOW = { PING_TIMEOUT_MS: "6000" };
const NODE = { polling: { compression: "the polls of Node.js ask for none" } };

/** The official client in Node.js. */
const javascript = (name, alias, without = {}) => ({
  name,
  transports: ALL,
  command: (...args) => [process.execPath, "javascript.mjs", alias, ...args],
  without,
  withoutOver: NODE,
});

/** A bundle of the official client in a page. */
const page = (name, alias, bundle, without = {}, transports = ALL) => ({
  name: `${name} in Chromium`,
  transports,
  env: transports.includes("jsonp") ? SLOW : {},
  command: (...args) => [process.execPath, "chromium.mjs", alias, bundle, ...args],
  without,
});

const engine = (name, alias) => ({
  name,
  transports: ALL,
  command: (...args) => [process.execPath, "engine.mjs", alias, ...args],
  without: { auth: RAW, acks: RAW, calls: RAW, namespaces: RAW, reconnect: RAW, recovery: RAW },
  withoutOver: NODE,
});

/** A client that cannot run here, whose packets are replayed. */
const replayed = (name, kind, transports, without = {}) => ({
  name,
  transports,
  command: (...args) => [process.execPath, "replay.mjs", kind, ...args],
  without: { "server timeout": REPLAYED, recovery: REPLAYED, compression: REPLAYED, ...without },
});

export const CLIENTS = [
  javascript("socket.io-client 4.8", "socket.io-client"),
  javascript("socket.io-client 4.0", "socket.io-client-4.0", { recovery: RECOVERY }),
  javascript("socket.io-client 3.1", "socket.io-client-3", { recovery: RECOVERY }),
  javascript("socket.io-client 2.5", "socket.io-client-2", OLD),
  page("socket.io-client 4.8", "socket.io-client", "socket.io.min.js"),
  {
    ...page("socket.io-client 4.8", "socket.io-client", "socket.io.min.js", {
      compression: "the transport has none",
    }),
    name: "socket.io-client 4.8 in Chromium, WebTransport",
    transports: ["webtransport", "polling,webtransport"],
    withoutOver: { webtransport: { query: "the client puts its query into no URL of WebTransport" } },
    servers: ["direct"],
    env: { WEBTRANSPORT: "1" },
  },
  page("socket.io-client 4.8 with MessagePack", "socket.io-client", "socket.io.msgpack.min.js"),
  page("socket.io-client 4.0", "socket.io-client-4.0", "socket.io.min.js", { recovery: RECOVERY }, ["jsonp"]),
  page("socket.io-client 3.1", "socket.io-client-3", "socket.io.min.js", { recovery: RECOVERY }, ["jsonp"]),
  page("socket.io-client 2.5", "socket.io-client-2", "socket.io.js", OLD, ["jsonp"]),
  engine("engine.io-client 6.6", "engine.io-client"),
  engine("engine.io-client 3.5", "engine.io-client-3"),
  ...["sync", "asyncio"].map((kind) => ({
    name: `python-socketio 5 ${kind}`,
    env: SLOW,
    transports: ALL,
    command: (...args) => [python, "python.py", kind, ...args],
    without: { recovery: PYTHON_RECOVERY },
    withoutOver: kind === "asyncio" ? {} : {
      websocket: { compression: PYTHON_COMPRESSION }, "polling,websocket": { compression: PYTHON_COMPRESSION },
    },
  })),
  ...["sync", "asyncio"].map((kind) => ({
    name: `python-socketio 4 ${kind}`,
    env: SLOW,
    transports: ["websocket", "polling,websocket"],
    command: (...args) => [process.env.PYTHON_4 ?? "python3", "python.py", kind, ...args],
    without: { ...OLD, recovery: PYTHON_RECOVERY, compression: PYTHON_COMPRESSION },
  })),
  {
    name: "rust_socketio 0.6",
    transports: ALL,
    command: (...args) => [process.env.MATRIX_RUST_CLIENT ?? "matrix-rust-client", ...args],
    without: {
      calls: RUST, "client disconnect": RUST, recovery: RUST, "server timeout": RUST, "client timeout": RUST,
      compression: RUST,
    },
  },
  replayed("ElephantIO 4 (replayed)", "elephant", ALL),
  replayed("arduinoWebSockets 2 (replayed)", "arduino", ["polling,websocket"], {
    auth: REPLAYED, binary: REPLAYED, acks: REPLAYED, calls: REPLAYED,
  }),
];
