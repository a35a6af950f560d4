// A client for tests with thousands of clients: Socket.IO over a WebSocket of `ws`, with recovery.
//
// It answers packets as an official client does, and keeps the offset of the last event. It reconnects at
// once, to the node in `next`: faster than an official client.

import WebSocket from "ws";

export class LightClient {
  #closed = false;
  #socket;
  #opened;

  /** `heard` gets the arguments of each event, without its offset. */
  constructor(url, query, heard) {
    this.url = url;
    /** The node for the next connect. */
    this.next = url;
    this.query = query;
    this.heard = heard;
    this.pid = undefined;
    this.offset = undefined;
    this.id = undefined;
    /** The number of connects, and of those that did not recover the session. */
    this.connects = 0;
    this.newSessions = 0;
    /** The reasons for which a connection failed. */
    this.failures = [];
  }

  /** Connects, and resolves with the first event `ready`. */
  connect() {
    const opened = new Promise((resolve) => { this.#opened = resolve; });
    this.#open();
    return opened;
  }

  close() {
    this.#closed = true;
    this.#socket.terminate();
  }

  #open() {
    this.url = this.next;
    const url = new URL("/socket.io/", this.url.replace("http", "ws"));
    url.search = new URLSearchParams({ EIO: "4", transport: "websocket", ...this.query });
    const socket = new WebSocket(url, { perMessageDeflate: false });
    this.#socket = socket;
    socket.on("message", (data) => this.#read(socket, data.toString()));
    socket.on("error", (error) => { this.failures.push(error.message); });
    socket.once("close", () => {
      if (!this.#closed) setTimeout(() => this.#open(), this.failures.length > 0 ? RETRY_MS : 0);
    });
  }

  #read(socket, packet) {
    if (packet.startsWith("42")) return this.#event(JSON.parse(packet.slice(2)));
    if (packet === "2") return socket.send("3");
    if (packet.startsWith("0")) return socket.send(`40${this.#auth()}`);
    if (packet.startsWith("40")) return this.#connected(JSON.parse(packet.slice(2)));
    if (packet.startsWith("44")) this.failures.push(`refused: ${packet}`);
    return undefined;
  }

  #auth() {
    if (this.pid === undefined) return "";
    return JSON.stringify({ pid: this.pid, offset: this.offset });
  }

  #connected({ sid, pid }) {
    this.connects += 1;
    if (this.pid !== undefined && this.pid !== pid) this.newSessions += 1;
    this.pid = pid;
    this.id = sid;
  }

  #event([name, ...args]) {
    if (typeof args.at(-1) === "string" && name !== "ready") this.offset = args.pop();
    if (name === "ready") {
      this.offset = args[1] ?? this.offset;
      return this.#opened();
    }
    return this.heard(name, ...args);
  }
}

const RETRY_MS = 100;
