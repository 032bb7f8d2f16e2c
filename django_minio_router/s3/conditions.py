"""Does a server honour ``If-None-Match: *``? Tested by writing an empty object twice and removing it.

Processes that share Django's cache share the result for an hour. Meanwhile, the server may be replaced by one
that ignores conditions. So before a process relies on a shared result, it requests the name: it must be free,
and the response must come from a server with the same name and version.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from ..exceptions import ServerError
from ..naming import path_of
from .limits import time_left

if TYPE_CHECKING:
    from .client import Client

logger = logging.getLogger(__name__)

_SHARED_FOR = 3600  # seconds for which other processes rely on a result


class Conditions:
    """What is known about one server: from a setting, a test, or another process."""

    def __init__(self, client: Client, configured: bool | None) -> None:
        self._client = client
        self._honoured = configured
        self._until = inf
        self._lock = threading.Lock()

    @property
    def honoured(self) -> bool | None:
        """Whether the server honours conditions; None if unknown, or if a shared result has expired."""
        return self._honoured if time.time() < self._until else None

    def probe(self, bucket: str, name: str, sibling: str, headers: Mapping[str, str]) -> bool:
        """Find out once, before ``name`` is stored, with an object ``sibling`` that has these headers."""
        # Others wait for the result, but not each in turn for a server that does not respond.
        if not self._lock.acquire(timeout=time_left(self._client.server.call_timeout)):
            raise self._client.unreachable(TimeoutError("timed out while another save tests the server"))
        try:
            if self.honoured is None:
                expiry = _shared_expiry(self._client, path_of(bucket, name))
                self._honoured = expiry > 0 or _probe(self._client, bucket, sibling, headers)
                self._until = expiry or inf
            return bool(self._honoured)
        finally:
            self._lock.release()


def _shared_expiry(client: Client, path: str) -> float:
    """Return when another process's result expires, or 0 if there is none to rely on.

    A result does not count if the name is taken: only a test shows whether the object there is safe.
    """
    with suppress(Exception):  # the cache may be down
        until, server = _shared_cache().get(_key(client), (0.0, ""))
        if until > time.time():
            answer = client.request("HEAD", path)
            if answer.status == 404 and answer.headers.get("Server", "") == server:
                return float(until)
    return 0.0


def _share(client: Client, server: str, *, honoured: bool) -> None:
    with suppress(Exception):
        if honoured and server:  # servers without a name cannot be distinguished
            _shared_cache().set(_key(client), (time.time() + _SHARED_FOR, server), _SHARED_FOR)
        else:
            _shared_cache().delete(_key(client))


def _shared_cache() -> Any:
    """Return Django's cache. ``LookupError`` if it is not shared with other processes.

    A cache in the database does not count either: a failing query would break the transaction of the save.
    """
    cache = caches[DEFAULT_CACHE_ALIAS]
    if isinstance(cache, (DatabaseCache, DummyCache, LocMemCache)):
        raise LookupError
    return cache


def _key(client: Client) -> str:
    """Return the cache key, which must not contain spaces."""
    return f"minio_router.conditions:{sha256(client.server.endpoint.encode()).hexdigest()}"


def _probe(client: Client, bucket: str, name: str, headers: Mapping[str, str]) -> bool:
    """Test the server with an object of that name and these headers.

    A server that accepts the second write ignores conditions. One that answers 501 does not implement them.
    """
    path = path_of(bucket, name)
    answers: list[int] = []
    server = ""
    versions: set[str] = set()  # the versions of the object, if the bucket keeps them
    try:
        for known in (200, 412, 501), (200, 412):
            condition = {} if 501 in answers else {"If-None-Match": "*"}
            answer = client.request("PUT", path, headers={**headers, **condition}, body=b"")
            answers.append(answer.status)
            server = answer.headers.get("Server", "")
            versions.add(answer.headers.get("x-amz-version-id", ""))
            if answer.status not in known:
                client.refuse(answer, bucket)
    finally:
        if 200 in answers or 412 in answers:
            _remove(client, path, versions - {"", "null"})
    honoured = 412 in answers  # perhaps the first: it is repeated if its response is lost
    _share(client, server, honoured=honoured)
    if not honoured:
        logger.warning(
            "%s does not support conditional writes, so every saved name gets a random suffix.",
            client.server.endpoint,
        )
    return honoured


def _remove(client: Client, path: str, versions: Collection[str]) -> None:
    """Remove the object by its versions: a plain delete would leave a version and a delete marker."""
    by_version = [f"versionId={quote(version, safe='')}" for version in versions]
    for queries in filter(None, (by_version, [""])):  # the keys may lack the right to delete versions
        with suppress(ServerError):
            if all(client.request("DELETE", path, query).status in (200, 204) for query in queries):
                return
    logger.warning(
        "The empty object %s could not be removed from %s. If the keys may not delete, set "
        "MINIO_CONDITIONAL_WRITES, so that the server is not tested.",
        path,
        client.server.endpoint,
    )
