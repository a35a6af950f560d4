// A TCP proxy that cuts connections, and holds new ones back.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A TCP proxy in front of a server on loopback. */
export class Proxy {
  #pairs = new Set();
  #held;
  #server;

  static async start(port) {
    const proxy = new Proxy();
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
    client.pipe(server).pipe(client);
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
