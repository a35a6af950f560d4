// Events in clusters of Rust and Node.js nodes: order, shapes, and who is asked and goes.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { within } from "../server.mjs";
import { Member, assemble, calm, control, marked } from "./nodes.mjs";
import { useCluster } from "./suite.mjs";

const KINDS = (process.env.CLUSTER_KINDS ?? "rust,node,rust").split(",");
const BLOCK = 5;
const EVENTS = 500;
const REJOINS = 10;
const EARLY_MS = 3_000;
const numbers = (...values) => [`numbers ${values}`, values];
// Node.js's classic adapter sends of these the lower 64 bits: of 1e21 it makes 3875820019684212736.
const BEYOND_64_BITS = numbers(1e21, -1e21, 1.7976931348623157e308);
const SHAPES = [
  numbers(0, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536),
  numbers(-1, -32, -33, -128, -129, -32_768, -32_769, -2_147_483_648, -2_147_483_649),
  numbers(2_147_483_647, 2_147_483_648, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER),
  numbers(-4_294_967_297, Number.MIN_SAFE_INTEGER, 0.1, -1.5e-7, 5e-324),
  ...[31, 32, 255, 256, 65_535, 65_536].map((length) => [`a string of ${length}`, ["s".repeat(length)]]),
  ...[15, 16, 65_536].map((length) => [`a list of ${length}`, [Array.from({ length }, (_, n) => n % 7)]]),
  ["sixteen keys", [Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`k${n}`, n]))]],
  ["a deep value", [Array.from({ length: 60 }).reduce((inner, _, n) => (n % 2 ? [inner] : { inner }), "x")]],
  ["control characters", ["\u0000\u001e\u001f\u007f\u2028", { "": "é", "\u{1f600}": null }]],
  ["what looks like a placeholder", [{ _placeholder: true, num: 0 }]],
  ["what looks like a request", [{ type: 6, uid: "emitter", nsp: "/other", requestId: "x" }]],
  ["empty bytes", [{ $binary: "" }]],
  ["many bytes", [{ $binary: Buffer.alloc(70_000, 7).toString("base64") }, { $binary: "AA==" }]],
  ["bytes in maps in lists", [[{ one: { $binary: "AQ==" }, n: null }, [{ $binary: "Ag==" }]], 2.5]],
];

/** Returns a value whose binary is what `JSON.stringify` makes of it. */
function stringified(value) {
  if (Array.isArray(value)) return value.map(stringified);
  if (value === null || typeof value !== "object") return value;
  if ("$binary" in value) return Buffer.from(value.$binary, "base64").toJSON();
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, stringified(inner)]));
}

