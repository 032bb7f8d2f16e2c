"""A folder for each tenant in one bucket: no call leaves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
import urllib3
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioRouter, RoutingError, TenantRequired, tenant_bucket_context
from django_minio_router.strategies import Location, PerTenantPrefix
from tests.apps.customers.models import Client

Contents = Callable[[str], dict[str, bytes]]


@pytest.fixture
def router(bucket: str) -> MinioRouter:
    return MinioRouter(strategy=PerTenantPrefix(bucket, public="everybody"))


def test_the_same_name_of_two_tenants_is_two_objects(
    router: MinioRouter, bucket: str, north: Client, south: Client, contents: Contents
) -> None:
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            assert router.save("a/report.txt", ContentFile(tenant.name.encode())) == "a/report.txt"

    assert contents(bucket) == {
        f"{north.schema_name}/a/report.txt": b"north",
        f"{south.schema_name}/a/report.txt": b"south",
    }


def test_every_call_stays_in_the_folder(router: MinioRouter, north: Client, south: Client) -> None:
    with tenant_bucket_context(south):
        router.save("secret.txt", ContentFile(b"south"))
    with tenant_bucket_context(north):
        assert not router.exists("secret.txt")
        assert router.listdir("") == ([], [])
        with pytest.raises(FileNotFoundError):
            router.open("secret.txt")
        router.delete("secret.txt")
        router.save("mine/own.txt", ContentFile(b"north"))
        assert router.listdir("") == (["mine"], [])
        assert router.listdir("mine") == ([], ["own.txt"])
        assert router.size("mine/own.txt") == 5
        assert router.backend.stat("mine/own.txt").size == 5
        assert urllib3.request("GET", router.url("mine/own.txt")).data == b"north"
    with tenant_bucket_context(south):
        assert router.open("secret.txt").read() == b"south"


@pytest.mark.parametrize("escape", ["../{}/secret.txt", "x/../../{}/secret.txt", "..", "./x"])
def test_no_name_leaves_the_folder(router: MinioRouter, north: Client, south: Client, escape: str) -> None:
    name = escape.format(south.schema_name)
    content = ContentFile(b"x")
    calls: list[Callable[[], object]] = [
        lambda: router.open(name),
        lambda: router.exists(name),
        lambda: router.size(name),
        lambda: router.url(name),
        lambda: router.delete(name),
        lambda: router.listdir(name),
        lambda: router.get_modified_time(name),
        lambda: router.save(name, content),
    ]
    with tenant_bucket_context(north):
        for call in calls:
            with pytest.raises(SuspiciousFileOperation):
                call()


def test_a_name_may_not_grow_over_the_limit_with_its_folder(router: MinioRouter, north: Client) -> None:
    with tenant_bucket_context(north), pytest.raises(SuspiciousFileOperation, match="1024"):
        router.save("x" * 1020, ContentFile(b"x"))


def test_without_a_tenant_the_public_folder_is_used_only_where_one_is_given(db, bucket: str) -> None:
    assert PerTenantPrefix(bucket, public="everybody").bucket_for(None) == Location(
        bucket, prefix="everybody/"
    )
    with pytest.raises(TenantRequired):
        PerTenantPrefix(bucket).bucket_for(None)


def test_a_tenant_cannot_be_named_like_the_public_folder(db, bucket: str) -> None:
    strategy = PerTenantPrefix(bucket, public="everybody")
    with tenant_bucket_context("everybody"), pytest.raises(RoutingError, match="and to public"):
        strategy.bucket_for(None)


def test_the_one_bucket_is_known_without_a_tenant(bucket: str, bare: Minio) -> None:
    assert list(PerTenantPrefix(bucket).buckets_for([])) == [bucket]


def test_a_name_may_be_a_path_and_nothing_else(router: MinioRouter, north: Client) -> None:
    path = PurePosixPath("a") / "x.txt"
    with tenant_bucket_context(north):
        assert router.save(path, ContentFile(b"here")) == "a/x.txt"
        assert router.exists(path)
        assert router.url(path) == router.url("a/x.txt")
        for call in (router.exists, router.url, router.open, router.delete):
            with pytest.raises(SuspiciousFileOperation, match="is not an object name"):
                call(7)  # type: ignore[arg-type,operator]
