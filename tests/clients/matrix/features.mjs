// The features of every version of the official client, in Node.js and in a page: this file has no import,
// and a page may load it as it is.

/**
 * Returns the features by name; one that the client does not have is `undefined`.
 *
 * `io` and `version` are those of the client. `ask` asks the matrix for a disturbance, and `bytes` makes
 * binary data of an array of numbers. `open` is the set of all sockets. A page also decompresses polls.
 * `parser` names the parser of the client for the server, if it is not JSON.
 */
export function features({
  io, version, url, recoveryUrl, transports, ask, bytes, open, isPage = false, parser,
}) {
  const MAJOR = Number(version.split(".")[0]);
  const RECOVERS = MAJOR === 4 && Number(version.split(".")[1]) >= 6;
  const JSONP = transports === "jsonp";
  const ways = JSONP ? ["polling"] : transports.split(",");

  /** Connects, and resolves with the socket after the server's event `hello`. */
  async function connect(namespace = "/", options = {}, server = url) {
    const socket = start(namespace, options, server);
    const hello = next(socket, "hello");
    await connected(socket);
    socket.hello = (await hello)[0];
    return socket;
  }

  function start(namespace, options, server = url) {
    const socket = io(server + namespace, {
      forceNew: true,
      transports: ways,
      forceJSONP: JSONP,
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
      ...options,
      query: { ...parser && { parser }, ...options.query },
    });
    open.add(socket);
    return socket;
  }

  function connected(socket) {
    return new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
      if (MAJOR < 3) socket.once("error", (error) => reject(new Error(JSON.stringify(error))));
    });
  }

  const OVER_WEBSOCKET = ways.at(-1) === "websocket";
  const OVER_WEBTRANSPORT = ways.at(-1) === "webtransport";
  // A page that is cut off from UDP notices it by the missing pings alone.
  const CUT = OVER_WEBTRANSPORT ? ["ping timeout"] : ["transport close", "transport error"];
  // The framing of WebTransport has no message without a byte.
  const DEEP = { deep: [bytes([116, 119, 111]), bytes(OVER_WEBTRANSPORT ? [0] : [])] };
  const BINARY = [bytes([0, 1, 254, 255]), DEEP, "text", bytes(Array(70_000).fill(7))];
  // engine.io-parser 2 makes base64 of bytes that it passes as the arguments of one function.
  const MOST_BYTES = JSONP && MAJOR < 3 ? 100_000 : 1_048_576;

  return {
    connect: async () => {
      const socket = await connect();
      same(typeof socket.id, "string");
      if (ways.length > 1) await upgraded(socket.io.engine, ways.at(-1));
      same(socket.io.engine.transport.name, ways.at(-1));
    },
    auth: MAJOR < 3 ? undefined : async () => {
      const socket = await connect("/", { auth: { token: "ä", n: [1] } });
      same(socket.hello.auth, { token: "ä", n: [1] });
    },
    query: transports === "webtransport" ? undefined : async () => {
      const socket = await connect("/", { query: { value: "a b&ä" } });
      same(socket.hello.value, "a b&ä");
    },
    refused: async () => {
      const socket = start("/private", { auth: { token: "wrong" } });
      if (MAJOR < 3) {
        const [error] = await next(socket, "error");
        return same(error, { code: 401 });
      }
      const [error] = await next(socket, "connect_error");
      same([error.message, error.data], ["not authorized", { code: 401 }]);
      return same(socket.connected, false);
    },
    events: async () => {
      const socket = await connect();
      await echo(socket, "text", 1.5, -7, true, false, null, [], {}, [[1, [2]], { a: { b: ["c"] } }], "");
      await echo(socket);
      const numbers = Array.from({ length: 300 }, (_, number) => number);
      const all = new Promise((resolve) => {
        const came = [];
        socket.on("echoed", (number) => { if (came.push(number) === numbers.length) resolve(came); });
      });
      for (const number of numbers) socket.emit("echo", number);
      same(await all, numbers);
    },
    binary: async () => {
      const socket = await connect();
      await echo(socket, ...BINARY);
      same(await acknowledged(socket, "bytes", 100_000), [bytes(Array(100_000).fill(7))]);
    },
    acks: async () => {
      const socket = await connect();
      same(await acknowledged(socket, "ack", 1, { two: [3] }, ...BINARY), [1, { two: [3] }, ...BINARY]);
      same(await acknowledged(socket, "ack"), []);
    },
    calls: async () => {
      const socket = await connect();
      socket.on("question", (value, answer) => answer({ to: value }));
      same(await acknowledged(socket, "call", "question", [6, "ä"]), [{ to: [6, "ä"] }]);
      same(await acknowledged(socket, "call", "question", bytes([8])), [{ to: bytes([8]) }]);
    },
    namespaces: async () => {
      const main = await connect();
      const chat = main.io.socket("/chat");
      const hello = next(chat, "hello");
      await hello;
      await echo(chat, "of chat");
      chat.disconnect();
      await echo(main, "of main");
    },
    "server disconnect": async () => {
      const socket = await connect();
      const gone = next(socket, "disconnect");
      socket.emit("kick");
      same((await gone)[0], "io server disconnect");
    },
    "client disconnect": async () => {
      const socket = await connect();
      const { id } = socket;
      socket.disconnect();
      same(await ask("reason", { id }), "client namespace disconnect");
    },
    "server timeout": async () => {
      const socket = await connect();
      const gone = next(socket, "disconnect");
      await ask("freeze server");
      const [reason] = await gone;
      const back = next(socket, "connect");
      await ask("thaw server");
      same(reason, "ping timeout");
      await back;
    },
    "client timeout": async () => {
      const socket = await connect();
      const { id } = socket;
      const gone = next(socket, "disconnect");
      same(await ask("freeze client", { id }), "ping timeout");
      await gone;
    },
    reconnect: async () => {
      const socket = await connect();
      if (ways.length > 1) await upgraded(socket.io.engine, ways.at(-1));
      const gone = next(socket, "disconnect");
      const back = next(socket, "connect");
      let isGone = false;
      gone.then(() => { isGone = true; });
      // A browser repeats a request whose connection has ended without an answer.
      while (!isGone) {
        await ask("cut");
        await Promise.race([gone, new Promise((resolve) => { setTimeout(resolve, 500); })]);
      }
      const [reason] = await gone;
      if (!CUT.includes(reason)) throw new Error(`the client has ended by ${reason}`);
      socket.emit("echo", "buffered");
      const echoed = next(socket, "echoed");
      await back;
      same(await echoed, ["buffered"]);
    },
    recovery: !RECOVERS ? undefined : async () => {
      const socket = await connect("/", {}, recoveryUrl);
      if (ways.length > 1) await upgraded(socket.io.engine, ways.at(-1));
      const { id } = socket;
      const missed = next(socket, "missed");
      const back = next(socket, "connect");
      await ask("miss", { id });
      same((await missed)[0], "missed");
      await back;
      same([socket.recovered, socket.id], [true, id]);
    },
    compression: OVER_WEBTRANSPORT || (!OVER_WEBSOCKET && !isPage) ? undefined : async () => {
      const socket = await connect("/", { perMessageDeflate: { threshold: 0 } }, await ask("compressing server"));
      if (ways.length > 1) await upgraded(socket.io.engine, ways.at(-1));
      await ask("count bytes");
      await echo(socket, "compress me, ".repeat(40_000), bytes(Array(100_000).fill(5)));
      const { up, down } = await ask("count bytes");
      if (down > 80_000) throw new Error(`the server sent ${down} bytes`);
      if (OVER_WEBSOCKET && up > 80_000) throw new Error(`the client sent ${up} bytes`);
    },
    "1 MB": async () => {
      const socket = await connect();
      await echo(socket, "ä".repeat(524_288));
      await echo(socket, bytes(Array(MOST_BYTES).fill(3)));
    },
    "UTF-8": async () => {
      const socket = await connect();
      await echo(socket, everyPlane());
    },
  };
}

