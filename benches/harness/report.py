"""From results to tables in Markdown."""

from __future__ import annotations

from statistics import median

from .plan import SERVERS, WORKLOADS

RATES = [
    "echo", "ack", "bcast", "bcast-4", "rcast", "echo-4k", "connect", "echo-1k", "echo-binary",
    "echo-polling", "bcast-8k", "bcast-8k-4", "connect-upgrade",
]  # fmt: skip

# Our path, and whom it is compared with.
RATIOS = [
    ("http", "socketioxide"), ("http", "limit"), ("direct", "socketioxide"), ("direct", "limit"),
    ("direct", "bun"), ("direct", "node"), ("direct", "python-socketio"),
    ("direct", "flask-socketio"),
]  # fmt: skip


class Results:
    """The results of one or several runs."""

    def __init__(self, results: list[dict]) -> None:
        self._results = results

    def of(self, workload: str, server: str) -> list[dict]:
        """All measurements of a workload on a server."""
        return [r for r in self._results if (r["name"], r["server"]) == (workload, server)]

    def mid(self, workload: str, server: str, key: str) -> float | None:
        """The median of a figure, where it was measured."""
        figures = [r[key] for r in self.of(workload, server) if r.get(key) is not None]
        return median(figures) if figures else None

    def per_cpu(self, workload: str, server: str) -> float | None:
        """The median of the rate by second of the server's CPU time."""
        rates = [
            r["per_second"] / r["server_cpu"]
            for r in self.of(workload, server)
            if r.get("server_cpu")
        ]
        return median(rates) if rates else None

    def ratio(self, workload: str, ours: str, theirs: str) -> str:
        """The ratio of the medians; by CPU second behind it, where that says something else."""
        a, b = (self.mid(workload, server, "per_second") for server in (ours, theirs))
        if not a or not b:
            return ""
        plain = a / b
        a, b = (self.per_cpu(workload, server) for server in (ours, theirs))
        if a and b and abs(a / b / plain - 1) > 0.1:
            return f"{_short(plain)} ({_short(a / b)})"
        return _short(plain)


def tables(results: Results) -> str:
    """Everything there is a figure for."""
    parts = [_summary(results)]
    parts += [_rates(results, name) for name in RATES]
    parts += [_latency(results), _rooms(results), _idle(results), _workers(results)]
    return "\n\n".join(part for part in parts if part)


def _summary(results: Results) -> str:
    rows = []
    for name in RATES:
        cells = [results.ratio(name, ours, theirs) for ours, theirs in RATIOS]
        if any(cells):
            rows.append([WORKLOADS[name].says, *cells])
    heads = [f"{ours} / {theirs}" for ours, theirs in RATIOS]
    return _table("Ratios of messages per second", ["workload", *heads], rows)


def _rates(results: Results, name: str) -> str:
    rows = []
    for server in SERVERS:
        rate = results.mid(name, server, "per_second")
        if rate is None:
            continue
        figures = [rate, results.per_cpu(name, server)]
        figures += [results.mid(name, server, key) for key in ("p50_us", "p99_us", "p999_us")]
        shares = [results.mid(name, server, key) for key in ("server_cpu", "load_cpu")]
        rows.append([server, *map(_whole, figures), *map(_share, shares)])
    heads = ["server", "per second", "per CPU s", "p50 µs", "p99 µs", "p99.9 µs"]
    return _table(WORKLOADS[name].says, [*heads, "server CPU", "load CPU"], rows)


def _latency(results: Results) -> str:
    rows = []
    for server in SERVERS:
        if results.of("latency", server):
            keys = ("rate", "p50_us", "p99_us", "p999_us")
            rows.append([server, *(_whole(results.mid("latency", server, key)) for key in keys)])
    heads = ["server", "messages/s", "p50 µs", "p99 µs", "p99.9 µs"]
    return _table(WORKLOADS["latency"].says, heads, rows)


def _rooms(results: Results) -> str:
    rows = []
    for name in ("rooms-own", "rooms-shared"):
        for server in SERVERS:
            if not results.of(name, server):
                continue
            cells = [WORKLOADS[name].says, server]
            for step in ("joins", "leaves"):
                first = results.mid(name, server, f"{step}_first_tenth_per_second") or 1
                last = results.mid(name, server, f"{step}_last_tenth_per_second") or 0
                cells += [_whole(results.mid(name, server, f"{step}_per_second"))]
                cells += [_short(last / first)]
            rows.append(cells)
    heads = ["workload", "server", "joins/s", "last tenth / first", "leaves/s"]
    return _table("Rooms: 100,000 joins and leaves", [*heads, "last tenth / first"], rows)


def _idle(results: Results) -> str:
    rows = []
    for server in SERVERS:
        if not results.of("idle", server):
            continue
        keys = ("open_1", "closed_1", "open_2", "closed_2")
        kept = [results.mid("idle", server, f"bytes_per_connection_{key}") for key in keys]
        cpu = results.mid("idle", server, "idle_cpu_wave_1")
        rows.append([server, *map(_whole, kept), "" if cpu is None else f"{100 * cpu:.2f} %"])
    heads = ["server", "first wave", "after it", "second wave", "after it", "CPU of a core"]
    return _table("Bytes for each of 8,000 idle clients", heads, rows)


def _workers(results: Results) -> str:
    rows = []
    for server in SERVERS:
        for name in ("workers-1", "workers-2", "workers-2-upgrade"):
            rate = results.mid(name, server, "per_second")
            if rate is not None:
                shares = [results.mid(name, server, key) for key in ("server_cpu", "load_cpu")]
                per_cpu = results.per_cpu(name, server)
                says = WORKLOADS[name].says
                rows.append([server, says, _whole(rate), _whole(per_cpu), *map(_share, shares)])
    heads = ["server", "workload", "per second", "per CPU s", "server CPU", "load CPU"]
    return _table("Workers", heads, rows)


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    marks = ["---"] + ["---:"] * (len(heads) - 1)
    lines = [heads, marks, *rows]
    return f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _whole(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}"


def _share(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.2f}"


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
