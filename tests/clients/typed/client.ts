// A client whose events are those of examples/typed: `events.ts` is what the example prints.

import assert from "node:assert/strict";
import { io, type Socket } from "socket.io-client";
import type { Chat, ClientToServerEvents, ServerToClientEvents } from "./events.js";

const WAIT_MS = 5_000;

/** Talks to the server at `url`; rejects where an answer is not what the contract says. */
export async function talk(url: string, transports: string[]): Promise<void> {
  const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, {
    forceNew: true,
    reconnection: false,
    transports,
  });
  try {
    const asked: string[] = [];
    socket.on("confirm", (text, callback) => {
      asked.push(text);
      callback(text !== "no");
    });
    const said = new Promise<[Chat, number]>((resolve) => {
      socket.once("said", (chat, number) => { resolve([chat, number]); });
    });

    const picture = new Uint8Array([1, 2, 3]);
    const receipt = await socket.timeout(WAIT_MS).emitWithAck("say", { text: "hello", picture });
    const number: number = receipt.number;
    assert.ok(number >= 1);

    const [chat, saidNumber] = await said;
    assert.equal(chat.text, "hello");
    assert.equal(saidNumber, number);
    assert.ok(chat.picture);
    assert.deepEqual([...new Uint8Array(chat.picture)], [1, 2, 3]);

    const refused: unknown = await socket.timeout(WAIT_MS).emitWithAck("say", { text: "no" });
    assert.deepEqual(refused, { error: "not confirmed" });
    assert.deepEqual(asked, ["hello", "no"]);
  } finally {
    socket.disconnect();
  }
}
