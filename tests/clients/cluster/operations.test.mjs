// Clusters of Rust and Node.js nodes: every operation, from every node to the clients of every other.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createClient } from "redis";
import { eventually } from "../server.mjs";
import { Member, control, emptied, marked } from "./nodes.mjs";
import { useCluster } from "./suite.mjs";

const KINDS = (process.env.CLUSTER_KINDS ?? "rust,node,rust").split(",");
const SHAPES = [
  [], [1], ["two", 2, null], [true, false], [-1, 1.5, 4294967296, -0.25], ["é\u{1f600}\n\"q\""],
  ["", [], {}], [{ z: { a: [1, { b: null }] }, y: "s" }],
  [{ $binary: "AAEC/w==" }], ["mixed", { deep: [{ $binary: "AQ==" }, 2, { $binary: "" }] }],
];

for (const mode of ["classic", "sharded", "streams"]) {
  describe(`${mode}: ${KINDS.join(", ")}`, () => {
    let redis;
    let nodes;
    let members;

    useCluster(KINDS, mode, (started) => { ({ redis, nodes } = started); });

    // In each node two clients: one in the rooms a and own, the other in b.
    async function enter(nsp = "/") {
      members = await Promise.all(nodes.flatMap((node, at) => [
        Member.enter(node, { nsp, rooms: ["a", `own${at}`] }),
        Member.enter(node, { nsp, rooms: ["b"] }),
      ]));
      for (const from of nodes) {
        for (const member of members.filter((_, at) => at % 2 === 0)) await member.reached(from, ["a"]);
        for (const member of members.filter((_, at) => at % 2 === 1)) await member.reached(from, ["b"]);
        for (const [at] of nodes.entries()) await members[2 * at].reached(from, [`own${at}`]);
      }
      // What the others' marks have left behind.
      for (const from of nodes) for (const member of members) await member.until(from);
    }
    async function leave(nsp) {
      for (const member of members) member.leave();
      // The next test joins the same rooms, which a sharded Node.js node must not do before it left them.
      await emptied(nodes, nsp);
    }

    async function got(from, order) {
      await control(from, { op: "emit", event: "e", args: [], ...order });
      const came = [];
      for (const member of members) came.push((await member.until(from)).map((event) => event[0]));
      return came.map((events) => events.length);
    }

    for (const nsp of ["/", "/chat"]) {
      test(`${nsp}: rooms, exceptions and ids mean the same on every node`, async () => {
        await enter(nsp);
        for (const from of nodes) {
          const own = nodes.indexOf(from);
          const all = nodes.map(() => [1, 1]).flat();
          assert.deepEqual(await got(from, { nsp }), all, `all, from ${from.kind}`);
          assert.deepEqual(await got(from, { nsp, rooms: ["a"] }), all.map((_, at) => (at % 2 ? 0 : 1)));
          assert.deepEqual(await got(from, { nsp, rooms: ["a", "b", "own1"] }), all);
          assert.deepEqual(await got(from, { nsp, except: ["b"] }), all.map((_, at) => (at % 2 ? 0 : 1)));
          assert.deepEqual(await got(from, { nsp, rooms: [members[3].id] }), all.map((_, at) => (at === 3 ? 1 : 0)));
          assert.deepEqual(await got(from, { nsp, except: [members[2].id] }), all.map((_, at) => (at === 2 ? 0 : 1)));
          assert.deepEqual(await got(from, { nsp, volatile: true, rooms: ["own2"] }), all.map((_, at) => (at === 4 ? 1 : 0)));
          assert.deepEqual(await got(from, { nsp, local: true }), all.map((_, at) => (at >> 1 === own ? 1 : 0)));
        }
        await leave(nsp);
      });
    }

    test("events of every shape arrive as they were sent", async () => {
      await enter();
      for (const from of nodes) {
        for (const args of SHAPES) {
          await control(from, { op: "emit", event: "shape", args });
          for (const member of members) {
            const event = await member.next("shape");
            assert.deepEqual(marked(event), ["shape", ...args], `${from.kind} to ${member.node.kind}`);
          }
        }
      }
      await leave();
    });

    test("the order of a sender holds on every node", async () => {
      await enter();
      for (const from of nodes) {
        await control(from, { op: "emitMany", event: "n", count: 500 });
        await control(from, { op: "emitMany", event: "n", count: 500, rooms: ["a"] });
        for (const member of members) {
          const events = await member.until(from);
          const expected = Array.from({ length: member === members[1] || members.indexOf(member) % 2 ? 500 : 1000 }, (_, n) => n % 500);
          assert.deepEqual(events.map((event) => event[1]), expected, `${from.kind} to ${member.node.kind}`);
        }
      }
      await leave();
    });

    test("acknowledgements come from the clients of every node", async () => {
      await enter();
      for (const member of members) {
        member.socket.on("ask", (question, ack) => ack({ question, id: member.id }));
      }
      for (const from of nodes) {
        const { answers, timedOut } = await control(from, { op: "ask", event: "ask", args: ["?"], timeout: 5000 });
        assert.equal(timedOut, false);
        const ids = answers.map((answer) => answer.id).sort();
        assert.deepEqual(ids, members.map((member) => member.id).sort(), from.kind);
        for (const member of members) await member.expect("ask", "?");
        const room = await control(from, { op: "ask", rooms: ["own0", "own2"], event: "ask", args: [{ $binary: "AQ==" }], timeout: 5000 });
        assert.equal(room.answers.length, 2);
        assert.deepEqual(room.answers[0].question, { $binary: "AQ==" }, "bytes come back as bytes");
        for (const at of [0, 4]) await members[at].next("ask");
      }
      const [silent] = members;
      silent.socket.off("ask");
      for (const from of nodes) {
        const { answers, timedOut } = await control(from, { op: "ask", event: "ask", args: [1], timeout: 700 });
        assert.deepEqual([answers.length, timedOut], [members.length - 1, true], from.kind);
        for (const member of members) await member.next("ask");
      }
      await leave();
    });

    test("an acknowledgement is its first argument, be it null or one of several", async () => {
      await enter();
      const answered = { null: [null], several: [{ one: 1 }, "two", null], "bytes first": [Buffer.from([1]), 2], nothing: [] };
      for (const member of members) member.socket.on("ask", (which, ack) => ack(...answered[which]));
      for (const from of nodes) {
        for (const [which, args] of Object.entries(answered)) {
          const { answers, timedOut } = await control(from, { op: "ask", event: "ask", args: [which], timeout: 5_000 });
          assert.equal(timedOut, false, `${from.kind}, ${which}`);
          assert.deepEqual(answers, members.map(() => marked(args[0]) ?? null), `${from.kind}, ${which}`);
          for (const member of members) await member.expect("ask", which);
        }
      }
      await leave();
    });

    test("sockets are found and moved on every node", async () => {
      await enter();
      for (const member of members) {
        await member.socket.emitWithAck("set", "name", member.id.toLowerCase());
      }
      for (const from of nodes) {
        const sockets = await control(from, { op: "fetch" });
        const found = Object.fromEntries(sockets.map((socket) => [socket.id, socket]));
        assert.equal(sockets.length, members.length);
        for (const [at, member] of members.entries()) {
          const rooms = at % 2 ? ["b"] : ["a", `own${at / 2}`];
          assert.deepEqual(found[member.id], { id: member.id, rooms, data: { name: member.id.toLowerCase() } });
        }
        assert.equal((await control(from, { op: "fetch", rooms: ["a"], except: ["own1"] })).length, 2);
        assert.equal(await control(from, { op: "count", rooms: ["b"] }), 3);
        assert.equal(await control(from, { op: "nodes" }), nodes.length);
        const rooms = await control(from, { op: "rooms" });
        assert.deepEqual(rooms, ["a", "b", "own0", "own1", "own2"]);

        await control(from, { op: "join", rooms: ["a"], targets: ["x", "y"] });
        for (const member of members) await member.until(from);
        for (const at of [0, 2, 4]) await members[at].reached(from, ["x"]);
        await control(from, { op: "leave", rooms: ["x"], except: ["own0"], targets: ["y"] });
        for (const member of members) await member.until(from);
        const left = await control(from, { op: "fetch", rooms: ["y"] });
        assert.deepEqual(left.map((socket) => socket.id), [members[0].id], from.kind);
        await control(from, { op: "leave", targets: ["x", "y"] });
        for (const member of members) await member.until(from);
      }
      for (const from of nodes) {
        for (const close of [true, false]) {
          const leaving = await Promise.all(nodes.map((node) => Member.enter(node)));
          const gone = leaving.map((member) => new Promise((resolve) => { member.socket.once("disconnect", resolve); }));
          const rooms = leaving.map((member) => member.id);
          await control(from, { op: "disconnect", rooms, close });
          for (const reason of await Promise.all(gone)) assert.equal(reason, "io server disconnect", `${from.kind}, ${close}`);
        }
      }
      await leave();
    });

    test("a closed room has no members", async () => {
      await enter();
      // Node.js has no word for it.
      for (const [at, from] of nodes.entries()) {
        if (from.kind !== "rust") continue;
        const room = `closed${at}`;
        await control(from, { op: "join", rooms: ["a"], targets: [room] });
        for (const member of members.filter((_, to) => to % 2 === 0)) await member.reached(from, [room]);
        // What the others' marks have left behind.
        for (const member of members) await member.until(from);
        await control(from, { op: "closeRoom", rooms: [room] });
        assert.deepEqual(await got(from, { rooms: [room] }), members.map(() => 0));
        for (const node of nodes) assert.deepEqual(await control(node, { op: "fetch", rooms: [room] }), [], node.kind);
        assert.deepEqual(await control(from, { op: "rooms" }), ["a", "b", "own0", "own1", "own2"]);
      }
      await leave();
    });

    test("the handshake of a client of another node is available", async () => {
      await enter();
      for (const from of nodes) {
        const found = await control(from, { op: "handshakes", rooms: ["a"] });
        const handshakes = nodes.map((_, at) => found.find(({ id }) => id === members[2 * at].id).handshake);
        for (const [at, handshake] of handshakes.entries()) {
          // Only Node.js says the time in words too.
          const { time: _, issued, headers, address, url, query, auth, ...flags } = handshake;
          assert.ok(Math.abs(Date.now() - issued) < 60_000, `issued at ${issued}`);
          assert.equal(headers.host, new URL(nodes[at].url).host);
          assert.match(address, /^(::ffff:)?127\.0\.0\.1$/);
          assert.match(url, /^\/socket\.io\/\?rooms=a(%2C|,)own/);
          assert.deepEqual([query.rooms, query.EIO, query.transport], [`a,own${at}`, "4", "websocket"]);
          assert.deepEqual(auth, {});
          assert.deepEqual(flags, { xdomain: false, secure: false });
        }
      }
      await leave();
    });

    if (mode === "classic") {
      test("rooms and sockets are found by the requests that only this format has", async () => {
        await enter();
        const ids = members.map((member) => member.id);
        for (const from of nodes.filter((node) => node.kind === "node")) {
          // A Node.js node names its sockets too, each of which is a room there.
          const rooms = (await control(from, { op: "allRooms" })).filter((room) => !ids.includes(room));
          assert.deepEqual(rooms, ["a", "b", "own0", "own1", "own2"]);
        }
        // Of older adapters: each node says which of its sockets are in the rooms.
        const client = await createClient({ url: redis.url, RESP: 2 }).connect();
        const listener = await client.duplicate().connect();
        const answers = [];
        await listener.pSubscribe("socket.io-response#/#*", (answer) => answers.push(JSON.parse(answer)));
        for (const [rooms, expected] of [[[], ids], [["b"], ids.filter((_, at) => at % 2)], [["own1"], [ids[2]]]]) {
          const requestId = `sockets of ${rooms}`;
          await client.publish("socket.io-request#/#", JSON.stringify({ uid: "older", requestId, type: 0, rooms }));
          const its = () => answers.filter((answer) => answer.requestId === requestId);
          await eventually("each node's answer", () => its().length === nodes.length);
          assert.deepEqual(its().flatMap(({ sockets }) => sockets).sort(), [...expected].sort());
        }
        listener.destroy();
        client.destroy();
        await leave();
      });
    }

    test("events between servers reach every other, and each answers", async () => {
      for (const from of nodes) {
        const told = async () => Promise.all(nodes.map((node) => control(node, { op: "heard" })));
        const before = await told();
        await control(from, { op: "serverSideEmit", event: "note", args: ["x", { y: [1] }] });
        const { answers, timedOut } = await control(from, { op: "serverSideAsk", event: "sum", args: [1, 2, 3], timeout: 5000 });
        assert.equal(timedOut, false);
        const others = nodes.filter((node) => node !== from).map((node) => ({ node: node.kind, sum: 6 }));
        const byKind = (one, two) => one.node.localeCompare(two.node);
        assert.deepEqual(answers.sort(byKind), others.sort(byKind), from.kind);
        const now = await told();
        for (const [at, node] of nodes.entries()) {
          const fresh = now[at].slice(before[at].length).map((heard) => heard.event);
          assert.deepEqual(fresh, node === from ? [] : ["note", "sum"]);
        }
      }
    });
  });
}
