"""Who is measured, and how: the servers and the workloads, as tables.

Nothing here runs anything. A server that cannot do a workload is left out by its row, so that a row
that is missing from a table is missing on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

BENCHES = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """A server under load. `without` names the kinds of traffic that it does not have."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Workload:
    """One kind of traffic: the load generator's flags, and what of a server it takes."""

    name: str
    says: str
    flags: list[str]
    needs: frozenset[str] = frozenset()
    workers: int = 1
    saturates: bool = True
    seconds: float | None = None
    limit: float = 120.0


def _peer(name: str, **row: object) -> Server:
    return Server(name, [str(BENCHES / "peers" / name / "serve")], **row)  # type: ignore[arg-type]


def _ours(path: str) -> Server:
    binary = BENCHES.parent / "target" / "release" / "examples" / "load"
    return Server(path, [str(binary)], {"SERVER": path})


_ONE_THREAD = frozenset({"workers"})
_YARDSTICK = frozenset({"workers", "polling", "upgrade", "rooms"})

SERVERS = {
    server.name: server
    for server in [
        _ours("direct"),
        _ours("http"),
        _peer("socketioxide"),
        _peer("bun", without=_ONE_THREAD),
        _peer("node", without=_ONE_THREAD),
        _peer("python-socketio", without=_ONE_THREAD | {"many"}),
        _peer("flask-socketio", without=_ONE_THREAD | {"many"}),
        # Its connections wait for a second before they end, so it has no rate of them.
        _peer("actix-echo", without=_YARDSTICK | {"broadcast", "connect", "many"}),
        _peer("limit", without=_YARDSTICK),
    ]
}


def _flags(workload: str, connections: int, in_flight: int = 1, *more: str) -> list[str]:
    return [
        "--workload", workload,
        "--connections", str(connections),
        "--in-flight", str(in_flight),
        *more,
    ]  # fmt: skip


_BROADCAST = frozenset({"broadcast"})
_MANY = frozenset({"broadcast", "many"})

WORKLOADS = {
    workload.name: workload
    for workload in [
        Workload("echo", "echo, 100 clients, 1 in flight", _flags("echo", 100)),
        Workload("ack", "ack, 100 clients, 16 in flight", _flags("ack", 100, 16)),
        Workload("bcast", "broadcast to 1,000, 1 in flight", _flags("bcast", 1000), _BROADCAST),
        Workload("bcast-4", "broadcast to 1,000, 4 in flight", _flags("bcast", 1000, 4), _BROADCAST),
        Workload("rcast", "1,000 clients in 100 rooms", _flags("rcast", 1000), _BROADCAST),
        Workload(
            "echo-4k",
            "echo of 4 kB, 100 clients, 4 in flight",
            _flags("echo", 100, 4, "--payload", "4000"),
        ),
        Workload(
            "connect",
            "connect, join and close, 32 at a time",
            _flags("connect", 32),
            frozenset({"connect"}),
        ),
        Workload(
            "echo-1k",
            "echo of 1 kB, 1,000 clients, 1 in flight",
            _flags("echo", 1000, 1, "--payload", "1000"),
        ),
        Workload(
            "echo-binary",
            "echo of 4 kB as an attachment, 100 clients",
            _flags("echo", 100, 1, "--payload", "4000", "--binary", "yes"),
        ),
        Workload(
            "echo-polling",
            "echo by polling, 100 clients",
            _flags("echo", 100, 1, "--transport", "polling"),
            frozenset({"polling"}),
        ),
        Workload("bcast-8k", "broadcast to 8,000, 1 in flight", _flags("bcast", 8000), _MANY),
        Workload("bcast-8k-4", "broadcast to 8,000, 4 in flight", _flags("bcast", 8000, 4), _MANY),
        Workload(
            "connect-upgrade",
            "connect by polling, then upgrade, 256 at a time",
            _flags("connect", 256, 1, "--transport", "upgrade"),
            frozenset({"upgrade"}),
            saturates=False,
            seconds=5,
        ),
        Workload(
            "latency",
            "echo at half of the server's own peak, 100 clients",
            _flags("echo", 100),
            saturates=False,
        ),
        Workload(
            "rooms-own",
            "100 clients join and leave 1,000 rooms of their own each",
            _flags("rooms", 100, 4, "--rooms", "1000", "--shared", "no"),
            frozenset({"rooms"}),
        ),
        Workload(
            "rooms-shared",
            "1,000 clients join and leave the same 100 rooms",
            _flags("rooms", 1000, 1, "--rooms", "100", "--shared", "yes"),
            frozenset({"rooms"}),
        ),
        Workload(
            "idle",
            "8,000 clients that do nothing",
            _flags("idle", 8000),
            frozenset({"many"}),
            saturates=False,
            seconds=10,
        ),
        Workload(
            "workers-1", "echo, 200 clients, one worker", _flags("echo", 200), frozenset({"workers"})
        ),
        Workload(
            "workers-2",
            "echo, 200 clients, two workers",
            _flags("echo", 200),
            frozenset({"workers"}),
            workers=2,
        ),
        Workload(
            "workers-2-upgrade",
            "the same by polling, then upgrade",
            _flags("echo", 200, 1, "--transport", "upgrade"),
            frozenset({"workers"}),
            workers=2,
        ),
    ]
}


def runs(server: Server, workload: Workload) -> bool:
    """Tells whether the server has what the workload takes."""
    return not server.without & workload.needs
