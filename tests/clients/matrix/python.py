"""python-socketio, threaded or asyncio, through all features of the matrix.

    python.py sync|asyncio URL RECOVERY_URL TRANSPORT[,TRANSPORT]

Speaks with the matrix by lines of JSON, see `runner.mjs`.
"""

import asyncio
import json
import os
import sys
from importlib.metadata import version
from urllib.parse import quote

import socketio
from socketio.exceptions import ConnectionError as ConnectionRefused

KIND, URL, _, TRANSPORTS = sys.argv[1:]
ALLOWED = None if "," in TRANSPORTS else [TRANSPORTS]
HAS_AUTH = int(version("python-socketio").split(".")[0]) >= 5
OVER_WEBSOCKET = TRANSPORTS != "polling"
# Polls accept gzip. The WebSocket of the threaded client has no compression.
HAS_COMPRESSION = not OVER_WEBSOCKET or (HAS_AUTH and KIND == "asyncio")
# The threaded client needs a second of processor time for 1 MB of text.
FEATURE_SECONDS = 40
ARGUMENTS = ("text", 1.5, -7, True, None, [], {}, [[1, [2]], {"a": {"b": ["c"]}}], "")
# python-engineio 3 reads an empty attachment as None.
EMPTY = b"" if HAS_AUTH else b"not empty"
BINARY = (bytes([0, 1, 254, 255]), {"deep": [b"two", EMPTY]}, "text", bytes([7]) * 70_000)


class Client:
    """One client, with queues of what it receives."""

    opened = []

    def __init__(self, **options):
        make = socketio.AsyncClient if KIND == "asyncio" else socketio.Client
        self.client = make(
            reconnection_delay=0.1, reconnection_delay_max=0.2, randomization_factor=0, **options
        )
        if KIND == "sync":
            handle_messages_in_place(self.client)
        self.loop = asyncio.get_running_loop()
        self.inbox = {}
        Client.opened.append(self)

    def keep(self, event, namespace="/"):
        """Keeps the arguments of an event in a queue."""
        inbox = self.inbox[event] = asyncio.Queue()

        def heard(*args):
            self.loop.call_soon_threadsafe(inbox.put_nowait, args)

        self.client.on(event, heard, namespace=namespace)

    async def do(self, method, *args, **options):
        function = getattr(self.client, method)
        if KIND == "asyncio":
            return await function(*args, **options)
        return await asyncio.to_thread(lambda: function(*args, **options))

    async def next(self, event):
        return await self.inbox[event].get()

    async def connect(self, namespaces=("/",), query="", server=URL, **options):
        for namespace in namespaces:
            for event in ("hello", "echoed", "connect", "disconnect", "connect_error"):
                if event not in self.inbox or namespace != "/":
                    self.keep(event, namespace)
        await self.do("connect", server + query, transports=ALLOWED, namespaces=list(namespaces), **options)
        await self.next("connect")
        (hello,) = await self.next("hello")
        return hello

    async def echo(self, *args, namespace="/"):
        await self.do("emit", "echo", args, namespace=namespace)
        same(await self.next("echoed"), args)

    async def call(self, event, *args, namespace="/"):
        return await self.do("call", event, args, namespace=namespace)

    def sid(self):
        return self.client.get_sid() if HAS_AUTH else self.client.sid


def handle_messages_in_place(client):
    """Lets the thread that reads a message handle it. By itself the client starts a thread for each
    message, which changes their order.
    """
    trigger_event = client.eio._trigger_event

    def trigger_in_place(event, *args, **options):
        if event == "message":
            options["run_async"] = False
        return trigger_event(event, *args, **options)

    client.eio._trigger_event = trigger_in_place


def same(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r:.200}, got {actual!r:.200}")


async def connected(**options):
    client = Client()
    client.hello = await client.connect(**options)
    return client


async def connect():
    client = await connected()
    # It upgrades before it counts as connected.
    same(client.client.transport(), TRANSPORTS.split(",")[-1])


async def auth():
    client = await connected(auth={"token": "ä", "n": [1]})
    same(client.hello["auth"], {"token": "ä", "n": [1]})


async def query():
    client = await connected(query=f"?value={quote('a b&ä')}")
    same(client.hello["value"], "a b&ä")


async def refused():
    client = Client()
    client.keep("connect_error", "/private")
    options = {"auth": {"token": "wrong"}} if HAS_AUTH else {}
    try:
        await client.do("connect", URL, transports=ALLOWED, namespaces=["/private"], **options)
    except ConnectionRefused:
        pass
    (error,) = await client.next("connect_error")
    same(error, {"message": "not authorized", "data": {"code": 401}} if HAS_AUTH else {"code": 401})


