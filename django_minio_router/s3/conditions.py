"""Does a server keep ``If-None-Match: *``? Found out by writing an empty object twice, and removing it.

Processes that share Django's cache tell each other, for an hour. A server may be replaced within it by one
that ignores conditions. So whoever was told asks for the name first: it must be free, and the answer must
come from a server of the same name and version, before anything is written.
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
from ..naming import quote_object_name
from .limits import time_left

if TYPE_CHECKING:
    from .client import Client

logger = logging.getLogger(__name__)

_TOLD_FOR = 3600  # seconds after a trial in which other processes rely on it


class Conditions:
    """What is known of one server: said by a setting, found by a trial, or told by another process."""

    def __init__(self, client: Client, said: bool | None) -> None:
        self._client = client
        self._kept = said
        self._until = inf
        self._lock = threading.Lock()

    @property
    def kept(self) -> bool | None:
        """Whether the server keeps them; None until it is known, and once what was told is too old."""
        return self._kept if time.time() < self._until else None

    def find_out(self, bucket: str, name: str, sibling: str, headers: Mapping[str, str]) -> bool:
        """Find out before ``name`` is stored, once, with an object ``sibling`` that has these headers."""
        # Others wait for the answer, but not one after the other for a server that gives none.
        if not self._lock.acquire(timeout=time_left(self._client.server.call_timeout)):
            raise self._client.unreachable(TimeoutError("another save waits for it, and timed out"))
        try:
            if self.kept is None:
                told = _told(self._client, _path(bucket, name))
                self._kept = told > 0 or _try(self._client, bucket, sibling, headers)
                self._until = told or inf
            return bool(self._kept)
        finally:
            self._lock.release()


def _path(bucket: str, name: str) -> str:
    return f"/{bucket}/{quote_object_name(name)}"


def _told(client: Client, path: str) -> float:
    """Return the time until which another process's trial holds, or 0 if there is none that does.

    It does not where the name is taken: a writer before us may have stored it, and only a trial tells whether
    that one is safe.
    """
    with suppress(Exception):  # a cache that is not there tells nothing
        until, server = _shared_cache().get(_key(client), (0.0, ""))
        if until > time.time():
            answer = client.request("HEAD", path)
            if answer.status == 404 and answer.headers.get("Server", "") == server:
                return float(until)
    return 0.0


def _tell(client: Client, server: str, *, kept: bool) -> None:
    with suppress(Exception):
        if kept and server:  # servers without a name cannot be told apart
            _shared_cache().set(_key(client), (time.time() + _TOLD_FOR, server), _TOLD_FOR)
        else:
            _shared_cache().delete(_key(client))


def _shared_cache() -> Any:
    """Return Django's cache. ``LookupError`` if that is of this process alone, which knows already.

    Nor is one in the database asked: a query that fails would end the transaction that the file is saved in.
    """
    cache = caches[DEFAULT_CACHE_ALIAS]
    if isinstance(cache, (DatabaseCache, DummyCache, LocMemCache)):
        raise LookupError
    return cache


def _key(client: Client) -> str:
    """Return the name of the entry, which may hold no spaces."""
    return f"minio_router.conditions:{sha256(client.server.endpoint.encode()).hexdigest()}"


def _try(client: Client, bucket: str, name: str, headers: Mapping[str, str]) -> bool:
    """Try it with an object of that name and these headers.

    A server that takes the second write ignores conditions; one that takes it only without a condition has
    none.
    """
    path = _path(bucket, name)
    answers: list[int] = []
    server = ""
    made: set[str] = set()  # the versions of the object, if the bucket keeps them
    try:
        for known in (200, 412, 501), (200, 412):
            condition = {} if 501 in answers else {"If-None-Match": "*"}
            answer = client.request("PUT", path, headers={**headers, **condition}, body=b"")
            answers.append(answer.status)
            server = answer.headers.get("Server", "")
            made.add(answer.headers.get("x-amz-version-id", ""))
            if answer.status not in known:
                client.refuse(answer, bucket)
    finally:
        if 200 in answers or 412 in answers:
            _remove(client, path, made - {"", "null"})
    kept = 412 in answers  # perhaps the first: when its answer is lost it is repeated
    _tell(client, server, kept=kept)
    if not kept:
        logger.warning(
            "%s does not keep conditional writes, so every saved name gets a random suffix.",
            client.server.endpoint,
        )
    return kept


def _remove(client: Client, path: str, made: Collection[str]) -> None:
    """Remove what was written: by its versions, or a trial leaves one, with a marker that hides it."""
    by_version = [f"versionId={quote(version, safe='')}" for version in made]
    for queries in filter(None, (by_version, [""])):  # the key may not be allowed to remove versions
        with suppress(ServerError):
            if all(client.request("DELETE", path, query).status in (200, 204) for query in queries):
                return
    logger.warning(
        "The empty object %s stays at %s. Where the key may not delete, set MINIO_CONDITIONAL_WRITES, "
        "and no server is tried.",
        path,
        client.server.endpoint,
    )
