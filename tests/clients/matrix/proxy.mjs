// A TCP proxy that cuts connections, holds new ones back, and counts bytes.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A TCP proxy in front of a server on loopback. */
export class Proxy {
  #pairs = new Set();
  #counted = { up: 0, down: 0 };
  #held;
  #server;

  static async start(port) {
    const proxy = new this();
    proxy.#server = createServer((client) => {
      if (proxy.#held) proxy.#held.push(client);
      else proxy.#connect(client, port);
      client.on("error", () => client.destroy());
    });
    proxy.port = port;
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  #connect(client, port) {
    const server = connect(port, "127.0.0.1");
    const pair = [client, server];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    client.on("data", ({ length }) => { this.#counted.up += length; });
    server.on("data", ({ length }) => { this.#counted.down += length; });
    client.pipe(server).pipe(client);
  }

  /** Returns the number of bytes in each direction since it was called last. */
  count() {
    const counted = this.#counted;
    this.#counted = { up: 0, down: 0 };
    return counted;
  }

  /** Cuts all connections. */
  cut() {
    for (const [client, server] of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Lets new connections wait until `release`. */
  hold() {
    this.#held = [];
  }

  release() {
    for (const client of this.#held.splice(0)) this.#connect(client, this.port);
    this.#held = undefined;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}
