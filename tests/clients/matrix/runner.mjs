// The side of a client in the matrix: it runs the features one after another, and speaks with the matrix
// by lines of JSON.
//
// Output: `{ feature, result }`, the result is `ok`, `none` if the client does not have the feature, or an
// error's text; `{ ask, ... }` asks for a disturbance. Input: the answer to the last question.

import { inspect } from "node:util";
import { createInterface } from "node:readline";

const FEATURE_MS = 40_000;
const answers = [];
const waiting = [];

createInterface({ input: process.stdin }).on("line", (line) => {
  const take = waiting.shift();
  if (take) take(JSON.parse(line));
  else answers.push(JSON.parse(line));
});

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** Asks the matrix to do something, and returns its answer. */
export async function ask(what, more = {}) {
  say({ ask: what, ...more });
  if (answers.length > 0) return answers.shift();
  return new Promise((resolve) => { waiting.push(resolve); });
}

/** Runs the features in order; `undefined` stands for one that the client does not have. */
export async function runFeatures(features, { done, end }) {
  for (const [feature, run] of Object.entries(features)) {
    say({ feature, result: run ? await result(run) : "none" });
    await done();
  }
  await end?.();
  process.exit(0);
}

async function result(run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${FEATURE_MS} ms`)), FEATURE_MS);
  });
  try {
    await Promise.race([run(), late]);
    return "ok";
  } catch (error) {
    return `error: ${error?.message ?? inspect(error)}`;
  } finally {
    clearTimeout(timer);
  }
}