async def events():
    client = await connected()
    await client.echo(*ARGUMENTS)
    await client.echo()
    for number in range(300):
        await client.do("emit", "echo", number)
    same([await client.next("echoed") for _ in range(300)], [(number,) for number in range(300)])


async def binary():
    client = await connected()
    await client.echo(*BINARY)
    same(await client.call("bytes", 100_000), bytes([7]) * 100_000)


async def acks():
    client = await connected()
    same(await client.call("ack", 1, {"two": [3]}, *BINARY), (1, {"two": [3]}, *BINARY))
    same(await client.call("ack"), None)


async def calls():
    client = await connected()
    client.client.on("question", lambda value: {"to": value})
    same(await client.call("call", "question", [6, "ä"]), {"to": [6, "ä"]})
    same(await client.call("call", "question", b"\x08"), {"to": b"\x08"})


async def namespaces():
    client = await connected(namespaces=("/", "/chat"))
    await client.do("emit", "echo", "of chat", namespace="/chat")
    same(await client.next("echoed"), ("of chat",))


async def server_disconnect():
    client = await connected()
    await client.do("emit", "kick")
    reason = await client.next("disconnect")
    if reason:
        same(reason, (client.client.reason.SERVER_DISCONNECT,))


async def client_disconnect():
    client = await connected()
    sid = client.sid()
    await client.do("disconnect")
    # Over a WebSocket it sends no DISCONNECT packet.
    reason = await ask("reason", id=sid)
    same(reason in ("client namespace disconnect", "transport close"), True)


async def server_timeout():
    client = await connected()
    await ask("freeze server")
    try:
        await client.next("disconnect")
    finally:
        await ask("thaw server")
    await client.next("connect")


async def client_timeout():
    client = await connected()
    same(await ask("freeze client", id=client.sid()), "ping timeout")
    await client.next("disconnect")


async def reconnect():
    client = await connected()
    gone = asyncio.ensure_future(client.next("disconnect"))
    # A cut between two polls passes unnoticed: the next poll opens a connection of its own.
    while not gone.done():
        await ask("cut")
        await asyncio.wait([gone], timeout=1)
    await gone
    await client.next("connect")
    await client.echo("again")


async def compression():
    options = {"websocket_extra_options": {"compress": 15}} if OVER_WEBSOCKET else {}
    client = Client(**options)
    await client.connect(server=await ask("compressing server"))
    await ask("count bytes")
    await client.echo("compress me, " * 40_000, bytes([5]) * 200_000)
    counted = await ask("count bytes")
    same(counted["down"] < 100_000, True)
    if OVER_WEBSOCKET:
        same(counted["up"] < 100_000, True)


async def large():
    client = await connected()
    await client.echo("ä" * 524_288)
    await client.echo(bytes([3]) * 1_048_576)


async def utf8():
    client = await connected()
    planes = "".join(chr((plane << 16) + 0xFFFD) + chr((plane << 16) + 0x41) for plane in range(17))
    await client.echo("\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\u2028\u2029\"\\" + planes)


FEATURES = {
    "connect": connect,
    "auth": auth if HAS_AUTH else None,
    "query": query,
    "refused": refused,
    "events": events,
    "binary": binary,
    "acks": acks,
    "calls": calls,
    "namespaces": namespaces,
    "server disconnect": server_disconnect,
    "client disconnect": client_disconnect,
    "server timeout": server_timeout,
    "client timeout": client_timeout,
    "reconnect": reconnect,
    "recovery": None,
    "compression": compression if HAS_COMPRESSION else None,
    "1 MB": large,
    "UTF-8": utf8,
}


def say(message):
    print(json.dumps(message), flush=True)


async def ask(what, **more):
    say({"ask": what, **more})
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


async def result(run):
    try:
        async with asyncio.timeout(FEATURE_SECONDS):
            await run()
        return "ok"
    except Exception as error:  # pylint: disable=broad-except
        return f"error: {type(error).__name__}: {error}"


async def tried(feature, run):
    """Runs a feature, and returns its result."""
    # The threaded client may lose its reconnect task: two of its threads see the end of a connection,
    # and change the list of namespaces together.
    tries = 3 if (KIND, feature) == ("sync", "reconnect") else 1
    for _ in range(tries):
        outcome = await result(run)
        for client in Client.opened:
            await client.do("disconnect")
        Client.opened.clear()
        if outcome == "ok":
            break
    return outcome


async def main():
    for feature, run in FEATURES.items():
        say({"feature": feature, "result": await tried(feature, run) if run else "none"})
    # Threads of a client that reconnects do not keep the process.
    os._exit(0)


asyncio.run(main())
