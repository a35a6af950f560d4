"""The `websockets` package as a bare Engine.IO client against `/engine.io/` of conformance."""

import asyncio
import json
import unittest

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from server import start_server

MAX_PAYLOAD = 1_000_000
SECONDS = 10


class Frames(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = start_server("CONFORMANCE_BIN")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def connect(self, **options):
        url = self.server.url.replace("http", "ws", 1)
        return connect(
            f"{url}/engine.io/?EIO=4&transport=websocket",
            max_size=None,
            ping_interval=None,
            open_timeout=SECONDS,
            close_timeout=SECONDS,
            proxy=None,
            **options,
        )

    async def test_the_handshake_is_the_first_message(self):
        async with self.connect() as ws:
            handshake = await asyncio.wait_for(ws.recv(), SECONDS)
            self.assertEqual(handshake[0], "0")
            told = json.loads(handshake[1:])
            self.assertIsInstance(told.pop("sid"), str)
            self.assertEqual(
                told,
                {
                    "upgrades": [],
                    "pingInterval": 300,
                    "pingTimeout": 200,
                    "maxPayload": MAX_PAYLOAD,
                },
            )

    async def test_text_and_bytes_are_echoed(self):
        async with self.connect() as ws:
            await message(ws)
            for sent in ("4hello", "4\u20ac \U0001f600", "4", b"\x00\x01\xff", b""):
                await ws.send(sent)
                self.assertEqual(await message(ws), sent)

    async def test_fragments_are_one_message(self):
        async with self.connect() as ws:
            await message(ws)
            await ws.send(["4fr", "", "agm", "ent"])
            self.assertEqual(await message(ws), "4fragment")
            await ws.send([b"\x01", b"\x02", b"", b"\x03"])
            self.assertEqual(await message(ws), b"\x01\x02\x03")

    async def test_a_ping_between_fragments_is_answered(self):
        async with self.connect() as ws:
            await message(ws)
            pongs = []

            async def fragments():
                yield "4before "
                pongs.append(await ws.ping(b"between"))
                await asyncio.wait_for(pongs[0], SECONDS)
                yield "after"

            await ws.send(fragments())
            self.assertEqual(await message(ws), "4before after")
            self.assertEqual(len(pongs), 1)

    async def test_a_ping_is_answered_with_its_payload(self):
        async with self.connect() as ws:
            await message(ws)
            for payload in (b"", b"x" * 125):
                await asyncio.wait_for(await ws.ping(payload), SECONDS)

    async def test_the_longest_message_passes_and_the_next_is_too_big(self):
        async with self.connect() as ws:
            await message(ws)
            longest = "4" + "x" * (MAX_PAYLOAD - 1)
            await ws.send(longest)
            self.assertTrue(await message(ws) == longest)
            await ws.send(bytes(MAX_PAYLOAD))
            self.assertTrue(await message(ws) == bytes(MAX_PAYLOAD))
            await self.refused(ws, longest + "x", 1009)
        async with self.connect() as ws:
            await message(ws)
            await self.refused(ws, bytes(MAX_PAYLOAD + 1), 1009)

    async def test_compression_is_offered_and_not_taken(self):
        async with self.connect(compression="deflate") as ws:
            self.assertIn("permessage-deflate", ws.request.headers["Sec-WebSocket-Extensions"])
            self.assertNotIn("Sec-WebSocket-Extensions", ws.response.headers)
            await message(ws)
            await ws.send("4" + "a" * 5_000)
            self.assertEqual(await message(ws), "4" + "a" * 5_000)

    async def test_a_close_is_answered(self):
        async with self.connect() as ws:
            await message(ws)
            await asyncio.wait_for(ws.close(1000, "done"), SECONDS)
            self.assertEqual(ws.close_code, 1000)

    async def refused(self, ws, sent, code):
        """Sends what the server must close for, maybe before it has read all of it."""
        with self.assertRaises(ConnectionClosed):
            await ws.send(sent)
            while True:
                await asyncio.wait_for(ws.recv(), SECONDS)
        self.assertEqual(ws.close_code, code)


async def message(ws):
    """The next message that is no heartbeat; heartbeats are answered."""
    while True:
        received = await asyncio.wait_for(ws.recv(), SECONDS)
        if received != "2":
            return received
        await ws.send("3")


if __name__ == "__main__":
    unittest.main()
