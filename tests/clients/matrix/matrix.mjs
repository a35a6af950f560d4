#!/usr/bin/env node
// Runs every client through every feature over each of its transports, and prints a table.
//
//   MATRIX_BIN=… PYTHON=… node matrix/matrix.mjs [--only NAME] [--server direct|http]
//
// A client is a program of its own that speaks lines of JSON (`runner.mjs`). It connects through a proxy
// that cuts its connections if it asks for that. Exits with 1 if a cell is no `ok`, or is missing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { eventually, startServer, stopped, within } from "../server.mjs";
import { CLIENTS, FEATURES } from "./clients.mjs";
import { Proxy } from "./proxy.mjs";
import { QuicProxy } from "./quic_proxy.mjs";

const { values: options } = parseArgs({
  options: { only: { type: "string", default: "" }, server: { type: "string", default: "direct" } },
});
const TOGETHER = 6;
const RUN_MS = 300_000;
const REASON_MS = 20_000;

const here = fileURLToPath(new URL(".", import.meta.url));

async function main() {
  const { only, server } = options;
  const isRun = ({ name, servers = [server] }) => name.includes(only) && servers.includes(server);
  const clients = CLIENTS.filter(isRun);
  const runs = clients.flatMap((client) => client.transports.map((transports) => [client, transports]));
  const rows = [];
  let next = 0;
  // Most of the time a run waits for a timeout.
  await Promise.all(Array.from({ length: TOGETHER }, async () => {
    while (next < runs.length) {
      const at = next;
      next += 1;
      rows[at] = await row(...runs[at]);
    }
  }));
  print(rows);
  const failed = rows.flatMap((one) => FEATURES.flatMap((feature) => failure(one, feature) ?? []));
  for (const line of failed) console.log(line);
  process.exit(failed.length > 0 || rows.length === 0 ? 1 : 0);
}

/** Runs one client over one choice of transports. */
async function row(client, transports) {
  const folder = await mkdtemp(joinPath(tmpdir(), "matrix-"));
  // The servers of a row have one certificate.
  const env = { SERVER: options.server, IDENTITY: folder, ...client.env };
  const server = await startServer("MATRIX_BIN", { env });
  // With recovery each event has one more argument, its offset.
  const recovering = await startServer("MATRIX_BIN", { env: { ...env, RECOVERY: "1" } });
  const Kind = transports.includes("webtransport") ? QuicProxy : Proxy;
  const [proxy, back] = await Promise.all([server, recovering].map(({ port }) => Kind.start(port)));
  // Started for those that ask for it.
  const compressing = {};
  const [program, ...args] = client.command(proxy.url, back.url, transports);
  const child = spawn(program, args, { cwd: here, stdio: ["pipe", "pipe", "inherit"] });
  const cells = new Map();
  let answered = Promise.resolve();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.feature) return cells.set(message.feature, message.result);
    const parts = { env, server, proxy, recovering, back, child, compressing };
    answered = answered.then(() => answer(message, parts)).then((value) => {
      child.stdin.write(`${JSON.stringify(value ?? null)}\n`);
    });
    return undefined;
  });
  try {
    await within(once(child, "exit"), `${client.name} over ${transports}`, RUN_MS);
  } catch (error) {
    cells.set("end", `error: ${error.message}`);
    child.kill("SIGKILL");
  }
  for (const one of [proxy, back, compressing.proxy]) one?.close();
  await Promise.all([server, recovering, compressing.server].map((one) => one?.kill()));
  await rm(folder, { recursive: true });
  const without = { ...client.without, ...client.withoutOver?.[transports] };
  return { name: client.name, transports, cells, without };
}

/** Does what a client asks for. */
async function answer({ ask, id }, { env, server, proxy, recovering, back, child, compressing }) {
  switch (ask) {
    case "cut":
      return proxy.cut();
    case "miss":
      back.hold();
      back.cut();
      await reason(recovering, id);
      await fetch(`${recovering.url}/emit/missed`, { method: "POST" });
      return back.release();
    case "compressing server":
      compressing.server = await startServer("MATRIX_BIN", { env: { ...env, COMPRESSION: "1" } });
      compressing.proxy = await Proxy.start(compressing.server.port);
      return compressing.proxy.url;
    case "count bytes":
      return compressing.proxy.count();
    case "reason":
      return reason(server, id);
    case "freeze server":
      return server.pause();
    case "thaw server":
      server.resume();
      // The clock of actix-http is up to half a second late: until then it responds 408.
      return eventually("the server to respond", async () => {
        const response = await fetch(`${server.url}/reasons/none`, { headers: { connection: "close" } });
        return response.status === 404;
      }).catch((error) => error.message);
    case "freeze client": {
      await stopped(child);
      const found = await reason(server, id);
      child.kill("SIGCONT");
      return found;
    }
    default:
      return `unknown question ${ask}`;
  }
}

/** Waits until a socket has ended, and returns its reason. */
function reason(server, id) {
  const found = async () => {
    const response = await fetch(`${server.url}/reasons/${encodeURIComponent(id)}`);
    return response.ok && response.text();
  };
  return eventually("the end of a socket", found, REASON_MS).catch((error) => error.message);
}

/** Returns what is wrong with a cell. */
function failure({ name, transports, cells, without }, feature) {
  const cell = cells.get(feature) ?? cells.get("end") ?? "error: no result";
  if (cell === "ok" && !without[feature]) return undefined;
  if (cell === "none" && without[feature]) return undefined;
  if (cell === "none") return `${name}, ${transports}, ${feature}: not tried, and no reason is listed`;
  if (cell === "ok") return `${name}, ${transports}, ${feature}: works, and is listed as missing`;
  return `${name}, ${transports}, ${feature}: ${cell}`;
}

function print(rows) {
  const mark = (cell) => (cell === "ok" ? "yes" : cell === "none" ? "-" : "FAILS");
  console.log(`| client | transports | ${FEATURES.join(" | ")} |`);
  console.log(`|${" --- |".repeat(FEATURES.length + 2)}`);
  for (const { name, transports, cells } of rows) {
    const marks = FEATURES.map((feature) => mark(cells.get(feature)));
    console.log(`| ${name} | ${transports} | ${marks.join(" | ")} |`);
  }
}

await main();
