// The behaviour of clients in languages that cannot run here, packet by packet, through the features of the
// matrix that they have. It was read from their source.
//
//   node replay.mjs elephant|arduino URL RECOVERY_URL TRANSPORT[,TRANSPORT]
//
// `elephant` is ElephantIO 4 for PHP. Each request has a connection of its own. It opens a session by
// polling, and upgrades by `5` without a probe. A POST has one event, with its attachments behind it. It
// reads only while its program waits, so a ping is answered late.
//
// `arduino` is `SocketIOclient` of arduinoWebSockets 2.4 or later, on ESP8266 and ESP32. It opens a session
// by polling, and the WebSocket on the same connection. Then it sends `2probe` and `5` without waiting for an
// answer. Its headers are `Origin: file://` and the subprotocol `arduino`. It has no attachments, and no
// acknowledgements but those that its program writes.
//
// Speaks with the matrix by lines, see `runner.mjs`.

import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect as connectTcp } from "node:net";
import WebSocket from "ws";
import { everyPlane, same } from "./features.mjs";
import { ask, runFeatures } from "./runner.mjs";

const [kind, url, , transports] = process.argv.slice(2);
const ways = transports.split(",");
const open = new Set();

/** One session. */
class Session {
  #waiting = [];
  #messages = [];
  #attachments = [];
  #ended = false;

  /** Opens a session and joins a namespace; resolves with the session behind its event `hello`. */
  static async connect({ query = {}, auth, namespace = "/" } = {}) {
    const session = new Session();
    open.add(session);
    session.query = { EIO: "4", ...query };
    session.namespace = namespace;
    await (kind === "elephant" ? session.#openElephant() : session.#openArduino());
    await session.join(namespace, auth);
    return session;
  }

  async #openElephant() {
    if (ways[0] === "websocket") {
      await this.#upgrade({ transport: "websocket" }, { origin: "*" });
      this.#opened(await this.#take());
      return;
    }
    this.#opened(await this.#http("GET"));
    if (ways.length > 1) {
      await this.#upgrade({ transport: "websocket", sid: this.sid }, { origin: "*" });
      this.ws.send("5");
    }
  }

  async #openArduino() {
    const { hostname, port } = new URL(url);
    const socket = connectTcp(Number(port), hostname);
    await once(socket, "connect");
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = () => socket;
    const headers = { connection: "keep-alive", origin: "file://", "user-agent": "arduino-WebSocket-Client" };
    this.#opened(await this.#http("GET", { headers, agent }));
    const options = { origin: "file://", headers: { "user-agent": headers["user-agent"] } };
    await this.#upgrade({ transport: "websocket", sid: this.sid }, options, socket, "arduino");
    this.ws.send("2probe");
    this.ws.send("5");
    same(await this.#take(), "3probe");
  }

