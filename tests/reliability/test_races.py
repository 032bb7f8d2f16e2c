"""Threads and processes that save one name at once: as many names as writers, and every content intact."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from tests.support.processes import in_children
from tests.support.proxy import Proxy, Request, drop_answer, without
from tests.support.scale import scale

from .conftest import names_in, options_for, stored, uploads_in, uploads_with_parts_in

MIB = 1024 * 1024
PART = 5 * MIB
SMALL, LARGE = 10_000, PART + 100_000
THREADS, PROCESSES = 16, 8

sizes = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "parts"])
ignored = without("If-None-Match")


def content(writer: int, size: int) -> bytes:
    """Different for each writer, at every place."""
    return (b"%08d" % writer) * (size // 8)


def save_at_once(storage: MinioBackend, size: int, writers: range = range(THREADS)) -> dict[str, bytes]:
    """Save one name from many threads; return what each name that was returned must hold."""
    start = threading.Barrier(len(writers))

    def save(writer: int) -> tuple[str, bytes]:
        data = content(writer, size)
        start.wait()
        return storage.save("report.bin", ContentFile(data)), data

    with ThreadPoolExecutor(len(writers)) as threads:
        pairs = list(threads.map(save, writers))
    assert len(dict(pairs)) == len(pairs), "two writers got one name"
    return dict(pairs)


def assert_held(bare: Minio, bucket: str, contents: dict[str, bytes], left: Any = uploads_in) -> None:
    for name, data in contents.items():
        assert stored(bare, bucket, name) == data, f"{name} holds another content"
        assert left(bare, bucket, name) == []
    assert sorted(names_in(bare, bucket)) == sorted(contents)


def make(bucket: str, endpoint: str | None = None, **options: Any) -> MinioBackend:
    server = options_for(endpoint or os.environ["MINIO_ENDPOINT"])
    return MinioBackend(bucket, **server, MINIO_MULTIPART_PART_SIZE=PART, **options)


@pytest.mark.parametrize(
    ("size", "threads"), [(SMALL, THREADS), (LARGE, THREADS // PROCESSES)], ids=["small", "parts"]
)
@pytest.mark.parametrize("round_", range(scale(1, 20)))
def test_threads_and_processes_get_a_name_each(
    round_: int, size: int, threads: int, bare: Minio, bucket: str
) -> None:
    """Each process is asked for its names through the bucket, under a name that tells whose they are."""
    storage = make(bucket)

    def work(process: int) -> None:
        own = save_at_once(storage, size, range(process * threads, (process + 1) * threads))
        for name, data in own.items():
            storage.save(f"whose/{name}", ContentFile(data[:8]))

    in_children(PROCESSES, work)

    told = {
        name: content(int(stored(bare, bucket, f"whose/{name}") or b""), size)
        for name in names_in(bare, bucket)
        if not name.startswith("whose/")
    }
    assert len(told) == PROCESSES * threads
    assert_held(bare, bucket, told | {f"whose/{name}": data[:8] for name, data in told.items()})


@sizes
@pytest.mark.parametrize("round_", range(scale(1, 20)))
def test_threads_get_a_name_each_where_conditions_are_ignored(
    round_: int, size: int, bare: Minio, bucket: str, proxy: Proxy
) -> None:
    proxy.when(ignored, times=None)

    contents = save_at_once(make(bucket, proxy.endpoint), size)

    assert_held(bare, bucket, contents)


def every_other(query: str = "") -> Callable[[Request], bool]:
    """Pick half of the requests with this query."""
    numbers = itertools.count()
    return lambda request: request.query == query and next(numbers) % 2 == 0


@sizes
@pytest.mark.parametrize("round_", range(scale(1, 20)))
def test_threads_get_a_name_each_although_answers_are_lost(
    round_: int, size: int, bare: Minio, bucket: str, proxy: Proxy
) -> None:
    """A repeat of a save finds the name taken: by its own first try, or by another writer."""
    proxy.when(drop_answer, method="PUT", where=every_other(), times=None)
    proxy.when(drop_answer, method="POST", where=every_other(), times=None)

    contents = save_at_once(make(bucket, proxy.endpoint, MINIO_RETRIES=8), size)

    assert_held(bare, bucket, contents)


@pytest.mark.parametrize("round_", range(scale(1, 20)))
def test_threads_get_a_name_each_although_nobody_hears_that_uploads_began(
    round_: int, bare: Minio, bucket: str, proxy: Proxy
) -> None:
    """Each leaves an upload without parts behind, and does no harm to those of others."""
    proxy.when(drop_answer, method="POST", where=every_other("uploads="), times=None)

    contents = save_at_once(make(bucket, proxy.endpoint, MINIO_RETRIES=8), LARGE)

    assert_held(bare, bucket, contents, uploads_with_parts_in)
