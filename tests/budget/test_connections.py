"""Connections are kept and given back, however many threads there are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, get_ident
from typing import Any

import pytest
from django.core.files.base import ContentFile

from django_minio_router import MinioBackend
from tests.support.proxy import Proxy
from tests.support.scale import scale

MIB = 1024 * 1024


class _Sends:
    """What one thread hands to its sockets meanwhile, counted by an audit hook, which stays for good."""

    counting: int | None = None
    count = 0

    @classmethod
    def audit(cls, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "http.client.send" and cls.counting == get_ident():
            cls.count += 1


sys.addaudithook(_Sends.audit)


@contextmanager
def sends(count: int) -> Iterator[None]:
    """Let the block hand data to its connections exactly so many times."""
    _Sends.counting, _Sends.count = get_ident(), 0
    try:
        yield
    finally:
        _Sends.counting = None
    assert _Sends.count == count


@pytest.fixture
def storage(bucket: str, wire: Proxy) -> MinioBackend:
    storage = MinioBackend(bucket, public=False)
    storage.save("small.bin", ContentFile(os.urandom(10_000)))
    storage.save("large.bin", ContentFile(os.urandom(MIB)))
    return storage


def work(storage: MinioBackend, number: int) -> None:
    """Use a connection in each way: written to, read to the end, read in part, refused, asked by the SDK."""
    storage.save(f"{number}.bin", ContentFile(b"some content"))
    with storage.open("small.bin") as file:
        file.read()
    with storage.open("large.bin") as file:
        file.read(100)
    assert not storage.exists("missing.bin")
    with pytest.raises(FileNotFoundError):
        storage.open("missing.bin")
    storage.save("small.bin", ContentFile(b"another name is chosen"))
    storage.listdir("no such folder")


@pytest.mark.parametrize("count", [8, scale(32, 64)])
def test_threads_have_a_connection_each_and_no_more(storage: MinioBackend, wire: Proxy, count: int) -> None:
    wire.forget()
    everybody_is_here = Barrier(count)

    def run(number: int) -> None:
        everybody_is_here.wait()
        for turn in range(4):
            work(storage, number * 10 + turn)

    with ThreadPoolExecutor(count) as threads:
        list(threads.map(run, range(count)))
    assert len(wire.requests) > 4 * 7 * count
    assert wire.connections <= count


def test_a_file_that_is_let_go_in_the_middle_costs_its_own_connection_only(
    storage: MinioBackend, wire: Proxy
) -> None:
    """What is left of a large object is not worth reading just to keep a connection."""
    storage.save("larger.bin", ContentFile(os.urandom(16 * MIB)))
    wire.forget()
    with storage.open("larger.bin") as file:
        file.read(2 * MIB)
    for number in range(10):
        work(storage, number)
    assert wire.connections <= 1
    assert wire.open_connections <= 2


def test_files_that_nobody_closes_give_their_connections_back(storage: MinioBackend, wire: Proxy) -> None:
    wire.forget()
    for _ in range(20):
        storage.open("small.bin").read()  # to its end
        storage.open("small.bin").read(100)  # and not
        storage.open("small.bin")
    assert wire.connections <= 1


def test_a_small_save_leaves_in_one_piece(storage: MinioBackend) -> None:
    """Head and body in two packets wake the server twice."""
    with sends(1):
        storage.save("10 KiB.bin", ContentFile(os.urandom(10 * 1024)))
    with sends(1):
        storage.save("empty.bin", ContentFile(b""))


def test_a_larger_save_is_not_copied_behind_its_head(storage: MinioBackend) -> None:
    with sends(5):
        storage.save("larger.bin", ContentFile(os.urandom(MIB)))
