"""Moving, orphans, quota and purge on files in memory: what a project's tests can do without a server."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import call_command
from django_tenants.utils import tenant_context

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import refer, store

Buckets = Callable[[], dict[str, dict[str, bytes]]]


@pytest.fixture(autouse=True)
def in_memory(settings, minio_memory: None) -> None:
    settings.MINIO_TESTING = "memory"
    settings.MINIO_ENDPOINT = "127.0.0.1:9"  # nothing listens there


@pytest.fixture
def per_tenant(use) -> None:
    use(Receipt, MinioRouter(strategy=PerTenant("media-{schema_name}")))


@pytest.fixture
def stored(minio_buckets: Buckets, north: Client, south: Client) -> Callable[[], list[dict[str, bytes]]]:
    """Return a function that returns what the two tenants have."""

    def stored() -> list[dict[str, bytes]]:
        buckets = minio_buckets()
        return [buckets.get(f"media-{tenant.schema_name}", {}) for tenant in (north, south)]

    return stored


def test_files_are_moved_and_taken_from_where_they_were(
    per_tenant: None, north: Client, south: Client, stored, minio_buckets: Buckets
) -> None:
    old = MinioBackend("old", public=False)
    for tenant in (north, south):
        name = old.save(f"{tenant.name}.txt", ContentFile(tenant.name.encode()))
        with tenant_context(tenant):
            refer(Receipt, name)

    command = ["move_objects", "--from", "old", "--model", "per_tenant.Receipt", "--all-tenants"]
    call_command(*command, "--delete-source", interactive=False, stdout=StringIO())

    assert stored() == [{"north.txt": b"north"}, {"south.txt": b"south"}]
    assert minio_buckets()["old"] == {}


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
    per_tenant: None, north: Client, south: Client, minio_buckets: Buckets
) -> None:
    for tenant in (north, south):
        with tenant_context(tenant):
            store(Receipt, "file.txt")

    call_command("purge_tenant", north.schema_name, interactive=False, stdout=StringIO())

    assert f"media-{north.schema_name}" not in minio_buckets()
    assert minio_buckets()[f"media-{south.schema_name}"] == {"file.txt": b"kept"}
