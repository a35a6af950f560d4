// One version of the official client in Node.js, over one choice of transports, through all features of the
// matrix.
//
//   node javascript.mjs PACKAGE URL RECOVERY_URL TRANSPORT[,TRANSPORT]
//
// Speaks with the matrix by lines, see `runner.mjs`.

import { createRequire } from "node:module";
import { features } from "./features.mjs";
import { ask, runFeatures } from "./runner.mjs";

const [name, url, recoveryUrl, transports] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const { version } = require(`${name}/package.json`);
const open = new Set();

runFeatures(features({
  io: require(name), version, url, recoveryUrl, transports, ask, open, bytes: (numbers) => Buffer.from(numbers),
}), { done: () => { for (const socket of open) socket.disconnect(); open.clear(); } });
