"""S3 in this process: what a server answers, without a server.

Tests of a project, and a first look at the package, keep their files here. It stands below the client, so all
that is above is what runs in production: signatures, conditions, parts, ranges, listings and errors. It keeps
no versions and refuses what it does not know with a 501.
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
from .memory_state import Answer, Buckets, Refused, Request, bucket_of, unknown, xml_answer
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
    """Put back at the end what the servers in memory held at the start. Begin with nothing if ``empty``."""
    with _lock:
        kept = {
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
            _servers.update(kept)


def contents(host: str = "") -> dict[str, dict[str, bytes]]:
    """Return the names and contents of each bucket, of one server or of all."""
    with _lock:
        return {
            name: {key: stored.data for key, stored in bucket.objects.items()}
            for known, buckets in _servers.items()
            if host in ("", known)
            for name, bucket in buckets.items()
        }


def answer(
    host: str, method: str, target: str, headers: Mapping[str, str] | None = None, body: Any = None
) -> Answer:
    """Answer a request as the server of this name does; it is there once it is asked for."""
    parts = urlsplit(target)
    bucket, _, key = parts.path.lstrip("/").partition("/")
    request = Request(
        method,
        unquote(bucket),
        unquote(key),
        dict(parse_qsl(parts.query, keep_blank_values=True)),
        {name.lower(): value for name, value in (headers or {}).items()},
        _bytes(body),
    )
    with _lock:
        try:
            return _route(_servers.setdefault(host, {}), request)
        except Refused as error:
            if method == "HEAD":
                return Answer(error.status)
            root = element("Error", Code=error.code, Message=error.message, Resource=parts.path)
            return xml_answer(root, error.status)


def _bytes(body: Any) -> bytes:
    if body is None or isinstance(body, bytes | bytearray | memoryview):
        return bytes(body or b"")
    return bytes(body.read()) if hasattr(body, "read") else b"".join(bytes(piece) for piece in body)


def _route(buckets: Buckets, request: Request) -> Answer:
    if not request.bucket:
        return list_buckets(buckets)
    if not request.key:
        return answer_bucket(buckets, request)
    call = OBJECT_CALLS.get(request.method)
    if call is None:
        unknown()
    return call(buckets, bucket_of(buckets, request.bucket), request)


class MemoryConnections:
    """What ``Connections`` are to a server elsewhere."""

    def __init__(self, server: Server) -> None:
        self._host = server.host

    def send(
        self, method: str, path: str, query: str, body: Any, headers: Mapping[str, str], **options: Any
    ) -> Any:
        data = _bytes(body)
        request = SentRequest.now(method, path, len(data), retries=0)
        response: Any = MemoryResponse(answer(self._host, method, f"{path}?{query}", headers, data))
        request.answered(response)
        return response

    def ask(
        self, time_limit: float, query: str = "", headers: Mapping[str, str] | None = None
    ) -> MemoryResponse:
        return MemoryResponse(answer(self._host, "GET", f"/{query}", headers))


class MemoryResponse(io.BytesIO):
    """An answer in the shape of urllib3's, as far as this package looks at those."""

    retries = None

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.data, self.status = answer.body, answer.status
        self.reason = HTTPStatus(answer.status).phrase
        self.headers = CaseInsensitiveMapping({"Server": "AmazonS3 (in memory)", **answer.headers})

    def drain_conn(self) -> None:
        """There is no connection."""

    release_conn = drain_conn
