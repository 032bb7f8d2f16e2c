"""Downloads through a real server: what they hold in memory, and how they end when something else ends."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

import psutil
import pytest
import urllib3
from django import VERSION
from django.core.files.base import ContentFile
from minio import Minio
from urllib3.exceptions import HTTPError

from django_minio_router import MinioBackend
from django_minio_router.s3.reading import FIRST_RANGE
from django_minio_router.storage.asynchronous import PIECE
from tests.support.download_sites import DownloadSite, download_site
from tests.support.proxy import BLOCK, Exchange, Proxy, reset

Buckets = dict[str, bytes]
MIB = 1024 * 1024
SIZE = 16 * MIB
PATIENCE = 30  # seconds


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DownloadSite]:
    with download_site("uvicorn", tmp_path_factory.mktemp("uvicorn")) as site:
        yield site


@pytest.fixture(scope="module")
def gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DownloadSite]:
    with download_site("gunicorn", tmp_path_factory.mktemp("gunicorn")) as site:
        yield site


@pytest.fixture(params=["uvicorn-sync", "uvicorn-async", "gunicorn-sync"])
def site_and_view(request: pytest.FixtureRequest) -> tuple[DownloadSite, str]:
    server, _, view = request.param.partition("-")
    return request.getfixturevalue(server), view


@pytest.fixture
def content(storage: MinioBackend) -> bytes:
    data = secrets.token_bytes(SIZE)
    storage.save("large.bin", ContentFile(data))
    return data


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"it did not hold within {seconds} s"
        time.sleep(0.01)


def rest(answer: urllib3.BaseHTTPResponse) -> bytes:
    """Return what still comes until the connection breaks off, as it has to."""
    received = b""
    try:
        while True:
            received += answer.read1(MIB)
            assert len(received) < SIZE, "it came whole"
    except HTTPError:
        return received


def test_the_file_comes_whole(
    site_and_view: tuple[DownloadSite, str], storage: MinioBackend, content: bytes
) -> None:
    site, view = site_and_view

    answer = site.get(view, storage.bucket, "large.bin")

    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.read() == content


def test_one_request_fetches_the_file_and_the_first_byte_comes_before_the_rest(
    site_and_view: tuple[DownloadSite, str], storage: MinioBackend, content: bytes, proxy: Proxy
) -> None:
    site, view = site_and_view
    hold_the_rest(proxy, first_came := threading.Event())

    answer = site.get(view, storage.bucket, "large.bin", endpoint=proxy.endpoint)
    first = answer.read(FIRST_RANGE)
    first_came.set()

    assert first + answer.read() == content
    assert proxy.methods == ["GET"]


def hold_the_rest(proxy: Proxy, until: threading.Event) -> None:
    def wait(exchange: Exchange) -> None:
        rest = send_beginning(exchange)
        assert until.wait(PATIENCE)
        for block in rest:
            exchange.send(block)

    proxy.when(wait, method="GET")


def send_beginning(exchange: Exchange) -> Iterator[bytes]:
    """Forward the response as far as the first piece, and return the blocks of the rest."""
    answer = exchange.forward()
    exchange.send(answer.head(), count=False)
    blocks = answer.body()
    while exchange.request.sent < FIRST_RANGE:
        exchange.send(next(blocks))
    return blocks


def break_in_the_middle(proxy: Proxy, after: threading.Event) -> None:
    def end(exchange: Exchange) -> None:
        send_beginning(exchange)
        assert after.wait(PATIENCE)
        exchange.reset()

    proxy.when(end, method="GET")


def test_the_connection_to_s3_goes_with_the_visitor(
    site_and_view: tuple[DownloadSite, str], storage: MinioBackend, content: bytes, proxy: Proxy
) -> None:
    """Under ASGI although nothing more comes from S3; under WSGI as soon as the next bytes cannot be sent."""
    site, view = site_and_view
    is_asgi = site.log.name == "uvicorn.log"
    if VERSION < (5, 0) and is_asgi:
        pytest.skip("Django 4.2 does not tell a response under ASGI that the visitor went away.")
    has_left, let_go = threading.Event(), threading.Event()

    def fall_silent(exchange: Exchange) -> None:
        blocks = send_beginning(exchange)
        assert has_left.wait(PATIENCE)
        with suppress(ConnectionError):
            for block in islice(blocks, 0 if is_asgi else 4 * PIECE // BLOCK):
                exchange.send(block)
            assert exchange.client.recv(1) == b"", "the end of the connection"
        let_go.set()

    proxy.when(fall_silent, method="GET")

    answer = site.get(view, storage.bucket, "large.bin", endpoint=proxy.endpoint)
    assert answer.read(FIRST_RANGE) == content[:FIRST_RANGE]
    time.sleep(0.1)  # in which the thread comes to wait for the next bytes
    answer.close()
    left_at = time.monotonic()
    has_left.set()

    assert let_go.wait(PATIENCE), "long before MINIO_READ_TIMEOUT ends it"
    print(f"{site.log.stem}, {view}: let go after {time.monotonic() - left_at:.3f} s")


def test_a_file_that_is_replaced_breaks_off(
    site_and_view: tuple[DownloadSite, str], storage: MinioBackend, content: bytes, proxy: Proxy
) -> None:
    site, view = site_and_view
    break_in_the_middle(proxy, first_came := threading.Event())

    answer = site.get(view, storage.bucket, "large.bin", endpoint=proxy.endpoint)
    received = answer.read(FIRST_RANGE)
    replacing = MinioBackend(storage.bucket, public=False, replace_existing=True)
    replacing.save("large.bin", ContentFile(bytes(SIZE)))
    first_came.set()
    received += rest(answer)

    assert content.startswith(received), "nothing is mixed"
    wait_until(lambda: f"{storage.bucket}/large.bin broke off" in site.log.read_text())


def test_a_server_that_dies_breaks_off(
    site_and_view: tuple[DownloadSite, str], storage: MinioBackend, content: bytes, proxy: Proxy
) -> None:
    site, view = site_and_view
    break_in_the_middle(proxy, first_came := threading.Event())
    proxy.when(reset, where=lambda request: "if-match" in request.headers, times=None)

    answer = site.get(view, storage.bucket, "large.bin", endpoint=proxy.endpoint)
    received = answer.read(FIRST_RANGE)
    first_came.set()
    received += rest(answer)

    assert content.startswith(received)
    wait_until(lambda: f"{storage.bucket}/large.bin broke off" in site.log.read_text())
    assert "Signature" not in site.log.read_text()


def test_memory_does_not_grow_with_the_file(
    uvicorn: DownloadSite, storage: MinioBackend, proxy: Proxy
) -> None:
    download_and_measure(uvicorn, storage, proxy, 64 * MIB)


@pytest.mark.full_scale
def test_memory_does_not_grow_with_a_file_of_a_gibibyte(
    uvicorn: DownloadSite, storage: MinioBackend, proxy: Proxy
) -> None:
    download_and_measure(uvicorn, storage, proxy, 1024 * MIB)


def download_and_measure(site: DownloadSite, storage: MinioBackend, proxy: Proxy, size: int) -> None:
    piece = secrets.token_bytes(8 * MIB)
    with storage.open("huge.bin", "wb") as file:
        for _ in range(size // len(piece)):
            file.write(piece)
    site.get("async", storage.bucket, "huge.bin").read(MIB)  # imports and pools
    idle = reset_peak(site.process)

    hold_the_rest(proxy, until := threading.Event())
    answer = site.get("async", storage.bucket, "huge.bin", endpoint=proxy.endpoint)
    digest = hashlib.sha256(answer.read(1))
    until.set()
    for chunk in answer.stream(MIB):
        digest.update(chunk)

    expected = hashlib.sha256()
    for _ in range(size // len(piece)):
        expected.update(piece)
    assert digest.digest() == expected.digest()
    grown = peak(site.process) - idle
    print(f"{size // MIB} MiB in {proxy.methods}: the process grew by {grown / MIB:.1f} MiB")
    assert grown <= 16 * MIB


def reset_peak(process: psutil.Process) -> int:
    """Begin to measure the peak anew; return the bytes that the process holds now."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return int(process.memory_info().rss)


