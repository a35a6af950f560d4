// What the compiler must refuse: each marked line breaks the contract, and nothing else does.

import type { Socket } from "socket.io-client";
import type { ClientToServerEvents, ServerToClientEvents } from "./events.js";

export function wrong(socket: Socket<ServerToClientEvents, ClientToServerEvents>): void {
  socket.emit("say", { text: 1 }, () => {}); // refused: a number is no text
  socket.emit("say", { text: "right" }, () => {});
  socket.emit("say", { text: "right" }, (receipt) => { receipt.number.trim(); }); // refused: no text
  socket.emit("shout", { text: "right" }); // refused: no such event
  socket.on("said", (chat, number) => { chat.text.trim(); number.toFixed(); });
  socket.on("said", (chat) => { chat.words.trim(); }); // refused: no such member
  socket.on("confirm", (_text, callback) => { callback("yes"); }); // refused: no boolean
}
