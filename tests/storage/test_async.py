"""The async methods: as the others, with a bucket that is decided before a thread does the work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import connection
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter, RoutingError, TenantRequired, tenant_bucket_context
from django_minio_router.exceptions import ServerError
from django_minio_router.s3.reading import FIRST_RANGE
from django_minio_router.storage import asynchronous
from django_minio_router.storage.asynchronous import read_ahead
from django_minio_router.storage.signals import object_saved
from django_minio_router.strategies import FixedBucket, PerTenant
from django_minio_router.tenancy import current_key
from tests.apps.customers.models import Client
from tests.support.processes import in_children
from tests.support.proxy import Exchange, Proxy, forward, stall
from tests.support.storages import Make

LARGE = 12 * 1024 * 1024  # bytes, more than a part
PATIENCE = 30  # seconds

per_tenant = MinioRouter(strategy=PerTenant())

CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "asave": lambda storage: storage.asave("a.txt", ContentFile(b"a")),
    "aopen": lambda storage: storage.aopen("a.txt"),
    "adelete": lambda storage: storage.adelete("a.txt"),
    "aexists": lambda storage: storage.aexists("a.txt"),
    "asize": lambda storage: storage.asize("a.txt"),
    "alistdir": lambda storage: storage.alistdir(""),
    "aurl": lambda storage: storage.aurl("a.txt"),
    "aget_modified_time": lambda storage: storage.aget_modified_time("a.txt"),
}


def run(function: Callable[[], Awaitable[Any]]) -> Any:
    """Run it in an event loop of its own."""

    async def main() -> Any:
        return await function()

    return asyncio.run(main())


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, "it never held"
        time.sleep(0.01)


class Paced:
    """Content that comes piece by piece as the test says, and of which more is asked until it ends."""

    size = LARGE

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def chunks(self, chunk_size: int = 0) -> Any:
        for _ in range(LARGE // (1024 * 1024)):
            yield bytes(1024 * 1024)
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        yield b"the end"


@pytest.fixture(params=["backend", "router"])
def either(request: pytest.FixtureRequest, storage: MinioBackend) -> MinioBackend | MinioRouter:
    if request.param == "backend":
        return storage
    return MinioRouter(strategy=FixedBucket(storage.bucket, public_read=False))


def test_they_do_what_the_others_do(either: MinioBackend | MinioRouter) -> None:
    async def use() -> None:
        name = await either.asave("a.txt", ContentFile(b"one"))
        other = await either.asave("a.txt", ContentFile(b"two"), max_length=20)
        assert name == "a.txt" != other
        assert await either.aexists(name)
        assert await either.asize(name) == 3
        assert await either.aurl(name, expires=60) == either.url(name, expires=60)
        assert await either.aget_modified_time(name) == either.get_modified_time(name)
        assert await either.alistdir("") == ([], sorted([name, other]))
        async with either.aopen(other) as file:
            assert (file.name, file.size) == (other, 3)
            assert await file.aread(2) + await file.aread() == b"tw" + b"o"
        assert file.file.closed
        await either.adelete(name)
        assert not await either.aexists(name)
        with pytest.raises(FileNotFoundError):
            await either.aopen(name)

    run(use)


def test_a_file_is_read_in_chunks_or_as_text(storage: MinioBackend) -> None:
    content = bytes(range(256)) * 8192
    storage.save("a.bin", ContentFile(content))
    storage.save("a.txt", ContentFile("Zoë\n".encode()))

    async def use() -> None:
        file = await storage.aopen("a.bin")
        async with file:
            chunks = [chunk async for chunk in file.achunks(300_000)]
        assert b"".join(chunks) == content
        assert {len(chunk) for chunk in chunks[:-1]} == {300_000}
        async with storage.aopen("a.txt", "r", encoding="utf-8") as text:
            assert await text.aread() == "Zoë\n"

    run(use)


def test_writing_is_refused_with_the_way_to_do_it(storage: MinioBackend) -> None:
    with pytest.raises(ValueError, match="asave"):
        storage.aopen("a.txt", "wb")


# Whose bucket it is


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_without_a_tenant_nothing_begins(call: Callable[[Any], Awaitable[Any]]) -> None:
    with pytest.raises(TenantRequired):
        call(per_tenant)  # not even awaited


@pytest.mark.parametrize("enter", [tenant_bucket_context, tenant_context])
@pytest.mark.django_db
def test_the_bucket_is_the_one_of_where_the_call_is_made(
    enter: Callable[[Client], Any], make_tenant: Callable[[str], Client], contents: Any
) -> None:
    north, south = make_tenant("north"), make_tenant("south")

    async def save() -> None:
        with enter(north):
            one = per_tenant.asave("a.txt", ContentFile(b"of north"))
        with enter(south):
            two = per_tenant.asave("a.txt", ContentFile(b"of south"))
            await one
        await two

    run(save)

    assert contents(north.schema_name) == {"a.txt": b"of north"}
    assert contents(south.schema_name) == {"a.txt": b"of south"}


@pytest.mark.parametrize("enter", [tenant_bucket_context, tenant_context])
@pytest.mark.django_db
def test_whoever_hears_of_a_save_finds_its_tenant_active(
    enter: Callable[[Client], Any], acme: Client
) -> None:
    heard: list[str | None] = []

    def hear(**kwargs: Any) -> None:
        heard.append(current_key())

    async def save() -> None:
        with enter(acme):
            await per_tenant.asave("a.txt", ContentFile(b"a"))

    object_saved.connect(hear)
    try:
        run(save)
    finally:
        object_saved.disconnect(hear)

    assert heard == [acme.schema_name]


class ByConnection(InMemoryStorage):
    """A storage of another package, which knows the tenant from the connection alone."""

    def open(self, name: str, mode: str = "rb") -> Any:
        return ContentFile(f"{name} of {connection.schema_name}".encode())

    def exists(self, name: str) -> bool:
        return connection.schema_name == "public"

    def url(self, name: str | None) -> str:
        return f"/{connection.schema_name}/{name}"


@pytest.mark.parametrize("enter", [tenant_bucket_context, tenant_context])
@pytest.mark.django_db
def test_an_old_place_is_asked_for_the_same_tenant_in_the_thread(
    enter: Callable[[Client], Any], acme: Client
) -> None:
    moving = MinioRouter(strategy=PerTenant(), fallback=ByConnection())

    async def use() -> None:
        with enter(acme):
            async with moving.aopen("a.txt") as file:
                assert await file.aread() == f"a.txt of {acme.schema_name}".encode()
            assert not await moving.aexists("a.txt")
            assert await moving.aurl("a.txt") == f"/{acme.schema_name}/a.txt"

    run(use)


@pytest.mark.django_db
def test_a_strategy_that_asks_the_database_is_told_what_to_do() -> None:
    by_id = MinioRouter(strategy=PerTenant("media-{id}"))

    async def save() -> None:
        with tenant_bucket_context("somebody"):
            await by_id.asave("a.txt", ContentFile(b"a"))

    with pytest.raises(RoutingError, match="with the tenant's row instead of its key"):
        run(save)


def test_a_link_takes_neither_a_thread_nor_a_request(storage: MinioBackend) -> None:
    async def link() -> set[str]:
        await storage.aurl("a.txt")
        return {thread.name for thread in threading.enumerate()}

    before = {thread.name for thread in threading.enumerate()}
    assert run(link) <= before


def test_hooks_of_a_subclass_run(storage: MinioBackend) -> None:
    class Upper(MinioRouter):
        def get_available_name(self, name: str, max_length: int | None = None) -> str:
            return super().get_available_name(name.upper(), max_length)

    router = Upper(strategy=FixedBucket(storage.bucket, public_read=False))

    assert run(lambda: router.asave("a.txt", ContentFile(b"a"))) == "A.TXT"


# What is cancelled


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def leftovers(bare: Minio, bucket: str) -> list[str]:
    uploads = bare._list_multipart_uploads(bucket_name=bucket).uploads
    objects = bare.list_objects(bucket_name=bucket, recursive=True)
    return [*(str(upload.object_name) for upload in uploads), *(str(found.object_name) for found in objects)]


def test_a_save_that_is_cancelled_on_its_way_leaves_nothing(make: Make, bare: Minio) -> None:
    storage = make(MINIO_MULTIPART_PART_SIZE=5 * 1024 * 1024, MINIO_MULTIPART_THRESHOLD=5 * 1024 * 1024)
    content = Paced()

    async def use() -> None:
        task = asyncio.create_task(storage.asave("large.bin", content))
        while not content.begun.is_set():
            await asyncio.sleep(0.01)
        assert leftovers(bare, storage.bucket) == ["large.bin"], "the upload has begun"
        await cancel(task)
        content.go_on.set()

    run(use)

    wait_until(lambda: leftovers(bare, storage.bucket) == [])


def test_a_save_that_was_done_when_it_was_cancelled_is_deleted(
    proxy: Proxy, through: Make, bare: Minio
) -> None:
    storage = through()
    stored, go_on = threading.Event(), threading.Event()

    def late(exchange: Exchange) -> None:
        answer = exchange.forward()
        stored.set()
        go_on.wait(PATIENCE)
        exchange.relay(answer)

    proxy.when(late, method="PUT")

    async def use() -> None:
        task = asyncio.create_task(storage.asave("a.txt", ContentFile(b"a")))
        while not stored.is_set():
            await asyncio.sleep(0.01)
        await cancel(task)
        go_on.set()

    run(use)

    wait_until(lambda: "DELETE" in proxy.methods)
    wait_until(lambda: leftovers(bare, storage.bucket) == [])


def test_what_a_cancelled_save_replaced_is_not_deleted_with_it(
    through: Make, proxy: Proxy, contents: Any
) -> None:
    storage = through(replace_existing=True)
    storage.save("a.txt", ContentFile(b"before"))
    go_on = threading.Event()

    def late(exchange: Exchange) -> None:
        answer = exchange.forward()
        go_on.wait(PATIENCE)
        exchange.relay(answer)

    proxy.when(late, method="PUT")

    async def use() -> None:
        task = asyncio.create_task(storage.asave("a.txt", ContentFile(b"after")))
        while contents(storage.bucket)["a.txt"] != b"after":
            await asyncio.sleep(0.01)
        await cancel(task)
        go_on.set()
        assert await storage.aexists("a.txt")

    run(use)

    assert "DELETE" not in proxy.methods


def test_a_file_that_was_opened_for_nobody_is_closed(through: Make, proxy: Proxy) -> None:
    storage = through()
    storage.save("large.bin", ContentFile(bytes(LARGE)))
    opening, go_on = threading.Event(), threading.Event()

    def late(exchange: Exchange) -> None:
        opening.set()
        go_on.wait(PATIENCE)
        forward(exchange)

    proxy.when(late, method="GET")

    async def use() -> None:
        async def enter() -> None:
            async with storage.aopen("large.bin"):
                pass

        task = asyncio.create_task(enter())
        while not opening.is_set():
            await asyncio.sleep(0.01)
        await cancel(task)
        go_on.set()

    run(use)
    wait_until(lambda: proxy.requests[-1].sent == FIRST_RANGE)

    # The connection is back, and nothing of the first answer is left in it.
    before = proxy.connections
    wait_until(lambda: storage.exists("large.bin") and proxy.connections == before)
    assert storage.open("large.bin").read(5) == bytes(5)


def test_a_read_that_is_cancelled_does_not_disturb_the_next(through: Make, proxy: Proxy) -> None:
    storage = through()
    content = bytes(range(256)) * (LARGE // 256)
    storage.save("large.bin", ContentFile(content))
    proxy.when(slowly, method="GET", times=2)

    async def use() -> None:
        file = await storage.aopen("large.bin")
        for _ in range(3):
            task = asyncio.create_task(file.aread(1024 * 1024))
            await asyncio.sleep(0.01)
            await cancel(task)
        await file.aclose()
        async with storage.aopen("large.bin") as again:
            assert await again.aread() == content

    run(use)


def slowly(exchange: Exchange) -> None:
    exchange.relay(exchange.forward(), pause=lambda: time.sleep(0.005))


def test_chunks_that_nobody_reads_on_let_the_connection_go(through: Make, proxy: Proxy) -> None:
    storage = through()
    storage.save("large.bin", ContentFile(bytes(LARGE)))

    async def use() -> None:
        async with storage.aopen("large.bin") as file:
            async for _ in file.achunks():
                break

    run(use)

    wait_until(lambda: proxy.open_connections <= 1)
    assert storage.exists("large.bin")


def test_pieces_are_read_ahead_until_two_wait() -> None:
    taken: list[int] = []

    def take() -> bytes:
        taken.append(len(taken))
        if len(taken) == 7:
            raise OSError("the seventh")
        return bytes([len(taken)])

    async def use() -> None:
        pieces = read_ahead(take)
        for number in range(1, 7):
            assert await anext(pieces) == bytes([number])
            last = min(number + 2, 7)
            while len(taken) < last:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.02)
            assert len(taken) == last
        with pytest.raises(OSError, match="the seventh"):
            await anext(pieces)

    run(use)


def test_a_download_lets_others_have_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "_executor", cache(lambda: ThreadPoolExecutor(1)))

    order: list[str] = []

    def read(name: str) -> bool:
        time.sleep(0.001)  # slower than the visitor, so the thread could read on for ever
        order.append(name)
        return len(order) < 100

    async def consume(name: str) -> None:
        async for _ in read_ahead(lambda: read(name)):
            pass

    async def use() -> None:
        await asyncio.gather(consume("a"), consume("b"))

    run(use)
    assert set(order[:50]) == {"a", "b"}


def test_a_call_that_waits_for_its_turn_never_begins_if_it_is_cancelled(through: Make, proxy: Proxy) -> None:
    storage = through(MINIO_CALL_TIMEOUT=1, MINIO_READ_TIMEOUT=1, MINIO_RETRIES=0)
    proxy.when(stall, method="HEAD", times=None)

    async def use() -> None:
        waiting = [asyncio.create_task(storage.aexists("a.txt")) for _ in range(40)]
        while len(proxy.requests) < 32:
            await asyncio.sleep(0.01)
        saving = asyncio.create_task(storage.asave("a.txt", ContentFile(b"a")))
        await asyncio.sleep(0.05)
        await cancel(saving)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {ServerError}

    run(use)

    assert "PUT" not in proxy.methods


def test_a_forked_child_has_threads_of_its_own(storage: MinioBackend) -> None:
    name = run(lambda: storage.asave("a.txt", ContentFile(b"a")))

    in_children(2, lambda number: run(lambda: storage.asize(name)))


@pytest.mark.django_db(transaction=True)
def test_connections_to_the_database_are_not_left_in_threads(storage: MinioBackend) -> None:
    left: list[Any] = []

    def look(**kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        left.append(connection.connection)

    object_saved.connect(look)
    try:
        run(lambda: storage.asave("a.txt", ContentFile(b"a")))
    finally:
        object_saved.disconnect(look)

    assert [connection.closed for connection in left] == [True]