def peak(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_many_at_once_mix_nothing_and_take_little_memory_each(
    uvicorn: DownloadSite, buckets: Buckets
) -> None:
    download_at_once(uvicorn, buckets, 40)


@pytest.mark.full_scale
def test_two_hundred_at_once_mix_nothing_and_take_little_memory_each(
    uvicorn: DownloadSite, buckets: Buckets
) -> None:
    download_at_once(uvicorn, buckets, 200)


@pytest.fixture
def buckets(bare: Minio, new_name: Callable[[str], str]) -> Buckets:
    """The buckets of two tenants, with another file of the same name in each."""
    contents = {new_name(tenant): secrets.token_bytes(SIZE) for tenant in ("north", "south")}
    for bucket, data in contents.items():
        bare.make_bucket(bucket_name=bucket)
        MinioBackend(bucket, public=False).save("large.bin", ContentFile(data))
    return contents


def download_at_once(site: DownloadSite, buckets: Buckets, count: int) -> None:
    """Let all of them begin before any goes on, half of them for each tenant."""
    begun = threading.Barrier(count, timeout=10 * PATIENCE)
    digests = {bucket: hashlib.sha256(data).digest() for bucket, data in buckets.items()}
    names = list(buckets)
    idle = reset_peak(site.process)

    def download(number: int) -> bool:
        bucket = names[number % 2]
        answer = site.get(("sync", "async")[number // 2 % 2], bucket, "large.bin")
        digest = hashlib.sha256(answer.read(MIB))
        begun.wait()
        for chunk in answer.stream(MIB):
            digest.update(chunk)
        return digest.digest() == digests[bucket]

    with ThreadPoolExecutor(count) as threads:
        assert all(threads.map(download, range(count)))

    grown = (peak(site.process) - idle) / count
    print(f"{count} downloads at once: the process grew by {grown / MIB:.2f} MiB for each")
    assert grown <= 8 * MIB
