"""One measurement: a fresh server on one core, the load on another.

Enters: a server and a workload. Leaves: what the load generator said, as a dictionary, with what the
measurement was. The two processes are the only ones that are started here, and both are ended.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from statistics import median

from .plan import BENCHES, SERVERS, WORKLOADS, Server, Workload, runs


class Failed(Exception):
    """A server or the load did not do what it should."""


@dataclass
class Settings:
    """How long, and where."""

    measure: float
    warmup: float
    server_cores: str
    load_cores: str


# Below this share of its core a server was held up by something else on the machine.
FED = 0.8


def measure(server: Server, workload: Workload, settings: Settings, rate: int | None) -> dict:
    """Measures once; `rate` is for the open loop, in messages per second."""
    _raise_file_limit(need=2 * 8000 + 1000 if "8000" in workload.flags else 4096)
    everywhere = workload.name.startswith("workers")
    both = f"{settings.server_cores},{settings.load_cores}"
    with tempfile.TemporaryFile() as log:
        port = _free_port()
        environment = dict(os.environ, PORT=str(port), WORKERS=str(workload.workers))
        environment |= server.environment
        cores = both if everywhere else settings.server_cores
        running = subprocess.Popen(
            ["taskset", "-c", cores, *server.command], env=environment, stdout=log, stderr=log
        )
        try:
            _await_port(running, port, server, log)
            flags = [*workload.flags, "--pid", str(running.pid), "--addr", f"127.0.0.1:{port}"]
            flags += ["--seconds", str(workload.seconds or settings.measure)]
            flags += ["--warmup", str(settings.warmup)]
            if rate is not None:
                flags += ["--rate", str(rate)]
            cores = both if everywhere else settings.load_cores
            result = _load(cores, flags, workload.limit)
        except Failed as failure:
            raise Failed(f"{workload.name} on {server.name}: {failure}\n{_tail(log)}") from failure
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
    result |= {"server": server.name, "name": workload.name, "at": time.strftime("%H:%M:%S")}
    return result


def was_fed(workload: Workload, result: dict) -> bool:
    """Tells whether the server had its core to itself, where it needed all of it."""
    return not workload.saturates or (result.get("server_cpu") or 1.0) >= FED


def half_of_peak(results: list[dict], server: Server, settings: Settings) -> int:
    """Half of the server's echo rate: of this run where it has one, of a probe where not."""
    rates = [
        result["per_second"]
        for result in results
        if result["server"] == server.name and result["name"] == "echo"
    ]
    if not rates:
        probe = measure(server, WORKLOADS["echo"], settings, None)
        rates = [probe["per_second"]]
    return max(1, int(median(rates) / 2))


def plan(servers: list[str], workloads: list[str]) -> list[tuple[Workload, Server]]:
    """The measurements of one round: for each workload every server takes its turn."""
    return [
        (WORKLOADS[workload], SERVERS[server])
        for workload in workloads
        for server in servers
        if runs(SERVERS[server], WORKLOADS[workload])
    ]


def _load(cores: str, flags: list[str], limit: float) -> dict:
    binary = BENCHES / "load" / "target" / "release" / "load"
    try:
        done = subprocess.run(
            ["taskset", "-c", cores, str(binary), *flags],
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"the load did not end within {limit:.0f} s") from late
    if done.returncode != 0:
        raise Failed(f"the load failed: {done.stdout}{done.stderr}".strip())
    return json.loads(done.stdout)


def _await_port(running: subprocess.Popen, port: int, server: Server, log: object) -> None:
    for _ in range(400):
        if running.poll() is not None:
            raise Failed(f"{server.name} ended before it listened; has benches/setup been run?")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"{server.name} does not listen on its port after 20 s")


def _tail(log: object) -> str:
    log.seek(0)  # type: ignore[attr-defined]
    text = log.read().decode(errors="replace")  # type: ignore[attr-defined]
    return "\n".join(text.splitlines()[-5:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _raise_file_limit(need: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < need and (hard == resource.RLIM_INFINITY or hard >= need):
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
    elif soft < need:
        raise Failed(f"{need} open files are needed, and the system allows {hard}")
