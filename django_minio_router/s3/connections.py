"""Pooled connections to a server: the only module besides ``sdk`` that uses urllib3."""

from __future__ import annotations

import copy
import math
import os
import ssl
import time
from collections.abc import Mapping
from queue import LifoQueue
from threading import Condition, RLock
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError, HTTPError, MaxRetryError
from urllib3.response import BaseHTTPResponse

from ..settings.server import Server
from .content import PIECE, Body, pieces
from .errors import OUTCOME_UNKNOWN, required_permission, unreachable, without_frames
from .limits import attempts_end, restart_limit, time_left
from .request_log import SentRequest

BROKEN = (HTTPError, OSError)  # raised when a connection breaks
_SMALL = 64 * 1024  # bytes; a body up to this size is copied behind the head of its request


class _SinglePacket(HTTPConnection):
    """Send the head of a request together with the start of its body, if that is small.

    ``http.client`` sends them in two packets, and the server wakes up for each, which takes 2.5 % of the time
    of a 10 KiB save.
    """

    _holds_head = False
    _head = b""

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        self._holds_head = body is not None
        super().request(method, url, body, *args, **kwargs)
        if self._head:  # the body is empty
            self._send_head()

    def send(self, data: Any) -> None:
        if self._holds_head:
            self._holds_head, self._head = False, data
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


class _TLSConnection(_SinglePacket, HTTPSConnection):
    pass


class _IdleConnections(LifoQueue[Any]):
    """A queue of idle connections with a reentrant lock.

    The garbage collector returns the connections of files that were not closed, and may run while its thread
    holds the lock.
    """

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self.mutex = RLock()  # type: ignore[assignment]  # typeshed declares Lock
        self.not_empty, self.not_full = Condition(self.mutex), Condition(self.mutex)


class _TimeLeft(urllib3.Timeout):
    """The time limits of one attempt, within the time left for all of them."""

    def clone(self) -> urllib3.Timeout:  # called for each attempt
        left = attempts_end.get() - time.monotonic()
        total = None if left == math.inf else max(0.05, left)
        return urllib3.Timeout(total, connect=self._connect, read=self._read)


class _Retry(urllib3.Retry):
    """Retries until the time for all attempts is over."""

    def is_exhausted(self) -> bool:
        return super().is_exhausted() or time.monotonic() >= attempts_end.get()


class _Pool(HTTPConnectionPool):
    ConnectionCls: Any = _SinglePacket  # does not match urllib3's protocol in its class variables
    QueueCls = _IdleConnections


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls: Any = _TLSConnection
    QueueCls = _IdleConnections


def _with_permission(response: BaseHTTPResponse, method: str, path: str, query: str) -> BaseHTTPResponse:
    """Store with a refusal which permission the request needs: the response does not say."""
    if response.status == 403:
        response.permission = required_permission(method, path, query)  # type: ignore[attr-defined]
    return response


def make_pool(server: Server) -> urllib3.PoolManager:
    """Return a pool for all servers with these settings. Its requests bring their own limits."""
    context: dict[str, Any] = {"ssl_context": _ssl_context()} if server.use_https else {}
    pool = urllib3.PoolManager(
        num_pools=1000,
        maxsize=server.pool_size,
        block=False,
        blocksize=PIECE,
        **context,
    )
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return pool


def _ssl_context() -> ssl.SSLContext:
    """Trust what the SDK trusts: ``SSL_CERT_FILE``, or certifi's authorities and those of this machine.

    Minimal images, and Python from python.org on macOS, have none. certifi comes with the SDK.
    """
    configured = os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=configured)
    if not configured:
        context.load_verify_locations(certifi.where())
        context.load_default_certs()
    return context


