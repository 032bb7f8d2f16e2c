"""Processes that share a cache tell each other that a server keeps conditions, and overwrite nothing if that
changes."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.s3 import conditions
from tests.support.processes import in_children
from tests.support.proxy import Exchange, Proxy, answering, without
from tests.support.server import names_in, stored
from tests.support.storages import Make, keys

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

TRIAL = ["PUT", "PUT", "DELETE"]


@pytest.fixture
def storage(settings: Any, tmp_path: Path, make: Make, proxy: Proxy) -> MinioBackend:
    """A storage that no process has saved with yet; all of them have one cache."""
    files = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"default": {"BACKEND": files, "LOCATION": tmp_path / "cache"}}
    return make(MINIO_ENDPOINT=proxy.endpoint, **keys())


def save_in_a_new_process(storage: MinioBackend, *names: str, count: int = 1) -> None:
    """Let new processes save these names, each with its own number as the content of the last."""

    def save(number: int) -> None:
        for name in names:
            storage.save(name, ContentFile(f"{number}".encode()))

    in_children(count, save)


def test_one_process_tries_and_the_others_ask_once(storage: MinioBackend, proxy: Proxy) -> None:
    save_in_a_new_process(storage, "a.txt")
    assert proxy.methods == [*TRIAL, "PUT"]
    for name in "b.txt", "c.txt":
        proxy.forget()
        save_in_a_new_process(storage, name, f"{name}.2")
        assert proxy.methods == ["HEAD", "PUT", "PUT"], "one request more than later saves"


def test_processes_that_were_told_get_a_name_each(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    save_in_a_new_process(storage, "a.txt")
    save_in_a_new_process(storage, "x.txt", count=8)

    names = names_in(bare, bucket)
    assert "x.txt" in names
    assert sorted(stored(bare, bucket, name) for name in names if name != "a.txt") == [
        f"{number}".encode() for number in range(8)
    ]


def of_another_server(exchange: Exchange) -> None:
    """Answer as a server does that ignores conditions, and has another name."""
    exchange.message.set("If-None-Match", None)
    answer = exchange.forward()
    answer.set("Server", "Another/1.0")
    exchange.relay(answer)


def test_another_server_at_the_address_is_tried_before_anything_is_written(
    storage: MinioBackend, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    save_in_a_new_process(storage, "a.txt")
    proxy.when(of_another_server, times=None)
    save_in_a_new_process(storage, "x.txt", count=8)

    names = names_in(bare, bucket)
    assert "x.txt" not in names, "where conditions are ignored, each name is random"
    assert len(names) == 1 + 8


def without_a_name(exchange: Exchange) -> None:
    answer = exchange.forward()
    answer.set("Server", None)
    exchange.relay(answer)


def test_a_server_without_a_name_is_tried_by_each_process(storage: MinioBackend, proxy: Proxy) -> None:
    """Another one at its address could not be told from it."""
    proxy.when(without_a_name, times=None)
    for name in "a.txt", "b.txt":
        save_in_a_new_process(storage, name)
    assert proxy.methods == [*TRIAL, "PUT"] * 2


def test_a_taken_name_is_never_trusted_to_what_was_told(
    storage: MinioBackend, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    """A front of the same name drops the condition: what is there already stays."""
    bare.put_object(bucket_name=bucket, object_name="a.txt", data=ContentFile(b"first"), length=5)
    save_in_a_new_process(storage, "b.txt")
    proxy.when(without("If-None-Match"), times=None)
    save_in_a_new_process(storage, "a.txt", "b.txt")

    assert stored(bare, bucket, "a.txt") == b"first"
    assert stored(bare, bucket, "b.txt") == b"0"
    assert len(names_in(bare, bucket)) == 4


def test_what_was_told_is_forgotten_and_what_was_tried_is_not(
    storage: MinioBackend, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_in_a_new_process(storage, "a.txt")
    now = time.time()

    def save(number: int) -> None:
        for name, later in ("b.txt", now), ("c.txt", now + 2 * 3600), ("d.txt", now + 4 * 3600):
            monkeypatch.setattr(conditions, "time", SimpleNamespace(time=partial(float, later)))
            storage.save(name, ContentFile(b"x"))

    proxy.forget()
    in_children(1, save)
    assert proxy.methods == ["HEAD", "PUT", *TRIAL, "PUT", "PUT"]


def test_a_server_that_keeps_none_is_tried_by_each_process(storage: MinioBackend, proxy: Proxy) -> None:
    for _ in range(2):
        proxy.forget()
        proxy.when(without("If-None-Match"), times=None)
        save_in_a_new_process(storage, "a.txt")
        assert proxy.methods[:3] == TRIAL


def test_a_key_that_may_not_look_makes_its_own_trial(storage: MinioBackend, proxy: Proxy) -> None:
    save_in_a_new_process(storage, "a.txt")
    proxy.forget()
    proxy.when(answering(403), method="HEAD", times=None)
    save_in_a_new_process(storage, "b.txt")
    assert proxy.methods == ["HEAD", *TRIAL, "PUT"]


def test_a_cache_that_is_not_there_keeps_no_file_from_being_saved(
    storage: MinioBackend, settings: Any, proxy: Proxy, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": tmp_path / "file" / "cache"}}
    save_in_a_new_process(storage, "a.txt")
    assert proxy.methods == [*TRIAL, "PUT"]


@pytest.mark.django_db
def test_a_cache_in_the_database_has_no_part_in_the_transaction_of_a_save(
    storage: MinioBackend, settings: Any, proxy: Proxy
) -> None:
    in_database = "django.core.cache.backends.db.DatabaseCache"
    settings.CACHES = {"default": {"BACKEND": in_database, "LOCATION": "no_such_table"}}
    with transaction.atomic():
        storage.save("a.txt", ContentFile(b"x"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert proxy.methods == [*TRIAL, "PUT"]