for (const mode of ["classic", "sharded", "streams"]) {
  describe(`${mode}: ${KINDS.join(", ")}`, () => {
    let nodes;

    useCluster(KINDS, mode, (started) => { ({ nodes } = started); });

    for (const nsp of ["/", "/chat"]) {
      test(`${nsp}: arguments of every shape arrive as they were sent, to all and to a room`, async () => {
        const { members, shared } = await assemble(nodes, nsp);
        for (const from of nodes) {
          const truncates = mode === "classic" && from.kind === "node";
          for (const [shape, args] of truncates ? SHAPES : [...SHAPES, BEYOND_64_BITS]) {
            for (const rooms of [[], [shared]]) {
              await control(from, { op: "emit", nsp, rooms, event: "shape", args });
              for (const member of members) {
                const event = marked(await member.next(shape));
                assert.deepEqual(event, ["shape", ...args], `${shape}, ${from.kind} to ${member.node.kind}`);
              }
            }
          }
        }
      });
    }

    test("events to a room and to everyone stay in their order", async () => {
      const { members, shared } = await assemble(nodes);
      for (const from of nodes) {
        const expected = [];
        for (let block = 0; block * BLOCK < EVENTS; block += 1) {
          const event = `block ${block}`;
          const rooms = block % 2 ? [shared] : [];
          await control(from, { op: "emitMany", rooms, event, count: BLOCK });
          for (let n = 0; n < BLOCK; n += 1) expected.push([event, n]);
        }
        for (const member of members) {
          assert.deepEqual(await member.until(from), expected, `${from.kind} to ${member.node.kind}`);
        }
      }
    });

    test("nodes that send at once each keep their own order", async () => {
      const { members } = await assemble(nodes);
      await Promise.all(nodes.map((from, at) => control(from, { op: "emitMany", event: `of ${at}`, count: EVENTS })));
      const expected = Array.from({ length: EVENTS }, (_, n) => n);
      for (const member of members) {
        const events = [];
        for (const from of nodes) events.push(...(await member.until(from)));
        for (const [at, from] of nodes.entries()) {
          const its = events.filter(([event]) => event === `of ${at}`).map(([, n]) => n);
          assert.deepEqual(its, expected, `${from.kind} to ${member.node.kind}`);
        }
      }
    });

    test("a broadcast of a client's handler reaches the clients of every node", async () => {
      const { members } = await assemble(nodes);
      for (const speaker of members) {
        speaker.socket.emit("bcast", 1, { two: [null] }, Buffer.from([3]));
        for (const member of members) {
          const event = marked(await member.next("bcast"));
          assert.deepEqual(event, ["bcast", 1, { two: [null] }, { $binary: "Aw==" }]);
        }
      }
    });

    test("a client that goes while it is asked is waited for by Node.js alone", async () => {
      for (const from of nodes) {
        for (const node of nodes) {
          const { members } = await assemble(nodes);
          const leaving = await Member.enter(node);
          for (const member of members) member.socket.on("ask", (question, ack) => ack([question, member.id]));
          leaving.socket.on("ask", () => leaving.leave());
          const early = from.kind === "rust" && node.kind === "rust";
          const begun = Date.now();
          const order = { op: "ask", event: "ask", args: [1], timeout: early ? 15_000 : 700 };
          const { answers, timedOut } = await control(from, order);
          const pair = `${from.kind} asks, a client of ${node.kind} goes`;
          assert.ok(Date.now() - begun < EARLY_MS, `${pair}: ${Date.now() - begun} ms`);
          assert.equal(timedOut, !early, pair);
          const ids = answers.map(([, id]) => id).sort();
          assert.deepEqual(ids, members.map((member) => member.id).sort(), pair);
          Member.allLeave();
        }
      }
    });

    test("a room that is left and joined again at once is heard", async () => {
      for (const from of nodes) {
        // A sharded Node.js node may give up the room that it has just joined again.
        for (const node of nodes.filter(({ kind }) => mode !== "sharded" || kind !== "node")) {
          const { members, shared } = await assemble(nodes);
          const member = members[nodes.indexOf(node)];
          for (let n = 0; n < REJOINS; n += 1) {
            const { socket, own } = member;
            await Promise.all([socket.emitWithAck("leave", own), socket.emitWithAck("join", own)]);
            await member.reached(from, [own]);
          }
          await control(from, { op: "emit", rooms: [shared, member.own], event: "once", args: [] });
          assert.deepEqual(await member.until(from), [["once"]], `${from.kind} to ${node.kind}`);
          Member.allLeave();
        }
      }
    });

    test("an event with acknowledgement for an empty room ends at once", async () => {
      for (const from of nodes) {
        const begun = Date.now();
        const order = { op: "ask", rooms: ["no one"], event: "ask", args: [], timeout: 15_000 };
        const { answers, timedOut } = await control(from, order);
        assert.deepEqual([answers, timedOut], [[], false], from.kind);
        assert.ok(Date.now() - begun < EARLY_MS, `${from.kind}: ${Date.now() - begun} ms`);
      }
    });

    test("/chat: sockets are moved and disconnected there, and not in the main namespace", async () => {
      const nsp = "/chat";
      for (const from of nodes) {
        const { members: main } = await assemble(nodes);
        const { members, shared } = await assemble(nodes, nsp);
        const found = async (rooms) => (await control(from, { op: "fetch", nsp, rooms })).map((socket) => socket.id).sort();
        await control(from, { op: "join", nsp, rooms: [shared], except: [members[1].own], targets: ["x", "y"] });
        await calm(nodes, members);
        assert.deepEqual(await found(["x"]), [members[0].id, members[2].id].sort(), from.kind);
        assert.deepEqual(await control(from, { op: "fetch", rooms: ["x"] }), []);
        await control(from, { op: "leave", nsp, rooms: [members[2].id], targets: ["x"] });
        await calm(nodes, members);
        assert.deepEqual(await found(["x"]), [members[0].id], from.kind);
        const gone = members.map((member) => new Promise((resolve) => { member.socket.once("disconnect", resolve); }));
        await control(from, { op: "disconnect", nsp, except: [members[0].own] });
        for (const reason of gone.slice(1)) assert.equal(await within(reason, "the clients to go"), "io server disconnect");
        await members[0].until(from);
        await calm(nodes, main);
        for (const member of [...main, members[0]]) assert.ok(member.socket.connected, from.kind);
        Member.allLeave();
      }
    });

    test("a close takes the client's other namespaces along", async () => {
      for (const from of nodes) {
        for (const node of nodes) {
          const member = await Member.enter(node);
          await member.reached(from, []);
          const second = member.socket.io.socket("/chat");
          await within(new Promise((resolve) => { second.once("connect", resolve); second.connect(); }), "the other namespace");
          const gone = new Promise((resolve) => { second.once("disconnect", resolve); });
          await control(from, { op: "disconnect", rooms: [member.id], close: true });
          const reason = await within(gone, `the client of ${node.kind} to go, closed by ${from.kind}`);
          assert.match(reason, /^(io server disconnect|transport close)$/);
        }
      }
    });

    test("events between servers stay in their namespace and their order", async () => {
      const told = () => Promise.all(nodes.map((node) => control(node, { op: "heard" })));
      const lists = [
        [], [null], [-1.5, 4_294_967_296, "é\u{1f600}"], [{ z: [1, { b: [] }] }, [""]],
        [{ $binary: "AAEC/w==" }], ["mixed", { deep: [{ $binary: "AQ==" }, 2, { $binary: "" }] }],
      ];
      for (const nsp of ["/", "/chat"]) {
        for (const from of nodes) {
          const before = await told();
          for (const args of lists) await control(from, { op: "serverSideEmit", nsp, event: "note", args });
          // Each server answers this after what came before it.
          const { answers } = await control(from, { op: "serverSideAsk", nsp, event: "sum", args: [40, 2], timeout: 5_000 });
          assert.deepEqual(answers.map((answer) => answer.sum), nodes.slice(1).map(() => 42), from.kind);
          // The classic Node.js adapter says these things in JSON.
          const arrived = mode === "classic" && from.kind === "node" ? stringified : (args) => args;
          const expected = [...lists.map((args) => ({ nsp, event: "note", args: arrived(args) })), { nsp, event: "sum", args: [40, 2] }];
          for (const [at, heard] of (await told()).entries()) {
            const fresh = heard.slice(before[at].length);
            assert.deepEqual(fresh, nodes[at] === from ? [] : expected, `${from.kind} to ${nodes[at].kind}`);
          }
        }
      }
    });
  });
}
