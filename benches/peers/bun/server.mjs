// The events of the load benchmark on socket.io and Bun, for comparison.
//
// PORT comes from the environment. WORKERS does not: several processes would need sticky sessions
// and an adapter between them, which is another server than the one measured.

import { Server as Engine } from "@socket.io/bun-engine";
import { Server } from "socket.io";

// The engine that socket.io documents for Bun: Bun's own HTTP server and WebSocket in place of its
// imitation of Node's. Heartbeat 25 s and 20 s and per-message deflate off are its defaults.
const engine = new Engine({ path: "/socket.io/" });
const io = new Server();
io.bind(engine);

io.on("connection", (socket) => {
  socket.on("echo", (...args) => socket.emit("echo", ...args));
  socket.on("ack", (...args) => acknowledgement(args)?.(...args));
  socket.on("bcast", (...args) => io.emit("bcast", ...args));
  socket.on("join", (room, acknowledge) => {
    socket.join(room);
    acknowledge?.();
  });
  socket.on("leave", (room, acknowledge) => {
    socket.leave(room);
    acknowledge?.();
  });
  socket.on("rcast", (room, ...args) => io.to(room).emit("rcast", ...args));
});

// Takes the function that socket.io adds behind the args, if the client wants an ack.
function acknowledgement(args) {
  return typeof args.at(-1) === "function" ? args.pop() : undefined;
}

// Bun serves what its main module exports.
export default {
  hostname: "127.0.0.1",
  port: Number(process.env.PORT ?? 3000),
  ...engine.handler(),
};
