"""Starts one of the example servers for a test and ends it, and it alone.

Enters: the name of the environment variable that holds the path of the binary. Leaves: a running
server, known to accept, on a free loopback port that its ``PORT`` told it.
"""

import atexit
import os
import socket
import subprocess
import tempfile
import time

START_SECONDS = 15
STOP_SECONDS = 5
POLL_SECONDS = 0.02
START_TRIES = 3
OUTPUT_KEPT = 4_000


def start_server(variable, **env):
    """Starts the binary that ``variable`` names on a free port, or on another if that was taken."""
    binary = os.environ.get(variable)
    if not binary:
        raise RuntimeError(f"{variable} must hold the path of the server to test")
    for attempt in range(START_TRIES):
        server = Server(variable, binary, free_port(), env)
        try:
            server.start()
            return server
        except ServerDidNotStart:
            if attempt == START_TRIES - 1:
                raise


class ServerDidNotStart(Exception):
    """The process ended, or did not accept in time; the text holds what it printed."""


class Server:
    """A server process: ``kill`` ends it, ``start`` starts it again on the same port."""

    def __init__(self, name, binary, port, env):
        self.name = name
        self.binary = binary
        self.port = port
        self.env = env
        self.url = f"http://127.0.0.1:{port}"
        self.process = None
        # A file, not a pipe: nobody reads while the test runs, and a full pipe stops the server.
        self.log = tempfile.TemporaryFile()
        atexit.register(self.kill)

    def start(self):
        """Starts the process and waits until it accepts."""
        self.process = subprocess.Popen(
            [self.binary],
            env={**os.environ, **self.env, "PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + START_SECONDS
        while not accepts(self.port):
            if self.process.poll() is not None:
                raise ServerDidNotStart(
                    f"{self.name} exited with {self.process.returncode}\n{self.output()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise ServerDidNotStart(
                    f"{self.name} did not accept in {START_SECONDS} s\n{self.output()}"
                )
            time.sleep(POLL_SECONDS)
        if self.process.poll() is not None:
            raise ServerDidNotStart(f"port {self.port} is someone else's\n{self.output()}")

    def kill(self):
        """Ends the process as a crash would, and waits until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)

    def close(self):
        """Ends the process for good."""
        self.kill()
        atexit.unregister(self.kill)
        self.log.close()

    def output(self):
        """What the server printed last, for messages of failed tests."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-OUTPUT_KEPT:]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def accepts(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