def without_sockets(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """Return a copy of the pool for a forked child, without the parent's sockets."""
    own = copy.copy(pool)
    own.pools = type(pool.pools)(100)
    return own


def _size_of(body: Body | None) -> int:
    """Return the size of the body of a request in bytes."""
    if body is None or isinstance(body, bytes):
        return len(body or b"")
    return sum(map(len, body))


def _end_of_call(call_timeout: float) -> float:
    return time.monotonic() + time_left(call_timeout)


class Connections:
    """The connections to one server, in a shared pool."""

    def __init__(self, server: Server, pool: urllib3.PoolManager) -> None:
        self.pool = pool
        self._server = server
        self._origin = server.origin
        self._to_host = pool.connection_from_url(self._origin)
        # A proxy for plain HTTP needs the whole URL.
        self._asks_for_urls = bool(pool.proxy) and not server.use_https
        # A project's own pool may set timeouts and retries, and has no limit for a call then.
        own = _Retry(
            total=server.retries,
            backoff_factor=0.1,
            status_forcelist=OUTCOME_UNKNOWN,
            allowed_methods=None,
            redirect=False,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        self._retries = pool.connection_pool_kw.get("retries", own)
        self._has_own_limits = self._retries is own
        self._time_left = _TimeLeft(connect=server.connect_timeout, read=server.read_timeout)
        self._timeout = pool.connection_pool_kw.get("timeout", self._time_left)

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
        """Return the response, whatever its status. ``ServerError`` if there is none.

        The path is ``/bucket/object``; the server may use another one.
        All attempts together must fit in the time of a call. With ``takes_long``, for requests that make the
        server move much data, the time limits apply to each attempt, as for a large body.
        """
        size = _size_of(body)
        takes_long = takes_long or size > PIECE
        if body is not None and not (isinstance(body, bytes) and size <= PIECE):
            # In pieces, so that the time limit applies to each and not to the whole body.
            body = list(pieces(body))
            headers["Content-Length"] = str(size)
        is_limited = self._has_own_limits and not takes_long
        options: dict[str, Any] = {
            "body": body,
            "headers": headers,
            "preload_content": not stream,
            "retries": self._retries if repeat else False,
            "timeout": self._time_left if is_limited else self._timeout,
        }
        request = SentRequest(method, path, size, options["retries"])
        token = attempts_end.set(_end_of_call(self._server.call_timeout) if is_limited else math.inf)
        try:
            response = self._urlopen(method, path, query, options)
        except HTTPError as error:
            request.failed(error, last=isinstance(error, MaxRetryError))
            if takes_long:
                restart_limit()
            raise unreachable(self._server, error) from without_frames(error)
        finally:
            attempts_end.reset(token)
        restart_limit()
        request.answered(response)
        return _with_permission(response, method, path, query)

    def _urlopen(self, method: str, path: str, query: str, options: dict[str, Any]) -> BaseHTTPResponse:
        host, path = self._server.locate(path)
        origin, to_host = self._origin, self._to_host
        if host != self._server.host:
            origin = f"{origin.partition(':')[0]}://{host}"
            to_host = self.pool.connection_from_url(origin)
        target = f"{path}?{query}" if query else path
        if self._asks_for_urls:
            target = origin + target
        options |= {
            "pool_timeout": self._server.read_timeout,  # a project's pool may block
            "redirect": False,
            "assert_same_host": not self._asks_for_urls,
            "decode_content": False,
        }
        try:
            return to_host.urlopen(method, target, **options)
        except ClosedPoolError:  # a project's own pool discarded ours in favour of other hosts
            self._to_host = self.pool.connection_from_url(self._origin)
            return self.pool.connection_from_url(origin).urlopen(method, target, **options)

    def send_once(
        self, time_limit: float, query: str = "", headers: Mapping[str, str] | None = None
    ) -> BaseHTTPResponse:
        """Send one request without retries, within ``time_limit`` seconds. Raises ``BROKEN``."""
        return self.pool.request(
            "GET",
            f"{self._origin}{self._server.path}/{query}",
            headers=headers,
            timeout=urllib3.Timeout(total=time_limit),
            retries=False,
            redirect=False,
            pool_timeout=time_limit,
        )
