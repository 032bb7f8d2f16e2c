"""``object_saved``, ``object_deleted`` and ``object_moved``: told after the fact, and never in the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.dispatch import Signal
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.exceptions import ServerError
from django_minio_router.storage.fallback import MovingBackend
from django_minio_router.storage.signals import object_deleted, object_saved
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.support.processes import in_children
from tests.support.proxy import Proxy, answering
from tests.support.storages import Make


@contextmanager
def heard(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """Keep what the signal says."""
    told: list[dict[str, Any]] = []

    def hear(signal: Signal, sender: type, **said: Any) -> None:
        told.append(said)

    signal.connect(hear)
    try:
        yield told
    finally:
        signal.disconnect(hear)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_does_not_wait_for_the_thread_that_read_the_receivers_at_the_fork(minio_memory: None) -> None:
    storage = MinioBackend("papers", public=False, MINIO_ENDPOINT="memory:")

    def work(number: int) -> None:
        storage.save("a.txt", ContentFile(b"hello"))
        storage.delete("a.txt")
        assert (len(saved), len(deleted)) == (1, 1)

    with (
        heard(object_saved) as saved,
        heard(object_deleted) as deleted,
        object_saved.lock,
        object_deleted.lock,
    ):
        in_children(1, work)


def test_a_file_that_is_stored(storage: MinioBackend) -> None:
    with heard(object_saved) as told:
        storage.save("a.txt", ContentFile(b"hello"))
        second = storage.save("a.txt", ContentFile(b"other!"))

    said = {"storage": storage, "bucket": storage.bucket, "tenant": None}
    assert told == [{**said, "name": "a.txt", "size": 5}, {**said, "name": second, "size": 6}]


def test_a_file_that_is_deleted(storage: MinioBackend) -> None:
    storage.save("a.txt", ContentFile(b"hello"))

    with heard(object_deleted) as told:
        storage.delete("a.txt")

    assert told == [
        {"storage": storage, "bucket": storage.bucket, "name": "a.txt", "size": None, "tenant": None}
    ]


def test_a_call_that_fails_is_not_told(through: Make, proxy: Proxy) -> None:
    storage = through(MINIO_RETRIES=0)
    proxy.when(answering(503), times=None)

    with heard(object_saved) as saved, heard(object_deleted) as deleted:
        with pytest.raises(ServerError):
            storage.save("a.txt", ContentFile(b"hello"))
        with pytest.raises(ServerError):
            storage.delete("a.txt")

    assert saved == deleted == []


@pytest.mark.parametrize("signal", [object_saved, object_deleted])
def test_a_receiver_that_raises_breaks_nothing(
    signal: Signal, storage: MinioBackend, contents: Callable[[str], dict[str, bytes]]
) -> None:
    def fail(**said: Any) -> None:
        raise ValueError("a receiver failed")

    signal.connect(fail)
    try:
        assert storage.save("a.txt", ContentFile(b"hello")) == "a.txt"
        storage.delete("b.txt")
    finally:
        signal.disconnect(fail)

    assert contents(storage.bucket) == {"a.txt": b"hello"}


def test_a_router_tells_the_tenant_and_its_bucket_once(acme: Client, bare: Minio) -> None:
    router = MinioRouter(strategy=PerTenant())

    with heard(object_saved) as saved, heard(object_deleted) as deleted, tenant_context(acme):
        router.save("a.txt", ContentFile(b"hello"))
        router.delete("a.txt")

    assert [(said["bucket"], said["tenant"], said["size"]) for said in saved + deleted] == [
        (acme.schema_name, acme.schema_name, 5),
        (acme.schema_name, acme.schema_name, None),
    ]


def test_a_router_that_acts_for_a_tenant_tells_that_one(acme: Client) -> None:
    router = MinioRouter(strategy=PerTenant()).on_behalf_of(acme)

    with heard(object_saved) as saved, heard(object_deleted) as deleted:
        router.save("a.txt", ContentFile(b"hello"))
        router.delete("a.txt")

    assert [said["tenant"] for said in saved + deleted] == [acme.schema_name] * 2


def test_a_file_that_only_its_mark_keeps_away_is_deleted_too(
    storage: MinioBackend, bare: Minio, new_name: Callable[[str], str]
) -> None:
    old = MinioBackend(new_name("old"), public=False)
    bare.make_bucket(bucket_name=old.bucket)
    old.save("a.txt", ContentFile(b"hello"))

    with heard(object_deleted) as told:
        MovingBackend(storage, old).delete("a.txt")
        MovingBackend(storage, old).delete("b.txt")

    assert [(said["bucket"], said["name"]) for said in told] == [
        (storage.bucket, "a.txt"),
        (storage.bucket, "b.txt"),
    ]