const next = (socket, event) => new Promise((resolve) => { socket.once(event, (...args) => resolve(args)); });
const acknowledged = (socket, event, ...args) => new Promise((resolve) => {
  socket.emit(event, ...args, (...answer) => resolve(answer));
});

async function echo(socket, ...args) {
  const echoed = next(socket, "echoed");
  socket.emit("echo", ...args);
  same(await echoed, args);
}

function upgraded(engine, transport) {
  return new Promise((resolve, reject) => {
    if (engine.transport.name === transport) resolve();
    engine.once("upgrade", resolve);
    engine.once("upgradeError", reject);
  });
}

/** Returns a string with characters of every plane, and the last ones of each length in UTF-8. */
export function everyPlane() {
  const characters = (plane) => String.fromCodePoint((plane << 16) + 0xfffd, (plane << 16) + 0x41);
  const planes = Array.from({ length: 17 }, (_, plane) => characters(plane));
  return ["\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\u2028\u2029\"\\", ...planes].join("");
}

/** Fails if two values differ. Binary data are equal by their bytes, of whatever type they are. */
export function same(actual, expected) {
  const [found, wanted] = [text(actual), text(expected)];
  if (found !== wanted) throw new Error(`expected ${wanted.slice(0, 200)}, got ${found.slice(0, 200)}`);
}

/** Returns a text that is equal for equal values. */
function text(value) {
  if (value instanceof ArrayBuffer) return text(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) return `bytes ${Array.from(value).join()}`;
  if (Array.isArray(value)) return `[${value.map(text).join()}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${text(value[key])}`);
    return `{${entries.join()}}`;
  }
  return value === undefined ? "undefined" : JSON.stringify(value);
}
