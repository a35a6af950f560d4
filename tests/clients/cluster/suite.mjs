// A cluster of the tests of one suite, and a check that two chapters share.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { startRedis } from "../redis.mjs";
import { eventually } from "../server.mjs";
import { Member, assemble, bySender, control, startCluster } from "./nodes.mjs";

/**
 * Starts Redis and nodes on it before the tests of the suite, and ends them behind. `started` gets
 * them; the members of each test leave at its end.
 */
export function useCluster(kinds, mode, started) {
  let redis;
  let nodes = [];

  before(async () => {
    redis = await startRedis();
    nodes = await startCluster(kinds, mode, redis);
    started({ redis, nodes });
  });
  after(async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await redis?.kill();
  });
  afterEach(() => Member.allLeave());
}

/**
 * Kills Redis, lets every node say `count` numbers, and starts Redis again. Returns the members when
 * each node reaches all of them once more, within `ms`.
 *
 * `servesItsOwn(from)` tells whether a node's own clients hear it meanwhile, and `isComplete(from, to)`
 * whether clients of a node have all that another said; whatever they have is in order and once.
 */
export async function whileRedisIsAway({ redis, nodes, count, ms, servesItsOwn, isComplete }) {
  const { members } = await assemble(nodes);
  const seen = members.map(() => []);
  await redis.kill();
  for (const [at, from] of nodes.entries()) {
    for (let n = 0; n < count; n += 1) await control(from, { op: "emit", event: "n", args: [at, n] });
    if (!servesItsOwn(from)) continue;
    for (let n = 0; n < count; n += 1) seen[at].push(await members[at].expect("n", at, n));
  }
  await redis.start();
  // Its mark comes after all that a node has said before.
  const marked = (to) => new Set(seen[to].filter(([event]) => event === "mark").map(([, at]) => at)).size;
  await eventually("what each node says to come to all, once Redis is back", async () => {
    for (const [at, from] of nodes.entries()) await control(from, { op: "emit", event: "mark", args: [at] });
    for (const [to, member] of members.entries()) seen[to].push(...member.taken());
    return members.every((_, to) => marked(to) === nodes.length);
  }, ms);
  const expected = Array.from({ length: count }, (_, n) => n);
  for (const [to, member] of members.entries()) {
    const its = bySender(seen[to].filter(([event]) => event === "n"), nodes);
    for (const [at, from] of nodes.entries()) {
      const numbers = its[at].map(([, , n]) => n);
      const pair = `${from.kind} to ${member.node.kind}`;
      if (isComplete(from, member.node)) assert.deepEqual(numbers, expected, pair);
      else assert.deepEqual(numbers, expected.filter((n) => numbers.includes(n)), `${pair}: in order and once`);
    }
  }
  // What else was on its way is a mark.
  for (const member of members) for (const from of nodes) await member.until(from);
  return members;
}
