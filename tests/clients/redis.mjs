// Starts a Redis server for a test and ends it, and it alone.
//
// Leaves: its URL, on a free loopback port. Nothing is written to disk, unless a test wants that what
// Redis has outlives a kill.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepts, freePort, stopped } from "./server.mjs";

const START_MS = 10_000;
const STOP_MS = 5_000;
const POLL_MS = 20;
const running = new Set();

/** Starts `redis-server`, or what `REDIS_SERVER` names, and waits until it accepts. */
export async function startRedis({ lasting = false } = {}) {
  const redis = new Redis(await freePort(), lasting);
  await redis.start();
  return redis;
}

class Redis {
  #child;

  #options = ["--save", "", "--appendonly", "no"];

  constructor(port, lasting) {
    this.port = port;
    if (lasting) {
      const folder = mkdtempSync(join(tmpdir(), "redis-"));
      process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
      // What is acknowledged has been written by then, and outlives the process.
      this.#options = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", folder];
    }
    this.url = `redis://127.0.0.1:${port}`;
  }

  /** Starts it, after `kill` again on the same port, empty unless it lasts. */
  async start() {
    const binary = process.env.REDIS_SERVER ?? "redis-server";
    const options = ["--port", this.port, "--bind", "127.0.0.1", ...this.#options];
    const child = spawn(binary, options.map(String), { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    let ended = "";
    running.add(child);
    child.once("error", (error) => { ended = error.message; });
    child.once("exit", (code, signal) => {
      running.delete(child);
      ended = `it exited with ${signal ?? code}`;
    });
    const deadline = Date.now() + START_MS;
    while (!(await accepts(this.port))) {
      if (ended) throw new Error(`${binary} did not start: ${ended}`);
      if (Date.now() > deadline) throw new Error(`${binary} did not accept in ${START_MS} ms`);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }

  /** Stops it where it is, until `resume`: it holds its connections and answers nothing. */
  async pause() {
    await stopped(this.#child);
  }

  resume() {
    this.#child.kill("SIGCONT");
  }

  /** Ends it as a crash would. */
  async kill() {
    const child = this.#child;
    if (!running.has(child)) return;
    const exit = once(child, "exit", { signal: AbortSignal.timeout(STOP_MS) });
    child.kill("SIGKILL");
    await exit;
  }
}

process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
