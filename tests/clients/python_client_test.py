"""python-socketio, threaded and asyncio, against the example servers: over polling alone, over
WebSocket alone, and with the upgrade from one to the other.
"""

import asyncio
import queue
import threading
import unittest

import socketio
from socketio.exceptions import ConnectionError as ConnectionRefused

from server import start_server

MODES = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
ARGUMENTS = ("text ✓ \U0001f600", 1.5, -7, True, None, [], {}, [[1, [2]], {"a": {"b": ["c"]}}], "")
BINARY = (
    bytes([0, 1, 2, 254, 255]),
    {"deep": [{"first": b"one"}, b""], "plain": "text"},
    "between",
    bytes([7]) * 70_000,
)
SECONDS = 10

ENDS_ON = {"polling": "polling", "websocket": "websocket", "upgrade": "websocket"}


class ThreadedCase(unittest.TestCase):
    """Gives connected ``socketio.Client``s and queues of what they receive."""

    variable = None
    server = None

    @classmethod
    def setUpClass(cls):
        if cls.variable is None:
            raise unittest.SkipTest("holds no tests itself")
        cls.server = start_server(cls.variable)

    @classmethod
    def tearDownClass(cls):
        if cls.server is not None:
            cls.server.close()

    def client(
        self, mode, *, namespace="/", events=(), server=None, auth=None, in_place=True, **options
    ):
        """A connected client; ``client.inbox[event]`` is a queue of tuples of arguments."""
        client = socketio.Client(reconnection_delay=0.1, randomization_factor=0, **options)
        if in_place:
            handle_messages_in_place(client)
        client.inbox = {}
        for event in (*events, "connect_error", "disconnect"):
            self.keep(client, event, namespace)
        # When `connect` is called back again, the client is back.
        client.connects = queue.Queue()
        client.on(
            "connect", lambda: client.connects.put(client.get_sid(namespace)), namespace=namespace
        )
        self.addCleanup(client.shutdown)
        client.connect(
            (server or self.server).url,
            transports=MODES[mode],
            namespaces=[namespace],
            auth=auth,
            wait_timeout=SECONDS,
        )
        client.connects.get(timeout=SECONDS)
        self.assertEqual(client.transport(), ENDS_ON[mode])
        return client

    @staticmethod
    def keep(client, event, namespace="/"):
        inbox = client.inbox[event] = queue.Queue()
        client.on(event, lambda *args: inbox.put(args), namespace=namespace)

    @staticmethod
    def received(client, event):
        try:
            return client.inbox[event].get(timeout=SECONDS)
        except queue.Empty:
            raise AssertionError(f"waited {SECONDS} s in vain for {event!r}") from None


def handle_messages_in_place(client):
    """Lets the thread that reads handle what it read.

    By itself the client starts a thread for each message: events are handed over in any order,
    and an attachment may overtake the packet that it belongs to.
    """
    trigger_event = client.eio._trigger_event

    def trigger_in_place(event, *args, **kwargs):
        if event == "message":
            kwargs["run_async"] = False
        return trigger_event(event, *args, **kwargs)

    client.eio._trigger_event = trigger_in_place


