// Typed events from end to end: the definitions that examples/typed prints, a TypeScript client
// compiled against them, and the AsyncAPI document, judged by the project's own parser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Parser } from "@asyncapi/parser";
import { startServer, within } from "./server.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const COMPILER = join(HERE, "node_modules/typescript/bin/tsc");
const RUN_MS = 60_000;
const run = promisify(execFile);

let folder;

before(async () => {
  // Inside this folder, so that the compiler and Node.js find what npm installed.
  folder = await mkdtemp(join(HERE, "typed-"));
  await cp(join(HERE, "typed"), folder, { recursive: true });
  await writeFile(join(folder, "events.ts"), await printed("--typescript"));
});

after(() => rm(folder, { recursive: true, force: true }));

describe("a TypeScript client", () => {
  let server;
  before(async () => { server = await startServer("TYPED_BIN"); });
  after(() => server?.kill());

  test("compiles_against_the_definitions_and_talks_to_the_server", async () => {
    assert.equal(await compiled("-p", folder), "");
    const { talk } = await import(pathToFileURL(join(folder, "built/client.js")));
    await within(talk(server.url, ["polling"]), "the client over polling", 20_000);
    await within(talk(server.url, ["websocket"]), "the client over WebSocket", 20_000);
  });
});

test("the_compiler_refuses_what_breaks_the_contract", async () => {
  const config = JSON.parse(await readFile(join(folder, "tsconfig.json"), "utf8"));
  config.files = ["wrong.ts"];
  await writeFile(join(folder, "wrong.json"), JSON.stringify(config));
  const output = await compiled("-p", join(folder, "wrong.json"), "--noEmit", "--pretty", "false");
  const refused = [...output.matchAll(/wrong\.ts\((\d+),\d+\): error/g)].map(([, line]) => Number(line));
  const lines = (await readFile(join(folder, "wrong.ts"), "utf8")).split("\n");
  const marked = lines.flatMap((line, at) => (line.includes("// refused") ? [at + 1] : []));
  assert.equal(marked.length, 5);
  assert.deepEqual([...new Set(refused)].sort((a, b) => a - b), marked, output);
});

test("the_asyncapi_document_is_valid", async () => {
  const text = await printed("--asyncapi");
  const { document, diagnostics } = await new Parser().parse(text);
  const faults = diagnostics.filter(({ severity }) => severity === 0);
  assert.deepEqual(faults, []);
  assert.equal(document.version(), "3.0.0");
  const operations = document.operations().all().map((operation) => [operation.id(), operation.action()]);
  assert.deepEqual(operations.sort(), [
    ["receive.root.say", "receive"],
    ["send.root.confirm", "send"],
    ["send.root.said", "send"],
  ]);
});

test("the_parser_would_see_a_broken_document", async () => {
  const broken = JSON.parse(await printed("--asyncapi"));
  broken.operations["receive.root.say"].action = "answer";
  const { diagnostics } = await new Parser().parse(JSON.stringify(broken));
  assert.ok(diagnostics.some(({ severity }) => severity === 0));
});

/** Runs the compiler; returns its complaints, nothing where there are none. */
async function compiled(...args) {
  try {
    await run(process.execPath, [COMPILER, ...args], { timeout: RUN_MS });
    return "";
  } catch (error) {
    return error.stdout || error.message;
  }
}

/** Returns what the example prints when it is asked by this option. */
async function printed(option) {
  const binary = process.env.TYPED_BIN;
  if (!binary) throw new Error("TYPED_BIN must hold the path of the server to test");
  return (await run(binary, [option], { timeout: RUN_MS })).stdout;
}
