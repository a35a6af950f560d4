// The clients of the matrix, and the features that some of them do not have.

const ALL = ["polling", "websocket", "polling,websocket"];
const RECOVERY = "clients recover since socket.io-client 4.6";
const python = process.env.PYTHON ?? "python3";

export const FEATURES = [
  "connect", "auth", "query", "refused", "events", "binary", "acks", "calls", "namespaces", "server disconnect",
  "client disconnect", "server timeout", "client timeout", "reconnect", "recovery", "1 MB", "UTF-8",
];

const javascript = (name, alias, more = {}) => ({
  name,
  transports: ALL,
  command: (...args) => [process.execPath, "javascript.mjs", alias, ...args],
  ...more,
});

const OLD = { auth: "the protocol has no auth payload", recovery: RECOVERY };
const PYTHON_RECOVERY = "python-socketio recovers no session";
const RUST = "rust_socketio has no such call";

export const CLIENTS = [
  javascript("socket.io-client 4.8", "socket.io-client"),
  javascript("socket.io-client 4.0", "socket.io-client-4.0", { without: { recovery: RECOVERY } }),
  javascript("socket.io-client 3.1", "socket.io-client-3", { without: { recovery: RECOVERY } }),
  javascript("socket.io-client 2.5", "socket.io-client-2", { without: OLD }),
  ...["sync", "asyncio"].map((kind) => ({
    name: `python-socketio 5 ${kind}`,
    transports: ALL,
    command: (...args) => [python, "python.py", kind, ...args],
    without: { recovery: PYTHON_RECOVERY },
  })),
  ...["sync", "asyncio"].map((kind) => ({
    name: `python-socketio 4 ${kind}`,
    transports: ["websocket", "polling,websocket"],
    command: (...args) => [process.env.PYTHON_4 ?? "python3", "python.py", kind, ...args],
    without: { ...OLD, recovery: PYTHON_RECOVERY },
  })),
  {
    name: "rust_socketio 0.6",
    transports: ALL,
    command: (...args) => [process.env.MATRIX_RUST_CLIENT ?? "matrix-rust-client", ...args],
    without: {
      calls: RUST, "client disconnect": RUST, recovery: RUST, "server timeout": RUST, "client timeout": RUST,
    },
  },
];