class ThreadedConformance(ThreadedCase):
    variable = "CONFORMANCE_BIN"

    def test_the_handshake_auth_reaches_the_server(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode, events=["auth"], auth={"token": "abc", "n": [1]})
                self.assertEqual(self.received(client, "auth"), ({"token": "abc", "n": [1]},))

    def test_events_are_echoed_with_all_their_arguments(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode, events=["message-back"])
                client.emit("message", ARGUMENTS)
                self.assertEqual(self.received(client, "message-back"), ARGUMENTS)

    def test_nested_bytes_are_echoed(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode, events=["message-back"])
                client.emit("message", BINARY)
                self.assertEqual(self.received(client, "message-back"), BINARY)

    def test_the_server_acknowledges_with_arguments_and_bytes(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode)
                for args in (ARGUMENTS, BINARY):
                    self.assertEqual(client.call("message-with-ack", args, timeout=SECONDS), args)
                self.assertEqual(client.call("message-with-ack", "one", timeout=SECONDS), "one")
                self.assertIsNone(client.call("message-with-ack", timeout=SECONDS))

    def test_another_namespace_has_its_own_auth(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(
                    mode, namespace="/custom", events=["auth"], auth={"of": "custom"}
                )
                self.assertEqual(self.received(client, "auth"), ({"of": "custom"},))

    def test_an_unknown_namespace_is_refused(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = socketio.Client(reconnection=False)
                client.inbox = {}
                self.keep(client, "connect_error", "/unknown")
                self.addCleanup(client.shutdown)
                with self.assertRaises(ConnectionRefused):
                    client.connect(
                        self.server.url,
                        transports=MODES[mode],
                        namespaces=["/unknown"],
                        wait_timeout=SECONDS,
                    )
                self.assertEqual(
                    self.received(client, "connect_error"), ({"message": "Invalid namespace"},)
                )

    def test_an_idle_socket_lives_through_heartbeats(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode)
                sid = client.get_sid()
                heartbeats = queue.Queue()
                send_packet = client.eio._send_packet

                def watched(packet, send_packet=send_packet, heartbeats=heartbeats):
                    send_packet(packet)
                    if packet.packet_type == 3:  # a pong, the answer to the server's ping
                        heartbeats.put(packet)

                client.eio._send_packet = watched
                for _ in range(4):
                    heartbeats.get(timeout=SECONDS)
                self.assertEqual(client.call("message-with-ack", "alive", timeout=SECONDS), "alive")
                self.assertEqual(client.get_sid(), sid)


class ThreadedLoad(ThreadedCase):
    variable = "LOAD_BIN"

    def test_events_and_acknowledgements_keep_their_order(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode, events=["echo"])
                count = 200
                acks = queue.Queue()
                for n in range(count):
                    client.emit("echo", (n, bytes([n]) if n % 10 == 0 else "text"))
                    client.emit("ack", n, callback=acks.put)
                echoes = [self.received(client, "echo") for _ in range(count)]
                self.assertEqual([n for n, _ in echoes], list(range(count)))
                self.assertEqual(
                    [acks.get(timeout=SECONDS) for _ in range(count)], list(range(count))
                )

    def test_a_broadcast_reaches_everyone_and_a_room_its_members(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                ada, grace, linus = (self.client(mode, events=["bcast", "rcast"]) for _ in range(3))
                ada.emit("bcast", ("to all", b"\x01"))
                for client in (ada, grace, linus):
                    self.assertEqual(self.received(client, "bcast"), ("to all", b"\x01"))
                for client in (ada, grace):
                    client.call("join", "room over " + mode, timeout=SECONDS)
                linus.emit("rcast", ("room over " + mode, "to members", 2))
                for client in (ada, grace):
                    self.assertEqual(self.received(client, "rcast"), ("to members", 2))
                # Anything that was sent to the outsider with the rest is ahead of this broadcast.
                linus.emit("bcast", "fence")
                self.assertEqual(self.received(linus, "bcast"), ("fence",))
                self.assertTrue(linus.inbox["rcast"].empty())

    def test_the_client_reconnects_after_a_restart(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                server = start_server("LOAD_BIN")
                self.addCleanup(server.close)
                client = self.client(mode, events=["echo"], server=server)
                sid = client.get_sid()
                server.kill()
                self.received(client, "disconnect")
                server.start()
                self.assertNotEqual(client.connects.get(timeout=SECONDS), sid)
                self.assertEqual(
                    client.call("ack", ("back", b"\x02"), timeout=SECONDS), ("back", b"\x02")
                )
                client.emit("echo", "again")
                self.assertEqual(self.received(client, "echo"), ("again",))
                client.disconnect()


class ThreadedProbe(ThreadedCase):
    variable = "PROBE_BIN"

    def test_the_client_acknowledges_to_the_server(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode)
                client.on("question", lambda value: {"to": value})
                client.on("bytes", lambda value: value + b"\x09")
                self.assertEqual(
                    client.call("call", ("question", [6, 7]), timeout=SECONDS),
                    {"answer": {"to": [6, 7]}},
                )
                self.assertEqual(
                    client.call("call", ("bytes", b"\x08"), timeout=SECONDS),
                    {"answer": b"\x08\x09"},
                )

    def test_the_server_gives_up_on_an_acknowledgement_that_never_comes(self):
        client = self.client("websocket", in_place=False)
        done = threading.Event()
        self.addCleanup(done.set)
        # The client answers when the handler returns: this one does once the test is over.
        client.on("question", lambda value: done.wait(SECONDS))
        self.assertEqual(
            client.call("call", ("question", 1), timeout=SECONDS), {"error": "timeout"}
        )

    def test_a_kicked_socket_gets_the_disconnect(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode, in_place=False, reconnection=False)
                client.emit("kick")
                self.received(client, "disconnect")

    def test_a_panic_is_an_error_reply_and_the_socket_lives_on(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = self.client(mode)
                sid = client.get_sid()
                self.assertIsInstance(client.call("boom", timeout=SECONDS)["error"], str)
                self.assertEqual(
                    client.call("binary", 0, timeout=SECONDS), {"data": b"\x01\x02\x03"}
                )
                self.assertEqual(client.get_sid(), sid)

    def test_a_guarded_namespace_refuses_with_a_cause(self):
        for mode in MODES:
            with self.subTest(mode=mode):
                client = socketio.Client(reconnection=False)
                client.inbox = {}
                self.keep(client, "connect_error", "/guarded")
                self.addCleanup(client.shutdown)
                with self.assertRaises(ConnectionRefused):
                    client.connect(
                        self.server.url,
                        transports=MODES[mode],
                        namespaces=["/guarded"],
                        auth={"token": "wrong"},
                        wait_timeout=SECONDS,
                    )
                self.assertEqual(
                    self.received(client, "connect_error"),
                    ({"message": "not authorized", "data": {"code": 401}},),
                )
                guest = self.client(
                    mode, namespace="/guarded", auth={"token": "secret", "name": "Ada"}
                )
                self.assertEqual(guest.call("whoami", namespace="/guarded", timeout=SECONDS), "Ada")


class AsyncioCase(unittest.IsolatedAsyncioTestCase):
    """Gives connected ``socketio.AsyncClient``s and queues of what they receive."""

    async def asyncSetUp(self):
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            await client.shutdown()

    async def server(self, variable):
        server = await asyncio.to_thread(start_server, variable)
        self.addCleanup(server.close)
        return server

    async def client(self, server, mode, *, namespace="/", events=(), auth=None):
        client = socketio.AsyncClient(reconnection_delay=0.1, randomization_factor=0)
        self.clients.append(client)
        client.inbox = {event: asyncio.Queue() for event in (*events, "disconnect")}
        for event, inbox in client.inbox.items():
            client.on(event, lambda *args, inbox=inbox: inbox.put_nowait(args), namespace=namespace)
        client.connects = asyncio.Queue()
        client.on(
            "connect",
            lambda: client.connects.put_nowait(client.get_sid(namespace)),
            namespace=namespace,
        )
        await client.connect(
            server.url,
            transports=MODES[mode],
            namespaces=[namespace],
            auth=auth,
            wait_timeout=SECONDS,
        )
        await self.taken(client.connects, "connect")
        self.assertEqual(client.transport(), ENDS_ON[mode])
        return client

    async def taken(self, inbox, what):
        try:
            return await asyncio.wait_for(inbox.get(), SECONDS)
        except asyncio.TimeoutError:
            raise AssertionError(f"waited {SECONDS} s in vain for {what!r}") from None

    async def received(self, client, event):
        return await self.taken(client.inbox[event], event)


class AsyncioClient(AsyncioCase):
    async def test_auth_events_bytes_and_acknowledgements(self):
        server = await self.server("CONFORMANCE_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                client = await self.client(
                    server, mode, events=["auth", "message-back"], auth={"token": "abc"}
                )
                self.assertEqual(await self.received(client, "auth"), ({"token": "abc"},))
                for args in (ARGUMENTS, BINARY):
                    await client.emit("message", args)
                    self.assertEqual(await self.received(client, "message-back"), args)
                    self.assertEqual(
                        await client.call("message-with-ack", args, timeout=SECONDS), args
                    )

    async def test_another_namespace_has_its_own_auth(self):
        server = await self.server("CONFORMANCE_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                client = await self.client(
                    server, mode, namespace="/custom", events=["auth"], auth={"of": "custom"}
                )
                self.assertEqual(await self.received(client, "auth"), ({"of": "custom"},))

    async def test_events_keep_their_order(self):
        server = await self.server("LOAD_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                client = await self.client(server, mode, events=["echo"])
                for n in range(300):
                    await client.emit("echo", (n, bytes([n % 256]) if n % 10 == 0 else "text"))
                echoes = [await self.received(client, "echo") for _ in range(300)]
                self.assertEqual([n for n, _ in echoes], list(range(300)))

    async def test_rooms_have_their_members(self):
        server = await self.server("LOAD_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                ada, grace = [await self.client(server, mode, events=["rcast"]) for _ in range(2)]
                await ada.call("join", mode, timeout=SECONDS)
                await grace.emit("rcast", (mode, {"raw": b"\x01"}))
                self.assertEqual(await self.received(ada, "rcast"), ({"raw": b"\x01"},))

    async def test_the_client_reconnects_after_a_restart(self):
        server = await self.server("LOAD_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                client = await self.client(server, mode)
                sid = client.get_sid()
                await asyncio.to_thread(server.kill)
                await self.received(client, "disconnect")
                await asyncio.to_thread(server.start)
                self.assertNotEqual(await self.taken(client.connects, "connect"), sid)
                self.assertEqual(await client.call("ack", "back", timeout=SECONDS), "back")
                await client.disconnect()

    async def test_the_client_acknowledges_to_the_server(self):
        server = await self.server("PROBE_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                client = await self.client(server, mode)
                client.on("question", lambda value: {"to": value})
                self.assertEqual(
                    await client.call("call", ("question", b"\x06"), timeout=SECONDS),
                    {"answer": {"to": b"\x06"}},
                )

    async def test_a_guarded_namespace_refuses_and_admits(self):
        server = await self.server("PROBE_BIN")
        for mode in MODES:
            with self.subTest(mode=mode):
                with self.assertRaises(ConnectionRefused):
                    await self.client(server, mode, namespace="/guarded", auth={"token": "wrong"})
                guest = await self.client(
                    server, mode, namespace="/guarded", auth={"token": "secret", "name": "Ada"}
                )
                self.assertEqual(
                    await guest.call("whoami", namespace="/guarded", timeout=SECONDS), "Ada"
                )


if __name__ == "__main__":
    unittest.main()
