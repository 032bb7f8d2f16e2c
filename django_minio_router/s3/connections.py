"""Connections to a server, pooled: the only module, beside the SDK, that knows urllib3."""

from __future__ import annotations

import copy
import os
import ssl
import time
from collections.abc import Mapping
from queue import LifoQueue
from threading import Condition, RLock
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError, HTTPError, MaxRetryError
from urllib3.response import BaseHTTPResponse

from ..settings.server import Server
from .content import PIECE, Body, pieces
from .errors import asked_for, unreachable, without_frames
from .limits import renew, time_left
from .request_log import SentRequest

BROKEN = (HTTPError, OSError)  # what is raised when a connection breaks
_RETRY_STATUSES = (429, 500, 502, 503, 504)
_SMALL = 64 * 1024  # bytes of a body that are copied behind the head of their request


class _InOnePiece(HTTPConnection):
    """Send the head of a request together with the beginning of its body, if that is small.

    ``http.client`` sends one after the other, in two packets, for each of which the server wakes up. That
    costs a save of 10 KiB a fortieth of its time.
    """

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


class _TimeLeft(urllib3.Timeout):
    """The time limits of a try, within what is left of the time for all of them."""

    def __init__(self, server: Server, ends: float) -> None:
        super().__init__(connect=server.connect_timeout, read=server.read_timeout)
        self._server, self._ends = server, ends

    def clone(self) -> urllib3.Timeout:  # for each try
        left = max(0.05, self._ends - time.monotonic())
        return urllib3.Timeout(left, connect=self._server.connect_timeout, read=self._server.read_timeout)


class _Retry(urllib3.Retry):
    """Repeats, until the time for all tries is over."""

    server: Any = None
    ends = float("inf")

    def until(self, ends: float) -> _Retry:
        limited = self.new()
        limited.ends = ends
        return limited

    def new(self, **kwargs: Any) -> _Retry:
        made = super().new(**kwargs)
        made.server, made.ends = self.server, self.ends
        return made

    def is_exhausted(self) -> bool:
        return super().is_exhausted() or time.monotonic() >= self.ends


