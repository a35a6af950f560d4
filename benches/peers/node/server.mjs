// The events of the load benchmark on socket.io and Node.js, for comparison.
//
// PORT comes from the environment. WORKERS does not: several processes would need sticky sessions
// and an adapter between them, which is another server than the one measured.

import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
// The defaults are the fast settings: ws as the engine, per-message deflate off, heartbeat 25 s and
// 20 s. The package bufferutil, which socket.io's "Performance tuning" asks for, is found by ws by
// itself; its companion utf-8-validate has been in Node.js since 18.14.
const io = new Server(server, {
  transports: ["polling", "websocket"],
  // No routes for the browser's bundle; nothing asks for them here.
  serveClient: false,
});

// "Memory usage" in socket.io's documentation: the first request is not needed later.
io.engine.on("connection", (session) => {
  session.request = null;
});

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

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");

// Takes the function that socket.io adds behind the args, if the client wants an ack.
function acknowledgement(args) {
  return typeof args.at(-1) === "function" ? args.pop() : undefined;
}
