"""The bounded cache keeps what was used last, makes each item once, and survives threads and forks."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

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


def test_an_item_is_made_when_it_is_missing() -> None:
    cache: BoundedCache[str, list[str]] = BoundedCache(2)
    made: list[str] = []

    def make(key: str) -> list[str]:
        made.append(key)
        return [key]

    first = cache.get_or_make("a", make)

    assert cache.get_or_make("a", make) is first
    assert made == ["a"]


def test_all_threads_get_the_same_item() -> None:
    cache: BoundedCache[int, object] = BoundedCache(100)
    start = threading.Barrier(16)

    def ask(_: int) -> list[object]:
        start.wait()
        return [cache.get_or_make(key, lambda key: object()) for key in range(100)]

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(ask, range(16)))

    assert all(result == results[0] for result in results)


def test_an_item_that_is_made_may_use_the_cache() -> None:
    cache: BoundedCache[str, str] = BoundedCache(5)

    outer = cache.get_or_make("outer", lambda key: cache.get_or_make("inner", str.upper) + key)

    assert outer == "INNERouter"


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
            in_children(1, lambda number: cache.get_or_make(1000 + number, int))
    finally:
        done.set()
        for thread in threads:
            thread.join()
