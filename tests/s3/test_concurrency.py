"""Many writers, readers, threads and processes at once: nothing lost, nothing mixed, no socket too many."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.signals import setting_changed
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from django_minio_router.s3 import client as clients
from tests.support.processes import in_children
from tests.support.proxy import Exchange, Proxy, answering, drop_answer, forward, without
from tests.support.scale import scale
from tests.support.server import names_in, stored, uploads_in
from tests.support.storages import Make, keys

MIB = 1024 * 1024
THREADS = 16
PROCESSES = 8

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Let that many threads start their work at the same moment; return what they return."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def content(number: int, size: int) -> bytes:
    """Different for each writer, and checkable at every place."""
    return (b"%06d," % number) * (size // 7 + 1)


# Writers of one name


@pytest.mark.parametrize("size", [1000, 6 * MIB], ids=["one request", "parts"])
def test_threads_that_save_one_name_get_a_name_each(make: Make, bare: Minio, bucket: str, size: int) -> None:
    storage = make(MINIO_MULTIPART_PART_SIZE=5 * MIB)

    names = at_once(THREADS, lambda number: storage.save("x.bin", ContentFile(content(number, size))))

    assert "x.bin" in names
    assert sorted(names) == sorted(set(names)) == names_in(bare, bucket)
    for number, name in enumerate(names):
        assert stored(bare, bucket, name) == content(number, size)
    assert uploads_in(bare, bucket) == []


@forks
@pytest.mark.parametrize("size", [1000, 6 * MIB], ids=["one request", "parts"])
def test_processes_that_save_one_name_get_a_name_each(
    make: Make, bare: Minio, bucket: str, size: int
) -> None:
    storage = make(MINIO_MULTIPART_PART_SIZE=5 * MIB)
    storage.exists("x.bin")

    def save(number: int) -> None:
        name = storage.save("x.bin", ContentFile(content(number, size)))
        storage.save(f"names/{number}", ContentFile(name))

    in_children(PROCESSES, save)

    names = [stored(bare, bucket, f"names/{number}").decode() for number in range(PROCESSES)]
    assert "x.bin" in names
    assert len(set(names)) == PROCESSES
    for number, name in enumerate(names):
        assert stored(bare, bucket, name) == content(number, size)
    assert uploads_in(bare, bucket) == []


@pytest.mark.parametrize("size", [1000, 6 * MIB], ids=["one request", "parts"])
def test_writers_get_a_name_each_where_the_server_ignores_conditions(
    make: Make, proxy: Proxy, bare: Minio, bucket: str, size: int
) -> None:
    proxy.when(without("If-None-Match"), times=None)
    storage = make(MINIO_ENDPOINT=proxy.endpoint, MINIO_MULTIPART_PART_SIZE=5 * MIB, **keys())

    names = at_once(8, lambda number: storage.save("x.bin", ContentFile(content(number, size))))

    assert sorted(names) == sorted(set(names)) == names_in(bare, bucket)
    for number, name in enumerate(names):
        assert stored(bare, bucket, name) == content(number, size)


def test_it_is_found_out_once_whether_the_server_keeps_conditions(make: Make, proxy: Proxy) -> None:
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    names = at_once(4, lambda number: storage.save(f"{number}.txt", ContentFile(b"x")))

    assert names == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert Counter(proxy.methods) == {"PUT": 2 + 4, "DELETE": 1}
    proxy.forget()
    storage.save("5.txt", ContentFile(b"x"))
    assert proxy.methods == ["PUT"]


@pytest.mark.parametrize("size", [1, 6 * MIB], ids=["one request", "parts"])
def test_all_that_is_put_has_a_checksum(make: Make, proxy: Proxy, size: int) -> None:
    """The trial too, and an empty claim: AWS takes nothing else in a bucket with a default retention."""
    storage = make(MINIO_ENDPOINT=proxy.endpoint, MINIO_MULTIPART_PART_SIZE=5 * MIB, **keys())

    storage.save("x.bin", ContentFile(bytes(size)))

    put = [request for request in proxy.requests if request.method == "PUT"]
    assert len(put) >= 3
    assert all("x-amz-checksum-crc32" in request.headers for request in put)


def test_a_server_without_conditions_gets_names_with_a_random_part(
    make: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    proxy.when(without("If-None-Match"), times=None)
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    first, second = (storage.save("a/x.txt", ContentFile(b"x")) for _ in range(2))

    assert first != second
    assert all(name.startswith("a/x_") for name in (first, second))
    assert names_in(bare, bucket) == sorted([first, second])


def not_implemented(exchange: Exchange) -> None:
    if exchange.message.get("If-None-Match"):
        answering(501, b"<Error><Code>NotImplemented</Code></Error>")(exchange)
    else:
        forward(exchange)


def test_a_server_that_knows_no_conditions_is_not_asked_for_them_again(
    make: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    proxy.when(not_implemented, times=None)
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    names = [storage.save("x.txt", ContentFile(b"x")) for _ in range(2)]

    assert names_in(bare, bucket) == sorted(set(names))
    assert sum("if-none-match" in request.headers for request in proxy.requests) == 1


def test_what_else_is_not_implemented_says_nothing_about_conditions(make: Make, proxy: Proxy) -> None:
    proxy.when(answering(501, b"<Error><Code>NotImplemented</Code></Error>"), times=2)
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    with pytest.raises(ServerError, match="501 NotImplemented"):
        storage.save("x.txt", ContentFile(b"x"))
    assert storage.save("x.txt", ContentFile(b"x")) == "x.txt"


def test_a_lost_answer_says_nothing_about_conditions_either(
    make: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    proxy.when(drop_answer)
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    assert storage.save("x.txt", ContentFile(b"x")) == "x.txt"
    assert names_in(bare, bucket) == ["x.txt"]


def test_a_key_that_may_not_delete_is_told_how_to_spare_the_trial(
    make: Make, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.when(answering(403), method="DELETE")
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    assert storage.save("x.txt", ContentFile(b"x")) == "x.txt"
    assert "set MINIO_CONDITIONAL_WRITES" in caplog.text


def test_the_setting_spares_the_question(make: Make, proxy: Proxy) -> None:
    storage = make(MINIO_ENDPOINT=proxy.endpoint, MINIO_CONDITIONAL_WRITES=False, **keys())

    assert storage.save("x.txt", ContentFile(b"x")) != "x.txt"
    assert [r.headers.get("if-none-match") for r in proxy.requests if r.method == "PUT"] == [None]


def test_replacing_writers_leave_one_of_their_contents_whole(make: Make, bare: Minio, bucket: str) -> None:
    storage = make(replace_existing=True)

    names = at_once(THREADS, lambda number: storage.save("x.bin", ContentFile(content(number, 50_000))))

    assert set(names) == {"x.bin"}
    assert names_in(bare, bucket) == ["x.bin"]
    assert stored(bare, bucket, "x.bin") in [content(number, 50_000) for number in range(THREADS)]


def test_a_reader_sees_one_version_while_writers_replace_it(make: Make) -> None:
    storage = make(replace_existing=True)
    storage.save("x.bin", ContentFile(content(0, 100_000)))
    versions = {content(number, 100_000) for number in range(4)}
    done = threading.Event()

    def write(number: int) -> None:
        while not done.is_set():
            storage.save("x.bin", ContentFile(content(number, 100_000)))

    def read(_: int) -> list[bytes]:
        try:
            return [storage.open("x.bin").read() for _ in range(60)]
        finally:
            done.set()

    results = at_once(4, lambda number: write(number) if number else read(number))

    assert set(results[0]) <= versions


def test_the_first_savers_of_a_missing_bucket_all_get_in(bare: Minio, new_name: Callable[[str], str]) -> None:
    name = new_name("first")
    storage = MinioBackend(name, public=False, MINIO_BUCKET_CHECK_ON_SAVE=True)

    names = at_once(8, lambda number: storage.save(f"{number}.txt", ContentFile(str(number))))

    assert names_in(bare, name) == names == [f"{number}.txt" for number in range(8)]


# Threads


@pytest.mark.any_server
@pytest.mark.parametrize("threads", [8, 32])
def test_threads_share_connections_and_calls_open_none(through: Make, proxy: Proxy, threads: int) -> None:
    storage = through()

    def work(number: int) -> None:
        for round_ in range(10):
            data = content(number * 100 + round_, 5000)
            name = storage.save(f"{number}/{round_}.bin", ContentFile(data))
            with storage.open(name) as file:
                assert file.read() == data
            assert storage.exists(name)

    at_once(threads, work)

    assert len(proxy.requests) == threads * 30
    assert proxy.connections <= threads


# Forks


@pytest.fixture
def files(storage: MinioBackend) -> dict[str, bytes]:
    """Saved before the fork, so that the parent has open connections."""
    contents = {f"{number}.bin": os.urandom(2000 + number) for number in range(20)}
    for name, data in contents.items():
        storage.save(name, ContentFile(data))
    return contents


def save_and_read(storage: MinioBackend, files: dict[str, bytes], label: str, rounds: int) -> None:
    for round_ in range(rounds):
        for name in (f"{round_ % 20}.bin", f"{(round_ * 7) % 20}.bin"):
            with storage.open(name) as file:
                assert file.read() == files[name], f"{name} holds other bytes"
        data = secrets.token_bytes(1000)
        name = storage.save(f"{label}/{round_}", ContentFile(data))
        assert storage.open(name).read() == data
        assert storage.exists(name)


@pytest.mark.any_server
@forks
def test_forked_children_and_their_parent_work_side_by_side(
    storage: MinioBackend, files: dict[str, bytes]
) -> None:
    parent = threading.Thread(target=save_and_read, args=(storage, files, "parent", scale(30, 80)))
    parent.start()

    in_children(6, lambda number: save_and_read(storage, files, f"child-{number}", scale(20, 60)))

    parent.join()
    save_and_read(storage, files, "after", 3)


@pytest.mark.any_server
@forks
def test_children_may_fork_under_load(storage: MinioBackend, files: dict[str, bytes]) -> None:
    """Other threads hold locks, and are in the middle of requests, when the fork comes."""
    done = threading.Event()
    errors: list[BaseException] = []

    def load(number: int) -> None:
        try:
            while not done.is_set():
                save_and_read(storage, files, f"load-{number}-{secrets.token_hex(4)}", 2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        for generation in range(5):
            in_children(4, lambda number, g=generation: save_and_read(storage, files, f"{g}-{number}", 5))
    finally:
        done.set()
        for thread in threads:
            thread.join()

    assert errors == []


@forks
def test_an_open_file_is_read_on_in_parent_and_child(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    data = os.urandom(3 * MIB)
    storage.save("x.bin", ContentFile(data))
    file = storage.open("x.bin")
    assert file.read(MIB) == data[:MIB]

    def read_on(number: int) -> None:
        assert file.read(MIB) == data[MIB : 2 * MIB]
        file.seek(number)
        assert file.read() == data[number:]
        file.close()

    in_children(4, read_on)

    assert file.read() == data[MIB:]
    file.close()


@forks
def test_a_file_that_a_child_drops_stays_open_in_the_parent(storage: MinioBackend) -> None:
    data = os.urandom(3 * MIB)
    storage.save("x.bin", ContentFile(data))
    opened = [storage.open("x.bin")]
    assert opened[0].read(MIB) == data[:MIB]

    in_children(2, lambda number: opened.clear())

    assert opened[0].read() == data[MIB:]


@forks
def test_a_child_may_drop_a_file_while_it_makes_its_client(storage: MinioBackend) -> None:
    """The garbage collector may find it just then."""
    storage.save("x.bin", ContentFile(bytes(3 * MIB)))
    opened = [storage.open("x.bin")]

    def drop(number: int) -> None:
        signal.alarm(20)
        with clients._registry._lock:
            opened.clear()

    in_children(1, drop)


@pytest.fixture
def own_pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(num_pools=5, maxsize=10, timeout=20) as pool:
        yield pool
    setting_changed.send(sender=None, setting="MINIO_HTTP_CLIENT", value=None, enter=False)


@pytest.mark.any_server
@forks
def test_a_projects_own_pool_is_not_shared_with_children(
    make: Make, files: dict[str, bytes], own_pool: urllib3.PoolManager
) -> None:
    storage = make(http_client=own_pool)
    save_and_read(storage, files, "before", 3)

    in_children(4, lambda number: save_and_read(storage, files, f"child-{number}", scale(10, 30)))

    save_and_read(storage, files, "after", 3)


@pytest.mark.any_server
@forks
def test_the_sdks_client_is_new_in_a_child(storage: MinioBackend, bucket: str) -> None:
    before = storage.client
    before.bucket_exists(bucket_name=bucket)

    def look(number: int) -> None:
        assert storage.client is not before
        assert storage.client.bucket_exists(bucket_name=bucket)

    in_children(4, look)

    assert storage.client is before


@pytest.mark.any_server
@forks
def test_a_childs_child_starts_anew_as_well(storage: MinioBackend, files: dict[str, bytes]) -> None:
    def with_child(number: int) -> None:
        save_and_read(storage, files, f"child-{number}", 3)
        in_children(2, lambda below: save_and_read(storage, files, f"child-{number}-{below}", 10))
        save_and_read(storage, files, f"child-{number}-after", 3)

    in_children(2, with_child)
