// Starts one of the example servers for a test and ends it, and it alone.
//
// Enters: the name of the environment variable that holds the path of the binary. Leaves: a
// running server, known to accept, on a free loopback port that its `PORT` told it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import { connect, createServer } from "node:net";

const START_MS = 15_000;
const STOP_MS = 5_000;
const POLL_MS = 20;
const START_TRIES = 3;
const OUTPUT_KEPT = 4_000;
const running = new Set();

/**
 * Starts the binary that the variable `variable` names. With `port`, on that port; else on a free
 * one, and on another if someone took it in between.
 */
export async function startServer(variable, { port, env = {} } = {}) {
  const binary = process.env[variable];
  if (!binary) throw new Error(`${variable} must hold the path of the server to test`);
  return startProgram(variable, [binary], { port, env });
}

/** Starts a command as a server, in the same way. */
export async function startProgram(name, command, { port, env = {} } = {}) {
  let failure;
  for (let attempt = 0; attempt < (port ? 1 : START_TRIES); attempt += 1) {
    const server = new Server(name, command, port ?? (await freePort()), env);
    try {
      await server.start();
      return server;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

class Server {
  #child;
  #command;
  #env;
  #name;
  #output = "";

  constructor(name, command, port, env) {
    this.#name = name;
    this.#command = command;
    this.#env = env;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts the process and waits until it accepts. After `kill`: again, on the same port. */
  async start() {
    const [program, ...args] = this.#command;
    const child = spawn(program, args, {
      env: { ...process.env, ...this.#env, PORT: String(this.port) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    running.add(child);
    let ended = "";
    child.once("error", (error) => { ended = error.message; });
    child.once("exit", (code, signal) => {
      running.delete(child);
      ended = `it exited with ${signal ?? code}`;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => { this.#output = (this.#output + chunk).slice(-OUTPUT_KEPT); });
    }
    const deadline = Date.now() + START_MS;
    while (!(await accepts(this.port))) {
      if (ended) throw new Error(`${this.#name} did not start: ${ended}\n${this.#output}`);
      if (Date.now() > deadline) {
        await this.kill();
        throw new Error(`${this.#name} did not accept on port ${this.port} in ${START_MS} ms\n${this.#output}`);
      }
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
    if (ended) throw new Error(`port ${this.port} is someone else's: ${ended}\n${this.#output}`);
  }

  /** Ends the process as a crash would, and waits until it is gone. */
  async kill() {
    const child = this.#child;
    if (!running.has(child) || child.pid === undefined) return;
    const exit = once(child, "exit", { signal: AbortSignal.timeout(STOP_MS) });
    child.kill("SIGKILL");
    await exit.catch(() => { throw new Error(`${this.#name} (pid ${child.pid}) outlived its SIGKILL`); });
  }

  /** Asks the process to end, as whoever runs it does, and waits until it has. */
  async end() {
    const exit = once(this.#child, "exit", { signal: AbortSignal.timeout(STOP_MS) });
    this.#child.kill("SIGINT");
    await exit;
  }

  /** Stops the process where it is, until `resume`: it holds its connections and answers nothing. */
  async pause() {
    await stopped(this.#child);
  }

  resume() {
    this.#child.kill("SIGCONT");
  }

  get pid() {
    return this.#child.pid;
  }

  /** What the server printed last, for messages of failed tests. */
  get output() {
    return this.#output;
  }
}

/** Stops a process, and waits until all its threads stand still: a busy one goes on for a moment. */
export async function stopped(child) {
  child.kill("SIGSTOP");
  const tasks = `/proc/${child.pid}/task`;
  // A thread that has just ended has no file any more.
  const stands = (task) => readFile(`${tasks}/${task}/stat`, "utf8").then((stat) => /\) [Tt] /.test(stat), () => true);
  const deadline = Date.now() + STOP_MS;
  for (;;) {
    const all = await Promise.all((await readdir(tasks)).map(stands));
    if (all.every(Boolean)) return;
    if (Date.now() > deadline) throw new Error(`process ${child.pid} does not stop`);
  }
}

/** Resolves with what `promise` does, or rejects naming `what` after `ms`. */
export function within(promise, what, ms = 5_000) {
  let timer;
  const lapsed = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  return Promise.race([promise, lapsed]).finally(() => clearTimeout(timer));
}

/** Waits until something holds, and returns it. */
export async function eventually(what, holds, ms = 10_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const held = await holds();
    if (held) return held;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

export async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

export function accepts(port) {
  return new Promise((resolve) => {
    const probe = connect(port, "127.0.0.1");
    const answer = (accepted) => {
      probe.destroy();
      resolve(accepted);
    };
    probe.once("connect", () => answer(true));
    probe.once("error", () => answer(false));
    probe.setTimeout(1_000, () => answer(false));
  });
}

// A test file that dies, or is told to end, leaves no server behind.
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
