// A proxy of TCP and UDP on one port, for clients of WebTransport.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Proxy } from "./proxy.mjs";

/**
 * A proxy in front of a server on loopback that has the same port for TCP and UDP. A flow is the datagrams of
 * one address of a client. One that is cut stays silent: nobody learns that its datagrams are lost.
 */
export class QuicProxy extends Proxy {
  /** By the address of the client: the socket to the server, or null if the flow is cut. */
  #flows = new Map();
  #held;
  #socket;

  static async start(port) {
    for (;;) {
      const proxy = await super.start(port);
      try {
        await proxy.#bind(Number(new URL(proxy.url).port));
        return proxy;
      } catch (error) {
        proxy.close();
        // The port that is free for TCP may be in use for UDP.
        if (error.code !== "EADDRINUSE") throw error;
      }
    }
  }

  async #bind(port) {
    const socket = createSocket("udp4");
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    socket.on("message", (data, client) => this.#receive(data, client));
    this.#socket = socket;
  }

  #receive(data, client) {
    const address = `${client.address}:${client.port}`;
    if (!this.#flows.has(address)) {
      if (this.#held) return this.#held.push([data, client]);
      this.#flows.set(address, this.#flow(client));
    }
    return this.#flows.get(address)?.send(data, this.port, "127.0.0.1");
  }

  #flow({ port, address }) {
    return createSocket("udp4").on("message", (data) => this.#socket.send(data, port, address));
  }

  cut() {
    super.cut();
    for (const [address, flow] of this.#flows) {
      flow?.close();
      this.#flows.set(address, null);
    }
  }

  hold() {
    super.hold();
    this.#held = [];
  }

  release() {
    super.release();
    const held = this.#held;
    this.#held = undefined;
    for (const [data, client] of held) this.#receive(data, client);
  }

  close() {
    super.close();
    this.#socket?.close();
  }
}
