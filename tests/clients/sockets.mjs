// The parts that tests of every version of the official client share: its transports, arguments of every
// type, and waits for its events. Each wait has an end.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { startServer, within } from "./server.mjs";

export const MODES = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};
export const ARGUMENTS = ["text ✓ \u{1f600}", 1.5, -7, true, false, null, [], {}, [[1, [2]], { a: { b: ["c"] } }], ""];

/** One server for the tests of a `describe`; call the result to have it. */
export function shared(variable, env) {
  let server;
  before(async () => { server = await startServer(variable, { env }); });
  after(() => server?.kill());
  return () => server;
}

/** Connects, and waits until the transport is the one that `mode` ends on. */
export async function connected(socket, mode) {
  await opened(socket);
  const { engine } = socket.io;
  if (mode === "upgrade" && engine.transport.name === "polling") await next(engine, "upgrade");
  assert.equal(engine.transport.name, mode === "upgrade" ? "websocket" : mode);
}

/** Connects; a client of the 2.x line gets the event `error` if it is refused. */
export async function opened(socket) {
  const failed = new Promise((_, reject) => {
    for (const event of ["connect_error", "error"]) socket.once(event, reject);
  });
  const open = next(socket, "connect");
  socket.connect();
  await Promise.race([open, failed]);
  failed.catch(() => {});
}

/** Returns the arguments of the next event. */
export function next(emitter, event, ms) {
  return within(new Promise((resolve) => { emitter.once(event, (...args) => resolve(args)); }), `"${event}"`, ms);
}

/** Returns the arguments of the next `count` events of a name. */
export function collect(emitter, event, count, ms = 15_000) {
  const got = [];
  const all = new Promise((resolve) => {
    emitter.on(event, function take(...args) {
      got.push(args);
      if (got.length < count) return;
      emitter.off(event, take);
      resolve(got);
    });
  });
  return within(all, `${count} of "${event}"`, ms);
}

/** Emits, and returns the arguments of the acknowledgement. */
export function acknowledged(socket, event, ...args) {
  const answer = new Promise((resolve) => { socket.emit(event, ...args, (...answers) => resolve(answers)); });
  return within(answer, `the acknowledgement of "${event}"`, 10_000);
}
