"""Moving, orphans, quota and purge in a project's tests: the same in memory and in buckets of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import call_command
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.s3.own_buckets import remove_test_buckets
from django_minio_router.settings import testing
from django_minio_router.settings.testing import prefix_of_tests
from django_minio_router.strategies import PerTenant
from django_minio_router.testing import memory_files
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import refer, store

Buckets = Callable[[], dict[str, dict[str, bytes]]]


@pytest.fixture(params=["memory", "prefix"], autouse=True)
def mode(request: pytest.FixtureRequest, settings, monkeypatch, minio_memory: None) -> Iterator[str]:
    monkeypatch.setattr(testing, "servers_hold_only_tests", False)
    settings.MINIO_TESTING = request.param
    if request.param == "memory":
        settings.MINIO_ENDPOINT = "127.0.0.1:9"  # nothing listens there
    yield request.param
    remove_test_buckets()


@pytest.fixture
def buckets(mode: str, minio_buckets: Buckets, bare: Minio, contents) -> Buckets:
    """Return a function that returns what is stored, with the names that the project gives its buckets."""

    def on_the_server() -> dict[str, dict[str, bytes]]:
        prefix = prefix_of_tests()
        own = [bucket.name for bucket in bare.list_buckets() if bucket.name.startswith(prefix)]
        return {name.removeprefix(prefix): contents(name) for name in own}

    return minio_buckets if mode == "memory" else on_the_server


@pytest.fixture
def per_tenant(use) -> None:
    use(Receipt, MinioRouter(strategy=PerTenant("media-{schema_name}")))


@pytest.fixture
def stored(buckets: Buckets, north: Client, south: Client) -> Callable[[], list[dict[str, bytes]]]:
    """Return a function that returns what the two tenants have."""

    def stored() -> list[dict[str, bytes]]:
        found = buckets()
        return [found.get(f"media-{tenant.schema_name}", {}) for tenant in (north, south)]

    return stored


def test_files_are_moved_and_taken_from_where_they_were(
    per_tenant: None, north: Client, south: Client, stored, buckets: Buckets
) -> None:
    old = MinioBackend("old", public=False)
    for tenant in (north, south):
        name = old.save(f"{tenant.name}.txt", ContentFile(tenant.name.encode()))
        with tenant_context(tenant):
            refer(Receipt, name)

    command = ["move_objects", "--from", "old", "--model", "per_tenant.Receipt", "--all-tenants"]
    call_command(*command, "--delete-source", interactive=False, stdout=StringIO())

    assert stored() == [{"north.txt": b"north"}, {"south.txt": b"south"}]
    assert buckets()["old"] == {}


def test_orphans_are_removed_and_files_of_rows_stay(
    per_tenant: None, north: Client, south: Client, stored, clean
) -> None:
    for tenant in (north, south):
        with tenant_context(tenant):
            store(Receipt, "kept.txt")
            Receipt._meta.get_field("file").storage.save("orphan.txt", ContentFile(b"lost"))

    clean("--all-tenants")

    assert stored() == [{"kept.txt": b"kept"}, {"kept.txt": b"kept"}]


def test_a_quota_holds(per_tenant: None, north: Client, south: Client, settings, stored) -> None:
    settings.MINIO_QUOTA = lambda tenant: 10 if tenant == north else None
    with tenant_context(north):
        store(Receipt, "first.txt", b"x" * 8)
        with pytest.raises(ValidationError):
            store(Receipt, "second.txt", b"x" * 8)
    with tenant_context(south):
        store(Receipt, "large.txt", b"x" * 80)

    assert [sum(map(len, files.values())) for files in stored()] == [8, 80]


def test_a_purge_removes_one_tenant_and_no_other(
    per_tenant: None, north: Client, south: Client, buckets: Buckets
) -> None:
    for tenant in (north, south):
        with tenant_context(tenant):
            store(Receipt, "file.txt")

    call_command("purge_tenant", north.schema_name, interactive=False, stdout=StringIO())

    assert f"media-{north.schema_name}" not in buckets()
    assert buckets()[f"media-{south.schema_name}"] == {"file.txt": b"kept"}


def test_a_quota_forgets_the_files_of_the_test_before(
    per_tenant: None, north: Client, settings, mode: str
) -> None:
    settings.MINIO_QUOTA = lambda tenant: 10
    if mode == "prefix":
        return  # files stay until the end of the run
    for _ in range(2):
        with memory_files(), tenant_context(north):
            store(Receipt, "file.txt", b"x" * 8)
