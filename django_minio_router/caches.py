"""Bounded caches, safe with threads and across a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import Cache, LRUCache, TTLCache

K = TypeVar("K")
V = TypeVar("V")

# One lock for all caches: it is held for less than a microsecond, and a fork acquires it, so that no child
# inherits it locked by a thread that does not exist there.
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class BoundedCache(Generic[K, V]):
    """Keep the ``maxsize`` most recently used items; with ``ttl``, each for that many seconds at most."""

    def __init__(self, maxsize: int, *, ttl: float | None = None) -> None:
        # The constructor of TTLCache has its own type variables.
        self._items: Cache[K, V] = (
            LRUCache(maxsize) if ttl is None else TTLCache(maxsize, ttl)  # pyright: ignore[reportAttributeAccessIssue]
        )
        self.discards = 0  # the number of discards so far, whether or not the item was cached

    def get(self, key: K) -> V | None:
        with _lock:
            return self._items.get(key)

    def set(self, key: K, value: V, *, since: int | None = None) -> None:
        """Cache the item; with ``since``, only if ``discards`` is still that value, noted before the read."""
        with _lock:
            if since is None or since == self.discards:
                self._items[key] = value

    def discard(self, key: K) -> None:
        with _lock:
            self.discards += 1
            self._items.pop(key, None)

    def discard_if(self, unwanted: Callable[[V], bool]) -> None:
        """Discard matching items. Scans them all, so use it for rare events; ``unwanted`` must not block."""
        with _lock:
            self.discards += 1
            for key in [key for key, value in self._items.items() if unwanted(value)]:
                del self._items[key]

    def clear(self) -> None:
        with _lock:
            self.discards += 1
            self._items.clear()