class _Limited:
    """Give each request of the SDK, which names no limits, one for all its tries."""

    retries: Any

    def urlopen(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        retries: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if retries is None and isinstance(self.retries, _Retry) and _is_small(body):
            ends = _end_of_call(self.retries.server)
            retries, kwargs["timeout"] = self.retries.until(ends), _TimeLeft(self.retries.server, ends)
        return super().urlopen(method, url, body, headers, retries, *args, **kwargs)  # type: ignore[misc]


class _Pool(_Limited, HTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls: Any = _Connection  # the protocol that urllib3 names has class variables of another kind
    QueueCls = _Idle


class _TLSPool(_Limited, HTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls: Any = _TLSConnection
    QueueCls = _Idle


class _PoolManager(urllib3.PoolManager):
    """Logs what is sent through it: the requests of the SDK. Ours take the pool of one host."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> BaseHTTPResponse:  # type: ignore[override]
        retries = kw.get("retries", self.connection_pool_kw.get("retries"))
        request = SentRequest.now(method, url, len(kw.get("body") or b""), retries)
        try:
            response = super().urlopen(method, url, redirect, **kw)
        except HTTPError as error:
            request.failed(error, last=isinstance(error, MaxRetryError))
            raise
        request.answered(response)
        parts = urlsplit(url)
        return _noted(response, method, parts.path, parts.query)


def _noted(response: BaseHTTPResponse, method: str, path: str, query: str) -> BaseHTTPResponse:
    """Keep with a refusal what was asked for: the answer does not say."""
    if response.status == 403:
        response.asked = asked_for(method, path, query)  # type: ignore[attr-defined]
    return response


def make_pool(server: Server) -> urllib3.PoolManager:
    """Return a pool for all servers with these settings."""
    trust: dict[str, Any] = {"ssl_context": _trust()} if server.use_https else {}
    pool = _PoolManager(
        num_pools=1000,
        maxsize=server.pool_size,
        block=False,
        blocksize=PIECE,
        timeout=_timeout(server),
        retries=_retries(server),  # the SDK's requests too are repeated, and not redirected
        **trust,
    )
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return pool


def _trust() -> ssl.SSLContext:
    """Trust what the SDK trusts: ``SSL_CERT_FILE``, else certifi's authorities, and those of this machine.

    Minimal images, and Python from python.org on macOS, have none of their own. certifi comes with the SDK.
    """
    given = os.environ.get("SSL_CERT_FILE")
    trust = ssl.create_default_context(cafile=given)
    if not given:
        trust.load_verify_locations(certifi.where())
        trust.load_default_certs()
    return trust


def without_sockets(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """Return a pool of the same make, for a forked child: the sockets are the parent's."""
    own = copy.copy(pool)
    own.pools = type(pool.pools)(100)
    return own


def _timeout(server: Server) -> urllib3.Timeout:
    return urllib3.Timeout(connect=server.connect_timeout, read=server.read_timeout)


def _is_small(body: Body | None) -> bool:
    if body is None or isinstance(body, bytes | memoryview):
        return len(body or b"") <= PIECE
    return isinstance(body, list | tuple) and sum(map(len, body)) <= PIECE


def _end_of_call(server: Server) -> float:
    return time.monotonic() + time_left(server.call_timeout)


def _retries(server: Server) -> _Retry:
    made = _Retry(
        total=server.retries,
        backoff_factor=0.1,
        status_forcelist=_RETRY_STATUSES,
        allowed_methods=None,
        redirect=False,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    made.server = server
    return made


class Connections:
    """The connections to one server, in a pool that it shares with others."""

    def __init__(self, server: Server, pool: urllib3.PoolManager) -> None:
        self.pool = pool
        self._server = server
        self._origin = server.origin
        self._to_host = pool.connection_from_url(self._origin)
        # A proxy for plain HTTP is asked for the whole URL.
        self._asks_for_urls = bool(pool.proxy) and not server.use_https
        # A project's own pool may say how long to wait and how often to try.
        own = _retries(server)
        given = pool.connection_pool_kw.get("retries", own)
        self._retries = own if isinstance(given, _Retry) else given
        self._timeout = pool.connection_pool_kw.get("timeout", _timeout(server))

    def send(
        self,
        method: str,
        path: str,
        query: str,
        body: Body | None,
        headers: dict[str, str],
        *,
        stream: bool,
        repeat: bool,
        takes_long: bool = False,
    ) -> BaseHTTPResponse:
        """Return the answer, whatever it says. ``ServerError`` if none comes.

        The path is ``/bucket/object``; the server may have it elsewhere.
        All tries together have the time of a call. ``takes_long`` is for a request that lets the server move
        much: as for a large body, the time limits hold for each try then.
        """
        takes_long = takes_long or not _is_small(body)
        if body is not None and not (isinstance(body, bytes) and len(body) <= PIECE):
            # In pieces, since the time limit holds for each then, and not for the whole body.
            body = list(pieces(body))
            headers["Content-Length"] = str(sum(map(len, body)))
        options: dict[str, Any] = {
            "body": body,
            "headers": headers,
            "preload_content": not stream,
            **self._patience(repeat=repeat, takes_long=takes_long),
        }
        size = len(body) if isinstance(body, bytes) else int(headers.get("Content-Length", 0))
        request = SentRequest.now(method, path, size, options["retries"])
        try:
            try:
                response = self._urlopen(method, path, query, options)
            except ClosedPoolError:  # a project's own pool dropped ours in favour of other hosts
                self._to_host = self.pool.connection_from_url(self._origin)
                response = self._urlopen(method, path, query, options)
        except HTTPError as error:
            request.failed(error, last=isinstance(error, MaxRetryError))
            if takes_long:
                renew()
            raise unreachable(self._server, error) from without_frames(error)
        renew()
        request.answered(response)
        return _noted(response, method, path, query)

    def _urlopen(self, method: str, path: str, query: str, options: dict[str, Any]) -> BaseHTTPResponse:
        host, path = self._server.locate(path)
        origin, to_host = self._origin, self._to_host
        if host != self._server.host:
            origin = f"{origin.partition(':')[0]}://{host}"
            to_host = self.pool.connection_from_url(origin)
        target = f"{path}?{query}" if query else path
        return to_host.urlopen(
            method,
            origin + target if self._asks_for_urls else target,
            pool_timeout=self._server.read_timeout,  # type: ignore[arg-type]  # a project's pool may block
            redirect=False,
            assert_same_host=not self._asks_for_urls,
            decode_content=False,
            **options,
        )

    def _patience(self, *, repeat: bool, takes_long: bool) -> dict[str, Any]:
        """Return how long to wait and how often to try. A project's own pool says so itself."""
        if takes_long or not isinstance(self._retries, _Retry):
            return {"retries": self._retries if repeat else False, "timeout": self._timeout}
        ends = _end_of_call(self._server)
        return {
            "retries": self._retries.until(ends) if repeat else False,
            "timeout": _TimeLeft(self._server, ends),
        }

    def ask(
        self, time_limit: float, query: str = "", headers: Mapping[str, str] | None = None
    ) -> BaseHTTPResponse:
        """Ask the server for anything, once and in so many seconds. Raises ``BROKEN``."""
        return self.pool.request(
            "GET",
            f"{self._origin}{self._server.path}/{query}",
            headers=headers,
            timeout=urllib3.Timeout(total=time_limit),
            retries=False,
            redirect=False,
            pool_timeout=time_limit,
        )
