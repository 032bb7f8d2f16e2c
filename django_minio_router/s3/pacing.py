"""Answers whose time limit holds for the whole, and not anew for each byte.

A socket's own limit starts again whenever something comes, so that a server which sends a byte a second
keeps its caller for hours.
"""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STRETCH = 64 * 1024  # bytes


class _PacedSocket(io.RawIOBase):
    """What a socket receives; waiting for any ``STRETCH`` of it may take the socket's time limit in all.

    Only the waiting counts: a caller may take its time between two reads.
    """

    def __init__(self, received: io.RawIOBase, connection: socket.socket) -> None:
        self._received = received
        self._connection = connection
        self._limit = connection.gettimeout()
        self._begin_stretch()

    def _begin_stretch(self) -> None:
        self._time_left = self._limit
        self._bytes_left = STRETCH

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._received.fileno()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if self._time_left is None:
            return self._received.readinto(buffer)
        if self._time_left <= 0:
            raise TimeoutError(f"an answer, or {STRETCH} bytes of it, took over {self._limit} seconds")
        begun = time.monotonic()
        self._connection.settimeout(self._time_left)
        count = self._received.readinto(buffer)
        self._time_left -= time.monotonic() - begun
        self._bytes_left -= count or 0
        if self._bytes_left <= 0:
            self._begin_stretch()
        return count

    def close(self) -> None:
        self._received.close()
        super().close()


class PacedAnswer(HTTPResponse):
    """An answer that comes within its time limit."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PacedSocket(self.fp.detach(), sock))