  #opened(packet) {
    same(packet[0], "0");
    this.sid = JSON.parse(packet.slice(1)).sid;
  }

  #target(more) {
    return `/socket.io/?${new URLSearchParams({ ...this.query, transport: "polling", ...more })}`;
  }

  async #upgrade(more, options, socket, protocol) {
    const createConnection = socket && (() => socket);
    this.ws = new WebSocket(`${url.replace("http", "ws")}${this.#target(more)}`, protocol ?? [], {
      perMessageDeflate: false, ...options, createConnection,
    });
    this.ws.on("message", (data, isBinary) => this.#heard(isBinary ? data : data.toString()));
    this.ws.on("close", () => this.#end());
    this.ws.on("error", () => this.#end());
    await once(this.ws, "open");
  }

  /** Sends a request, and returns the text of its response. */
  async #http(method, { body, headers, agent } = {}) {
    const more = this.sid ? { sid: this.sid } : {};
    const sent = request(`${url}${this.#target(more)}`, {
      method, agent: agent ?? false, headers: { origin: "*", ...headers },
    });
    sent.end(body);
    const [response] = await once(sent, "response");
    const parts = await response.toArray();
    const text = Buffer.concat(parts).toString();
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${text}`);
    return text;
  }

  #heard(message) {
    if (message === "2") {
      this.send("3").catch(() => {});
      return;
    }
    if (message === "1") this.#end();
    const take = this.#waiting.shift();
    if (take) take(message);
    else this.#messages.push(message);
  }

  #end() {
    this.#ended = true;
    for (const take of this.#waiting.splice(0)) take(undefined);
  }

  /** Returns the next packet; `undefined` at the end of the session. Polls if there is no WebSocket. */
  async #take() {
    while (this.#messages.length === 0) {
      if (this.#ended) return undefined;
      if (this.ws) return new Promise((resolve) => { this.#waiting.push(resolve); });
      let body;
      try {
        body = await this.#http("GET");
      } catch {
        this.#end();
        return undefined;
      }
      for (const packet of body.split("\x1e")) {
        this.#heard(packet[0] === "b" ? Buffer.from(packet.slice(1), "base64") : packet);
      }
    }
    return this.#messages.shift();
  }

  /** Sends a packet and its attachments: in one body, or as frames. */
  async send(packet, attachments = []) {
    if (this.ws) {
      for (const part of [packet, ...attachments]) this.ws.send(part);
      return;
    }
    const body = [packet, ...attachments.map((data) => `b${data.toString("base64")}`)].join("\x1e");
    same(await this.#http("POST", { body, headers: { "content-type": "text/plain; charset=UTF-8" } }), "ok");
  }

  /** Joins a namespace, and waits for its `hello`. */
  async join(namespace, auth) {
    // The example of arduinoWebSockets sends `/` for the main namespace too.
    const named = namespace === "/" ? (kind === "arduino" ? "/" : "") : `${namespace},`;
    await this.send(`40${named}${auth ? JSON.stringify(auth) : ""}`);
    const prefix = namespace === "/" ? "" : `${namespace},`;
    const answer = await this.#take();
    if (answer.startsWith("44")) throw new Error(answer.slice(2 + prefix.length));
    same(answer.startsWith(`40${prefix}{`), true);
    this.id = JSON.parse(answer.slice(2 + prefix.length)).sid;
    if (namespace !== "/private") this.hello = (await this.next("hello", namespace))[0];
  }

  /** Emits an event; binary arguments are of the first level. */
  async emit(event, args = [], { id = "", namespace = "/" } = {}) {
    const attachments = args.filter((value) => Buffer.isBuffer(value));
    let num = -1;
    const list = args.map((value) => {
      if (!Buffer.isBuffer(value)) return value;
      num += 1;
      return { _placeholder: true, num };
    });
    const head = attachments.length > 0 ? `45${attachments.length}-` : "42";
    const prefix = namespace === "/" ? "" : `${namespace},`;
    await this.send(`${head}${prefix}${id}${JSON.stringify([event, ...list])}`, attachments);
  }

  /** Returns the next packet of Socket.IO: its type, id and list, with its attachments. */
  async packet(namespace = "/") {
    const text = await this.#take();
    if (text === undefined) return undefined;
    const prefix = namespace === "/" ? "" : `${namespace},`;
    const [, type, count, rest] = /^4(\d)(?:(\d+)-)?(.*)$/su.exec(text) ?? [];
    if (type === undefined || !rest.startsWith(prefix)) throw new Error(`not for ${namespace}: ${text.slice(0, 100)}`);
    const [, id, json] = /^(\d*)(.*)$/su.exec(rest.slice(prefix.length));
    for (let at = 0; at < Number(count ?? 0); at += 1) this.#attachments.push(await this.#take());
    const revive = (_, value) => (value?._placeholder ? this.#attachments[value.num] : value);
    const list = json && JSON.parse(json, revive);
    this.#attachments = [];
    return { type, id, list };
  }

  /** Returns the arguments of the next event, which must have this name. */
  async next(event, namespace) {
    const { list } = await this.packet(namespace);
    same(list[0], event);
    return list.slice(1);
  }

  async acknowledged(event, ...args) {
    await this.emit(event, args, { id: "7" });
    const { type, id, list } = await this.packet();
    same([["3", "6"].includes(type), id], [true, "7"]);
    return list;
  }

  async echo(...args) {
    await this.emit("echo", args);
    same(await this.next("echoed"), args);
  }

  /** Waits until the server has ended the session. */
  async ended() {
    while (await this.#take() !== undefined);
  }

  /** ElephantIO sends CLOSE; the other client ends its connection. */
  async close() {
    if (kind === "elephant" && !this.#ended) await this.send("1").catch(() => {});
    this.ws?.close();
    this.#end();
  }
}

const isElephant = kind === "elephant";

runFeatures({
  connect: async () => {
    const session = await Session.connect();
    same(session.ws !== undefined, ways.at(-1) === "websocket");
  },
  auth: !isElephant ? undefined : async () => {
    const session = await Session.connect({ auth: { token: "ä", n: [1] } });
    same(session.hello.auth, { token: "ä", n: [1] });
  },
  query: async () => {
    const session = await Session.connect({ query: { value: "a b&ä" } });
    same(session.hello.value, "a b&ä");
  },
  refused: async () => {
    const refused = Session.connect({ namespace: "/private", auth: { token: "wrong" } });
    const error = await refused.then(() => "connected", ({ message }) => JSON.parse(message));
    same(error, { message: "not authorized", data: { code: 401 } });
  },
  events: async () => {
    const session = await Session.connect();
    await session.echo("text", 1.5, -7, true, null, [], {}, [[1, [2]], { a: { b: ["c"] } }], "");
    for (let number = 0; number < 100; number += 1) await session.emit("echo", [number]);
    for (let number = 0; number < 100; number += 1) same(await session.next("echoed"), [number]);
  },
  binary: !isElephant ? undefined : async () => {
    const session = await Session.connect();
    await session.echo(Buffer.from([0, 1, 254, 255]), "text", Buffer.alloc(70_000, 7));
  },
  acks: !isElephant ? undefined : async () => {
    const session = await Session.connect();
    same(await session.acknowledged("ack", 1, { two: [3] }), [1, { two: [3] }]);
    same(await session.acknowledged("ack", Buffer.from([9])), [Buffer.from([9])]);
  },
  calls: !isElephant ? undefined : async () => {
    const session = await Session.connect();
    await session.emit("call", ["question", [6, "ä"]], { id: "8" });
    const { id, list } = await session.packet();
    same(list, ["question", [6, "ä"]]);
    await session.send(`43${id}[{"to":[6,"ä"]}]`);
    same((await session.packet()).list, [{ to: [6, "ä"] }]);
  },
  namespaces: async () => {
    const session = await Session.connect();
    await session.join("/chat");
    await session.emit("echo", ["of chat"], { namespace: "/chat" });
    same(await session.next("echoed", "/chat"), ["of chat"]);
    await session.echo("of main");
  },
  "server disconnect": async () => {
    const session = await Session.connect();
    await session.emit("kick");
    same((await session.packet()).type, "1");
  },
  "client disconnect": async () => {
    const session = await Session.connect();
    await session.close();
    same(await ask("reason", { id: session.id }), "transport close");
  },
  "server timeout": undefined,
  "client timeout": async () => {
    const session = await Session.connect();
    same(await ask("freeze client", { id: session.id }), "ping timeout");
    await session.ended();
  },
  reconnect: async () => {
    const session = await Session.connect();
    let hasEnded = false;
    const ended = session.ended().then(() => { hasEnded = true; });
    // Between two polls there is no connection to cut.
    while (!hasEnded) {
      await ask("cut");
      await Promise.race([ended, new Promise((resolve) => { setTimeout(resolve, 200); })]);
    }
    await (await Session.connect()).echo("again");
  },
  recovery: undefined,
  compression: undefined,
  "1 MB": async () => {
    const session = await Session.connect();
    await session.echo("ä".repeat(524_288));
    if (isElephant) await session.echo(Buffer.alloc(1_048_576, 3));
  },
  "UTF-8": async () => {
    const session = await Session.connect();
    await session.echo(everyPlane());
  },
}, { done: async () => { for (const session of open) await session.close(); open.clear(); } });
