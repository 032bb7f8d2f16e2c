"""An S3 server in this process.

A project's tests, and a first look at the package, keep their files here. It replaces the connections only,
so everything above is the code of production: signatures, conditions, parts, ranges, listings and errors. It
has no versioning, and answers unknown requests with 501.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.utils.datastructures import CaseInsensitiveMapping

from .memory_buckets import answer_bucket, list_buckets
from .memory_objects import OBJECT_CALLS
from .memory_state import Answer, Buckets, Request, S3Error, get_bucket, not_implemented, xml_answer
from .request_log import SentRequest
from .xml import element

if TYPE_CHECKING:
    from ..settings.server import Server

_servers: dict[str, Buckets] = {}
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # no child inherits it locked, or what it guards half-changed
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextmanager
def restored(*, empty: bool = False) -> Iterator[None]:
    """Restore the contents of the servers in memory afterwards. With ``empty``, start without any."""
    with _lock:
        saved = {
            host: {name: bucket.copy() for name, bucket in buckets.items()}
            for host, buckets in _servers.items()
        }
        if empty:
            _servers.clear()
    try:
        yield
    finally:
        with _lock:
            _servers.clear()
            _servers.update(saved)


def contents(host: str = "") -> dict[str, dict[str, bytes]]:
    """Return the objects of each bucket by name, of one server or of all."""
    with _lock:
        return {
            name: {key: stored.data for key, stored in bucket.objects.items()}
            for known, buckets in _servers.items()
            if host in ("", known)
            for name, bucket in buckets.items()
        }


def answer(
    host: str, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """Answer a request as the server of this name, which the first request creates."""
    parts = urlsplit(target)
    bucket, _, key = parts.path.lstrip("/").partition("/")
    request = Request(
        method,
        unquote(bucket),
        unquote(key),
        dict(parse_qsl(parts.query, keep_blank_values=True)),
        {name.lower(): value for name, value in (headers or {}).items()},
        body,
    )
    with _lock:
        try:
            return _route(_servers.setdefault(host, {}), request)
        except S3Error as error:
            if method == "HEAD":
                return Answer(error.status)
            root = element("Error", Code=error.code, Message=error.message, Resource=parts.path)
            return xml_answer(root, error.status)


def _route(buckets: Buckets, request: Request) -> Answer:
    if not request.bucket:
        return list_buckets(buckets)
    if not request.key:
        return answer_bucket(buckets, request)
    call = OBJECT_CALLS.get(request.method)
    if call is None:
        not_implemented()
    return call(buckets, get_bucket(buckets, request.bucket), request)


class MemoryConnections:
    """The counterpart of ``Connections`` for a server in memory."""

    def __init__(self, server: Server) -> None:
        self._host = server.host

    def send(
        self, method: str, path: str, query: str, body: Any, headers: Mapping[str, str], **options: Any
    ) -> Any:
        data = body if isinstance(body, bytes) else b"".join(body or ())
        request = SentRequest(method, path, len(data), retries=0)
        response: Any = MemoryResponse(answer(self._host, method, f"{path}?{query}", headers, data))
        request.answered(response)
        return response

    def send_once(
        self, time_limit: float, query: str = "", headers: Mapping[str, str] | None = None
    ) -> MemoryResponse:
        return MemoryResponse(answer(self._host, "GET", f"/{query}", headers))


class MemoryResponse(io.BytesIO):
    """A response with the part of urllib3's interface that this package uses."""

    retries = None

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.data, self.status = answer.body, answer.status
        self.reason = HTTPStatus(answer.status).phrase
        self.headers = CaseInsensitiveMapping({"Server": "AmazonS3 (in memory)", **answer.headers})

    def drain_conn(self) -> None:
        """Do nothing: there is no connection."""

    release_conn = drain_conn
