"""``sync_object_headers``: what is stored gets the headers of today, beside other writers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.files.headers import HeaderState, HeaderSync
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import bucket_of, per_tenant, put, store  # noqa: F401
from tests.support.proxy import Exchange, Proxy, forward
from tests.support.schemas import no_other_fields, north, south, tenants, use  # noqa: F401

YEAR = "max-age=31536000"
Metadata = Callable[[str, Any], dict[str, str]]


def described(name: str, content: Any) -> dict[str, str]:
    headers = {"Cache-Control": YEAR}
    return {**headers, "first": content.read(1).decode()} if name.endswith(".md") else headers


def sync(*arguments: str) -> str:
    out = StringIO()
    try:
        call_command("sync_object_headers", *arguments, stdout=out, stderr=out)
    except CommandError as error:
        out.write(str(error))
    return out.getvalue()


@pytest.fixture
def receipts(use: Any, per_tenant: PerTenant) -> PerTenant:  # noqa: F811
    """The receipts of each tenant, stored without metadata; from now on they have some."""
    use(Receipt, MinioRouter(strategy=per_tenant))
    return per_tenant


@pytest.fixture
def described_now(use: Any, receipts: PerTenant) -> Callable[[], None]:  # noqa: F811
    return lambda: use(Receipt, MinioRouter(strategy=receipts, metadata=described))


def headers(bare: Minio, bucket: str, name: str) -> dict[str, str]:
    found = bare.stat_object(bucket_name=bucket, object_name=name)
    return {key.lower(): value for key, value in found.metadata.items()}


def test_files_get_the_headers_of_today_in_each_tenants_bucket(
    receipts: PerTenant,
    described_now: Callable[[], None],
    bare: Minio,
    north: Client,  # noqa: F811
    south: Client,  # noqa: F811
    contents: Callable[[str], dict[str, bytes]],
) -> None:
    for tenant in (north, south):
        with tenant_context(tenant):
            store(Receipt, "a.md", tenant.name.encode())
            store(Receipt, "b.bin", b"x")
    described_now()
    buckets = {tenant.name: bucket_of(receipts, tenant) for tenant in (north, south)}

    assert "2 would be changed" in sync("--tenant", north.schema_name, "--dry-run")
    assert "cache-control" not in headers(bare, buckets["north"], "a.md")

    assert "2 changed, 0 right already, 0 missing, 0 failed." in sync("--tenant", north.schema_name)
    assert "cache-control" not in headers(bare, buckets["south"], "a.md")
    found = headers(bare, buckets["north"], "a.md")
    assert (found["cache-control"], found["x-amz-meta-first"]) == (YEAR, "n")
    assert found["content-type"] == "text/markdown"
    assert headers(bare, buckets["north"], "b.bin")["content-type"] == "application/octet-stream"

    assert "2 changed, 2 right already" in sync("--all-tenants")
    assert contents(buckets["south"]) == {"a.md": b"south", "b.bin": b"x"}
    assert headers(bare, buckets["south"], "a.md")["x-amz-meta-first"] == "s"


def test_what_a_browser_declared_stays_unless_the_name_is_to_tell(
    receipts: PerTenant,
    bare: Minio,
    put: Callable[..., None],  # noqa: F811
    north: Client,  # noqa: F811
) -> None:
    bucket = bucket_of(receipts, north)
    put(bucket, "a.woff2", content_type="application/octet-stream")
    put(bucket, "b.csv.gz", content_type="text/csv", metadata={"author": "Ann"})
    with tenant_context(north):
        Receipt.objects.bulk_create([Receipt(file="a.woff2"), Receipt(file="b.csv.gz")])

    sync("--tenant", north.schema_name)
    assert headers(bare, bucket, "a.woff2")["content-type"] == "font/woff2"
    assert headers(bare, bucket, "b.csv.gz")["content-type"] == "text/csv"
    sync("--tenant", north.schema_name, "--types")
    found = headers(bare, bucket, "b.csv.gz")
    assert (found["content-type"], found["x-amz-meta-author"]) == ("application/gzip", "Ann")


@pytest.fixture
def proxy(settings: Any) -> Iterator[Proxy]:
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


@pytest.mark.parametrize("deleted", [False, True])
def test_what_is_stored_or_deleted_between_look_and_write_stays(
    bucket: str,
    settings: Any,
    proxy: Proxy,
    bare: Minio,
    put: Callable[..., None],  # noqa: F811
    contents: Callable[[str], dict[str, bytes]],
    deleted: bool,
) -> None:
    options = {"bucket_name": bucket, "public": False, "metadata": {"Cache-Control": YEAR}}
    settings.STORAGES = {
        **settings.STORAGES,
        "described": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": options},
    }
    put(bucket, "a.txt", b"first")

    def come_between(exchange: Exchange) -> None:
        if deleted:
            bare.remove_object(bucket_name=bucket, object_name="a.txt")
        else:
            put(bucket, "a.txt", b"second")
        forward(exchange)

    proxy.when(come_between, method="PUT")
    [outcome] = HeaderSync(aliases=["described"]).run(None)

    if deleted:
        assert (outcome.state, contents(bucket)) == (HeaderState.MISSING, {})
    else:
        assert (outcome.state, contents(bucket)) == (HeaderState.CHANGED, {"a.txt": b"second"})
        assert headers(bare, bucket, "a.txt")["cache-control"] == YEAR


def test_a_file_that_is_replaced_all_the_time_is_never_set_back(
    bucket: str,
) -> None:
    """SeaweedFS and MinIO compare before they copy: of copies onto itself some bring old content back."""
    writer = MinioBackend(bucket, public=False, replace_existing=True)
    stop, late = threading.Event(), list[int]()

    def sync_always() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            info = writer.objects.head("a.txt")
            try:
                writer.objects.set_headers(info, {"cache-control": f"max-age={number}"})
            except OSError:  # it came too late
                late.append(number)

    writer.save("a.txt", ContentFile(b"0"))
    threads = [threading.Thread(target=sync_always) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(60):
            content = b"%d" % number * 500
            writer.save("a.txt", ContentFile(content))
            for _ in range(3):
                with writer.open("a.txt") as file:
                    assert file.read() == content
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert late


def test_a_large_file_and_one_with_tags_are_copied_only_when_told(
    receipts: PerTenant,
    described_now: Callable[[], None],
    bare: Minio,
    north: Client,  # noqa: F811
    settings: Any,
) -> None:
    settings.MINIO_MULTIPART_PART_SIZE = 5 * 1024 * 1024
    with tenant_context(north):
        store(Receipt, "big.bin", b"x" * (5 * 1024 * 1024 + 1))
    described_now()
    bucket = bucket_of(receipts, north)
    printed = sync("--tenant", north.schema_name)
    if "VERSITYGW" not in bare.stat_object(bucket_name=bucket, object_name="big.bin").metadata["Server"]:
        assert "too many to be replaced in one" in printed
        assert "cache-control" not in headers(bare, bucket, "big.bin")
        assert "1 changed" in sync("--tenant", north.schema_name, "--server-copy")
    assert headers(bare, bucket, "big.bin")["cache-control"] == YEAR


def test_wrong_names_are_told(receipts: PerTenant) -> None:
    assert "No model docs.nothing stores in a bucket" in sync("--model", "docs.Nothing")
    assert "STORAGES['elsewhere'] is not a storage of this package" in sync_elsewhere()


def sync_elsewhere() -> str:
    from django.conf import settings
    from django.test import override_settings

    elsewhere = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    with override_settings(STORAGES={**settings.STORAGES, "elsewhere": elsewhere}):
        return sync("--storage", "elsewhere")
