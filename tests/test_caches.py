"""The bounded cache keeps what was used last, and survives threads and forks."""

from __future__ import annotations

import os
import threading

import pytest

from django_minio_router.caches import BoundedCache
from tests.support.processes import in_children


def test_what_was_set_is_found() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)

    cache.set("a", 1)

    assert cache.get("a") == 1
    assert cache.get("b") is None


def test_the_least_recently_used_goes_first() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.set("a", 1)
    cache.set("b", 2)
    cache.get("a")

    cache.set("c", 3)

    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_items_can_be_discarded_by_what_they_are() -> None:
    cache: BoundedCache[str, int] = BoundedCache(3)
    for number, key in enumerate("abc", 1):
        cache.set(key, number)

    cache.discard_if(lambda number: number != 2)

    assert [cache.get(key) for key in "abc"] == [None, 2, None]


def test_discarded_and_cleared_items_are_gone() -> None:
    cache: BoundedCache[str, int] = BoundedCache(3)
    for number, key in enumerate("abc", 1):
        cache.set(key, number)

    cache.discard("a")
    cache.discard("never there")
    assert (cache.get("a"), cache.get("b")) == (None, 2)
    cache.clear()
    assert (cache.get("b"), cache.get("c")) == (None, None)


def test_what_was_read_before_a_discard_is_not_kept_after_it() -> None:
    cache: BoundedCache[str, int] = BoundedCache(3)
    before = cache.discards
    cache.set("a", 1, since=before)
    assert cache.get("a") == 1

    for discard in (lambda: cache.discard("a"), lambda: cache.discard_if(bool), cache.clear):
        before = cache.discards
        discard()
        cache.set("a", 1, since=before)
        assert cache.get("a") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_that_is_forked_while_threads_use_caches_can_use_them() -> None:
    cache: BoundedCache[int, int] = BoundedCache(50)
    done = threading.Event()

    def use() -> None:
        number = 0
        while not done.is_set():
            number += 1
            cache.set(number % 60, number)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            in_children(1, lambda number: cache.set(1000 + number, cache.get(number) or 0))
    finally:
        done.set()
        for thread in threads:
            thread.join()
