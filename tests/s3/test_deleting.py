"""A deletion whose answer is lost, while another client stores something under the name that became free."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from tests.support.proxy import Action, Exchange, Proxy, answering, reset
from tests.support.server import names_in, stored
from tests.support.storages import Make

NEW = b"of another writer"


def after(store: Callable[[], object], status: int | None = None) -> Action:
    """Let the server delete, let another client store something, and lose the answer."""

    def action(exchange: Exchange) -> None:
        for _ in exchange.forward().body():
            pass
        store()
        if status is None:
            exchange.reset()
        answering(status)(exchange)

    return action


@pytest.fixture
def other(bucket: str) -> MinioBackend:
    """Another client of the same bucket."""
    return MinioBackend(bucket, public=False)


@pytest.mark.parametrize("status", [None, 500, 504], ids=["connection lost", "500", "504"])
@pytest.mark.parametrize("content", [NEW, b"old"], ids=["other content", "the same content"])
def test_what_another_writer_stores_under_the_freed_name_stays(
    through: Make, proxy: Proxy, other: MinioBackend, status: int | None, content: bytes
) -> None:
    storage = through()
    other.save("x.txt", ContentFile(b"old"))
    proxy.when(after(lambda: other.save("x.txt", ContentFile(content)), status), method="DELETE")

    storage.delete("x.txt")

    assert other.open("x.txt").read() == content
    assert proxy.methods == ["DELETE", "HEAD"]


def test_what_a_stranger_stores_meanwhile_stays_and_the_doubt_is_told(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    """Only times tell whether it is new, and they have whole seconds."""
    storage = through()
    storage.save("x.txt", ContentFile(b"old"))

    def store() -> None:
        bare.put_object(bucket_name=bucket, object_name="x.txt", data=BytesIO(NEW), length=len(NEW))

    proxy.when(after(store), method="DELETE")

    with pytest.raises(ServerError, match=r"unknown whether 'x\.txt' .* was deleted"):
        storage.delete("x.txt")
    assert stored(bare, bucket, "x.txt") == NEW


@pytest.mark.parametrize("failure", [reset, answering(503)], ids=["connection lost", "503"])
def test_what_was_there_before_is_deleted_by_the_repeat(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, failure: Action
) -> None:
    storage = through()
    storage.save("x.txt", ContentFile(b"old"))
    proxy.forget()
    proxy.when(failure, method="DELETE", times=2)

    storage.delete("x.txt")

    assert names_in(bare, bucket) == []
    assert proxy.methods == ["DELETE", "HEAD", "DELETE", "HEAD", "DELETE"]


def test_a_strangers_file_of_some_seconds_ago_is_deleted_by_the_repeat(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare.put_object(bucket_name=bucket, object_name="x.txt", data=BytesIO(b"old"), length=3)
    written = time.monotonic()
    storage = through()
    while time.monotonic() < written + 7:  # what is waited for is that time passes
        time.sleep(0.2)
    proxy.when(reset, method="DELETE")

    storage.delete("x.txt")

    assert names_in(bare, bucket) == []


def test_a_version_that_was_seen_is_the_only_one_that_a_repeat_deletes(
    through: Make, proxy: Proxy, other: MinioBackend
) -> None:
    objects = through().objects
    other.save("x.txt", ContentFile(b"old"))
    tag = objects.head("x.txt").etag
    proxy.when(after(lambda: other.save("x.txt", ContentFile(b"old"))), method="DELETE")

    objects.delete("x.txt", if_match=tag)

    assert other.open("x.txt").read() == b"old"


def test_a_deletion_that_finds_nothing_after_a_lost_answer_is_done(
    through: Make, proxy: Proxy, other: MinioBackend
) -> None:
    storage = through(MINIO_RETRIES=0)
    other.save("x.txt", ContentFile(b"old"))
    proxy.when(after(lambda: None), method="DELETE")

    storage.delete("x.txt")

    assert not other.exists("x.txt")
