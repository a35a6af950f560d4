"""Counts the instructions of one event of the server `tests/servers/load.rs`, by callgrind.

A client sends N and 2 N times `42<id>["ack","xxxx"]` over a WebSocket on the path `direct`, and reads
each acknowledgement. The difference divided by N is what one event takes in the program, from the
read to the write: so neither start nor end counts. The kernel's part is not counted.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

EVENTS = 20_000
# The number of events in one write, of which the server reads several at once under load.
BATCH = 16


def count(server: Path, scratch: Path, **environment: str) -> int:
    """Returns the instructions of one event."""
    numbers = (EVENTS, 2 * EVENTS)
    once, twice = (total(server, scratch, number, environment) for number in numbers)
    return round((twice - once) / EVENTS)


def total(server: Path, scratch: Path, events: int, own: dict[str, str]) -> int:
    out = scratch / "out"
    port = free_port()
    environment = dict(os.environ, PORT=str(port), SERVER="direct", WORKERS="1", **own)
    # Nothing is due by the clock while a slow machine counts.
    environment |= {"PING_INTERVAL_MS": "1000000", "PING_TIMEOUT_MS": "1000000"}
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", str(server)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as running:
        try:
            talk(port, events, running)
        finally:
            running.send_signal(signal.SIGTERM)
            said = running.communicate()[1]
    text = out.read_text(encoding="utf-8") if out.exists() else ""
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if found is None:
        sys.exit(f"callgrind wrote no total:\n{said[-2000:]}")
    return int(found.group(1))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def talk(port: int, events: int, server: subprocess.Popen[str]) -> None:
    """Connects, and sends events in batches, each after the acknowledgements of the last."""
    with connect(port, server) as stream:
        upgrade = (
            f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
        )
        stream.sendall(upgrade.encode() + frame("40"))
        reader = stream.makefile("rb")
        while reader.readline() not in (b"\r\n", b""):
            pass
        read(reader)  # OPEN
        read(reader)  # CONNECT
        batch = frame('4210["ack","xxxx"]') * BATCH
        for _ in range(events // BATCH):
            stream.sendall(batch)
            for _ in range(BATCH):
                if not read(reader).startswith(b"4310["):
                    sys.exit("the server sent something else")


def connect(port: int, server: subprocess.Popen[str]) -> socket.socket:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("the server did not start")


def frame(text: str) -> bytes:
    """A masked frame of up to 125 bytes, whose mask changes nothing."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


def read(reader) -> bytes:
    head = reader.read(2)
    if len(head) < 2 or head[0] != 0x81:
        sys.exit("the server closed the connection")
    length = head[1]
    if length == 126:
        length = int.from_bytes(reader.read(2), "big")
    return reader.read(length)
