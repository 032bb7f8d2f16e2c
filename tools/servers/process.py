"""Run a server as a child process on a loopback port, and never leave it behind."""

from __future__ import annotations

import ctypes
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
DOMAIN = "s3.localhost"  # below which each bucket has a host, beside its path; no resolver need know it
GRPC_OFFSET = 10_000  # SeaweedFS listens there too, for each of its ports
STARTS_WITHIN = 60.0  # seconds; a cold disk or a busy CI machine takes its time

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServerError(RuntimeError):
    """A server cannot be started here; the message says why and what to do."""


@dataclass
class Process:
    """A command and how to tell that it answers. Start it from the main thread: on Linux it dies
    with the *thread* that started it."""

    name: str
    command: Sequence[str | Path]
    answers: Callable[[], bool]
    log: Path
    env: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stops_within: float = 5.0  # seconds
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Return once the server responds. Raise ServerError if it exits or does not respond."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [os.fspath(part) for part in self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
                env=self.env,
                # Ctrl-C goes to the foreground group, whose clean-up may still need this server.
                start_new_session=True,
                preexec_fn=self._die_with_parent,
            )
        self._wait_for_answer(self._child)

    def stop(self) -> None:
        """End the server with its own signal, or by force when it has had its time."""
        if self._child is None:
            return
        self._child.send_signal(self.stop_signal)
        try:
            self._child.wait(self.stops_within)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._child.wait()
        self._child = None

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        if self._child is None:
            raise ServerError(f"{self.name} does not run.")
        return self._child.pid

    def kill(self) -> None:
        """End the server at once, as a crash would; `start` brings it back."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _die_with_parent(self) -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, self.stop_signal)

    def _wait_for_answer(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.answers():
            if child.poll() is not None:
                raise ServerError(self._failure(f"ended with exit code {child.returncode}"))
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(self._failure(f"gave no answer within {STARTS_WITHIN:.0f} s"))
            time.sleep(0.02)

    def _failure(self, what: str) -> str:
        tail = self.log.read_text(errors="replace").splitlines()[-20:]
        return "\n  ".join([f"{self.name} {what} at its start. Its log ends with:", *tail])


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and free with an offset of 10,000.

    Both lie below 32768, where Linux begins to take ports for outgoing connections.
    """
    # A separate random generator, since tests seed the global one.
    candidates = random.SystemRandom().sample(range(11_000, 21_000), 10_000)
    free = (port for port in candidates if _is_free(port) and _is_free(port + GRPC_OFFSET))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def http_status(port: int, path: str = "/", *, method: str = "GET", body: bytes = b"") -> int:
    """Return the HTTP status of the server on this port, or 0 if it does not respond."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)  # takes no proxy, unlike urllib
    try:
        connection.request(method, path, body=body)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
