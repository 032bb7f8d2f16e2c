"""The server is killed in the middle of a stream of saves and reads, and comes back.

What was acknowledged is there and whole; all else failed with an error.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from tests.support.scale import scale
from tools import servers
from tools.servers.seaweedfs import SeaweedFS

from .conftest import names_in, stored

OPERATIONS = scale(500, 10_000)
KILLS = scale(1, 20)
WORKERS = 8
PART = 5 * 1024 * 1024
BUCKET = "stream"


@dataclass
class Stream:
    """Saves and reads from several threads, which wait while the server is known to be away."""

    storage: MinioBackend
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    sent: set[bytes] = field(default_factory=set)
    failed: list[Exception] = field(default_factory=list)
    is_up: threading.Event = field(default_factory=threading.Event)
    reads: int = 0
    _done: int = 0
    _progress: threading.Condition = field(default_factory=threading.Condition)

    def run(self, worker: int) -> None:
        chance = random.Random(worker)
        for number in range(OPERATIONS // WORKERS):
            self.is_up.wait()
            try:
                self.read(chance) if number % 3 == 2 else self.save(chance)
            except ServerError as error:
                self.failed.append(error)
            with self._progress:
                self._done += 1
                self._progress.notify_all()

    def save(self, chance: random.Random) -> None:
        size = PART + 1000 if chance.random() < 0.02 else chance.choice([0, 100, 20_000, 300_000])
        data = os.urandom(size)
        self.sent.add(data)
        name = self.storage.save(f"{chance.randrange(5)}/report.bin", ContentFile(data))
        assert name not in self.acknowledged
        self.acknowledged[name] = data

    def read(self, chance: random.Random) -> None:
        if self.acknowledged:
            name = chance.choice(list(self.acknowledged))
            assert self.storage.open(name).read() == self.acknowledged[name]
            self.reads += 1

    def wait_for(self, done: int) -> None:
        with self._progress:
            assert self._progress.wait_for(lambda: self._done >= done, timeout=120)

    @property
    def done(self) -> int:
        return self._done


@contextmanager
def running(server: Any) -> Iterator[tuple[MinioBackend, Minio]]:
    server.start()
    try:
        keys = {"access_key": server.access_key, "secret_key": server.secret_key}
        bare = Minio(endpoint=server.endpoint, secure=False, region="us-east-1", **keys)
        bare.make_bucket(bucket_name=BUCKET)
        yield (
            MinioBackend(
                BUCKET,
                MINIO_ENDPOINT=server.endpoint,
                MINIO_ACCESS_KEY=server.access_key,
                MINIO_SECRET_KEY=server.secret_key,
                MINIO_MULTIPART_PART_SIZE=PART,
            ),
            bare,
        )
    finally:
        server.stop()


def kill_in_the_stream(storage: MinioBackend, kill: Callable[[], None], start: Callable[[], None]) -> Stream:
    """Kill the server several times on the way. A server is started from the main thread, as it dies with
    the thread that started it."""
    stream = Stream(storage)
    stream.is_up.set()
    with ThreadPoolExecutor(WORKERS) as threads:
        workers = [threads.submit(stream.run, number) for number in range(WORKERS)]
        for number in range(1, KILLS + 1):
            stream.wait_for(OPERATIONS * number // (KILLS + 1))
            kill()
            stream.is_up.clear()
            start()
            stream.is_up.set()
        for worker in workers:
            worker.result()
    return stream


def assert_nothing_lost(stream: Stream, bare: Minio) -> None:
    assert stream.done == OPERATIONS // WORKERS * WORKERS
    assert len(stream.acknowledged) > OPERATIONS // 2
    assert stream.reads > OPERATIONS // 5
    for name, data in stream.acknowledged.items():
        assert stored(bare, BUCKET, name) == data
    for name in names_in(bare, BUCKET):
        assert stored(bare, BUCKET, name) in stream.sent, f"{name} is not whole"


@pytest.mark.any_server
def test_a_gateway_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    server = SeaweedFS(tmp_path, gateway_apart=True)
    assert server.gateway is not None
    with running(server) as (storage, bare):
        stream = kill_in_the_stream(storage, server.gateway.kill, server.gateway.start)

        assert_nothing_lost(stream, bare)


def test_a_server_that_is_killed_loses_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server: Any = servers.S3_SERVERS[request.config.getoption("--server")](tmp_path)
    with running(server) as (storage, bare):
        stream = kill_in_the_stream(storage, server.kill, server.start)

        # The gateway is back before the last repeat of a request; the whole server is not.
        assert stream.failed, "the server was killed where nobody noticed"
        assert_nothing_lost(stream, bare)
