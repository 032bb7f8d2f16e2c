"""The connections of our pools: a small request goes out at once, and the time limit holds for its answer."""

from __future__ import annotations

from queue import LifoQueue
from threading import Condition, RLock
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .pacing import PacedAnswer

_SMALL = 64 * 1024  # bytes of a body that are copied behind the head of their request


class _InOnePiece(HTTPConnection):
    """Send the head of a request together with the beginning of its body, if that is small.

    ``http.client`` sends one after the other, in two packets, for each of which the server wakes up. That
    costs a save of 10 KiB a fortieth of its time.
    """

    response_class = PacedAnswer
    _keeps_head = False
    _head = b""

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        self._keeps_head = body is not None
        super().request(method, url, body, *args, **kwargs)
        if self._head:  # the body is empty
            self._send_head()

    def send(self, data: Any) -> None:
        if self._keeps_head:
            self._keeps_head, self._head = False, data
        elif not self._head:
            super().send(data)
        elif len(data) <= _SMALL:
            self._send_head(data)
        else:
            self._send_head()
            super().send(data)

    def _send_head(self, body: Any = b"") -> None:
        head, self._head = self._head, b""
        super().send(b"".join((head, body)))


class _Connection(_InOnePiece, HTTPConnection):
    pass


class _TLSConnection(_InOnePiece, HTTPSConnection):
    pass


class _Idle(LifoQueue[Any]):
    """Connections that wait for their next request, with a lock that its thread may take once more.

    The garbage collector gives back the connections of files that nobody closed, and may run just while
    its thread is in here.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.mutex = RLock()  # type: ignore[assignment]  # typeshed knows the other lock only
        self.not_empty, self.not_full = Condition(self.mutex), Condition(self.mutex)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection
    QueueCls = _Idle


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    QueueCls = _Idle


POOL_CLASSES = {"http": _Pool, "https": _TLSPool}
"""For ``PoolManager.pool_classes_by_scheme``."""
