"""Large files stream both ways: memory stays at what is under way, and nothing goes over the disk."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.s3.reading import FIRST_RANGE
from tests.support.contents import Generated

MIB = 1024 * 1024
SIZE = 64 * MIB

_watching: list[list[Any]] = []


def _note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        _watching[-1].append(arguments[0])


sys.addaudithook(_note_writes)


@contextmanager
def no_file_is_written() -> Iterator[None]:
    _watching.append([])
    try:
        yield
    finally:
        written = _watching.pop()
    assert written == []


def growth(work: Callable[[], Any]) -> float:
    """Return by how many MiB the memory grew at the worst moment of the work."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return (tracemalloc.get_traced_memory()[1] - before) / MIB
    finally:
        tracemalloc.stop()


class Sized(Generated):
    """Content that knows its size, as an upload does."""

    @property
    def size(self) -> int:
        return len(self.block) * self.times


@pytest.fixture(scope="module")
def shelf(bare: Minio, worker_id: str) -> MinioBackend:
    """A bucket for the tests that only read."""
    bucket = f"large-{worker_id}-{secrets.token_hex(6)}"
    bare.make_bucket(bucket_name=bucket)
    return MinioBackend(bucket, public=False)


@pytest.fixture(scope="module")
def large(shelf: MinioBackend) -> str:
    return shelf.save("large.bin", Generated(os.urandom(MIB), SIZE // MIB))


@pytest.mark.parametrize("kind", [Generated, Sized], ids=["unknown size", "known size"])
def test_saving_takes_no_more_than_the_parts_under_way(storage: MinioBackend, kind: type[Generated]) -> None:
    content = kind(os.urandom(MIB), SIZE // MIB)

    with no_file_is_written():
        grown = growth(lambda: storage.save("large.bin", content))

    assert grown <= 24
    assert storage.size("large.bin") == SIZE


def test_reading_in_chunks_takes_two_mebibytes_at_most(shelf: MinioBackend, large: str) -> None:
    digest = hashlib.sha256()

    def read() -> None:
        with shelf.open(large) as file:
            for chunk in file.chunks():
                digest.update(chunk)

    with no_file_is_written():
        grown = growth(read)

    assert grown <= 2
    with shelf.open(large) as file:
        assert digest.digest() == hashlib.sha256(file.read()).digest()


def test_reading_all_at_once_takes_little_more_than_the_content(shelf: MinioBackend, large: str) -> None:
    def read() -> int:
        with shelf.open(large) as file:
            return len(file.read())

    assert growth(read) <= SIZE / MIB * 1.3


def test_lines_and_jumps_take_little(shelf: MinioBackend, large: str) -> None:
    def read() -> None:
        with shelf.open(large) as file:
            for position in range(0, SIZE, SIZE // 20):
                file.seek(position)
                file.readline(100_000)

    assert growth(read) <= 2


def test_small_files_that_stay_open_are_held_once(storage: MinioBackend) -> None:
    storage.save("small.bin", Generated(bytes(FIRST_RANGE), 1))
    still_open = []

    def read() -> None:
        for _ in range(40):
            file = storage.open("small.bin")
            file.read(10)
            still_open.append(file)

    assert growth(read) <= 1.3 * 40 * FIRST_RANGE / MIB


def test_copying_from_object_to_object_streams(
    shelf: MinioBackend, storage: MinioBackend, large: str
) -> None:
    def copy() -> None:
        with shelf.open(large) as source:
            storage.save("copy.bin", source)

    with no_file_is_written():
        grown = growth(copy)

    assert grown <= 26  # two parts under way, and one that is read
    assert storage.size("copy.bin") == SIZE
