"""S3 in this process: what a server answers, without a server.

Tests of a project, and a first look at the package, keep their files here. It is a pool of connections for
the client and for the SDK, so all that is above them is what runs in production: signatures, conditions,
parts, ranges, listings and errors. It keeps no versions and refuses what it does not know with a 501.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import urllib3

from .memory_buckets import answer_bucket, list_buckets
from .memory_objects import OBJECT_CALLS
from .memory_state import Answer, Buckets, Refused, Request, bucket_of, unknown, xml_answer
from .xml import element

_servers: dict[str, Buckets] = {}
_lock = threading.RLock()


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


class MemoryPool(urllib3.PoolManager):
    """Ask the server in memory that has the host's name."""

    def connection_from_url(self, url: str, pool_kwargs: Any = None) -> Any:
        return _Host(urlsplit(url).netloc)

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> Any:
        parts = urlsplit(url)
        return _Host(parts.netloc).urlopen(method, parts._replace(scheme="", netloc="").geturl(), **options)


class _Host:
    def __init__(self, name: str) -> None:
        self._name = name

    def urlopen(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        preload_content: bool = True,
        **options: Any,
    ) -> urllib3.HTTPResponse:
        found = answer(self._name, method, url, headers, body)
        return urllib3.HTTPResponse(
            io.BytesIO(found.body),
            {"Server": "AmazonS3 (in memory)", **found.headers},
            found.status,
            preload_content=preload_content,
            request_method=method,
        )
