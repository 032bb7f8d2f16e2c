"""``bucket_usage`` counts what each tenant stores, by bucket and model."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django_tenants.utils import schema_context, tenant_context
from minio import Minio

from django_minio_router import MinioRouter, tenant_bucket_context
from django_minio_router.files import usage
from django_minio_router.files.usage import places_and_bytes
from django_minio_router.strategies import PerTenantPrefix
from tests.apps.brands.models import Brand
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Photo
from tests.support.schemas import make_schema

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNiAAAABgADNjd8qAAAAABJRU5ErkJggg=="
)
Rows = Callable[..., list[dict[str, Any]]]


def put(bare: Minio, bucket: str, name: str, size: int) -> None:
    bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"x" * size), length=size)


def run(*arguments: str, **options: object) -> str:
    out = StringIO()
    call_command("bucket_usage", *arguments, **options, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def rows() -> Rows:
    """Return a function that runs the command and returns what it prints of one bucket, as JSON."""

    def rows(bucket: str, *arguments: str) -> list[dict[str, Any]]:
        printed = json.loads(run(*arguments, "--format", "json"))
        return [row for row in printed if row["bucket"] == bucket]

    return rows


@pytest.fixture(autouse=True)
def buckets(bare: Minio, north: Client, south: Client) -> None:
    """The strategies of the test project give each tenant this bucket, beside that of its brands."""
    for tenant in (north, south):
        bare.make_bucket(bucket_name=tenant.schema_name)


@pytest.fixture
def schema(north: Client) -> Client:
    """A tenant with tables of its own."""
    make_schema(north)
    return north


def test_objects_and_bytes_of_each_tenant_and_bucket(
    rows: Rows, north: Client, south: Client, bare: Minio
) -> None:
    put(bare, north.schema_name, "a/b.txt", 10)
    put(bare, north.schema_name, "c.txt", 5)
    put(bare, south.schema_name, "a/b.txt", 7)

    [of_north] = rows(north.schema_name, "--all-tenants")
    [of_south] = rows(south.schema_name, "--all-tenants")

    assert of_north == {
        "tenant": north.schema_name,
        "bucket": north.schema_name,
        "folder": "",
        "model": "",
        "objects": 2,
        "bytes": 15,
    }
    assert (of_south["tenant"], of_south["objects"], of_south["bytes"]) == (south.schema_name, 1, 7)


def test_only_the_named_tenants_are_counted(rows: Rows, north: Client, south: Client) -> None:
    assert rows(north.schema_name, "--tenant", north.schema_name)
    assert not rows(south.schema_name, "--tenant", north.schema_name)


def test_models_that_share_a_bucket_are_told_apart_by_their_rows(
    rows: Rows, schema: Client, bare: Minio
) -> None:
    with tenant_context(schema):
        Contract.objects.create(file=ContentFile(b"12345", name="contract.pdf"))
        Contract.objects.create(file=ContentFile(b"123", name="second.pdf"))
        Photo.objects.create(image=ContentFile(PNG, name="photo.png"))
    put(bare, schema.schema_name, "nobody's.txt", 100)

    found = rows(schema.schema_name, "--tenant", schema.schema_name)

    counts = {row["model"]: (row["objects"], row["bytes"]) for row in found}
    assert counts == {"docs.Contract": (2, 8), "docs.Photo": (1, len(PNG)), "": (1, 100)}


def test_rows_are_asked_for_a_page_at_a_time(
    rows: Rows, schema: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "_PAGE", 3)
    with tenant_context(schema):
        for number in range(7):
            Contract.objects.create(file=ContentFile(b"1", name=f"{number}.pdf"))

    [row] = rows(schema.schema_name, "--tenant", schema.schema_name)

    assert (row["model"], row["objects"]) == ("docs.Contract", 7)


def test_rows_of_public_that_belong_to_a_tenant_are_counted_for_it(rows: Rows, north: Client) -> None:
    Brand.objects.create(company=north, logo=ContentFile(PNG, name="logo.png"))

    [row] = rows(f"test-brands-{north.schema_name}", "--tenant", north.schema_name)

    assert (row["model"], row["objects"], row["bytes"]) == ("brands.Brand", 1, len(PNG))


def test_a_bucket_of_one_model_is_its_own_without_a_query(
    rows: Rows, bare: Minio, django_assert_num_queries: Any
) -> None:
    if not bare.bucket_exists(bucket_name="test-docs-reports"):
        bare.make_bucket(bucket_name="test-docs-reports")
    put(bare, "test-docs-reports", "a.txt", 3)

    with schema_context("public"), django_assert_num_queries(0):
        [row] = rows("test-docs-reports")

    assert (row["tenant"], row["model"]) == ("", "docs.Report")
    assert row["bytes"] >= 3


def test_folders_of_a_shared_bucket_are_counted_one_by_one_and_once(
    rows: Rows, north: Client, south: Client, bare: Minio, bucket: str, settings: Any
) -> None:
    strategy = PerTenantPrefix(bucket)
    settings.MINIO_PRIVATE_BUCKETS = [strategy]
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            MinioRouter(strategy=strategy).save("a.txt", ContentFile(tenant.name.encode()))

    found = rows(bucket, "--all-tenants")

    assert [(row["tenant"], row["folder"], row["bytes"]) for row in found] == [
        (tenant.schema_name, f"{tenant.schema_name}/", 5) for tenant in (north, south)
    ]


def test_a_bucket_that_does_not_exist_is_empty(rows: Rows, north: Client, bare: Minio) -> None:
    bare.remove_bucket(bucket_name=north.schema_name)

    [row] = rows(north.schema_name, "--tenant", north.schema_name)

    assert (row["objects"], row["bytes"]) == (0, 0)


def test_without_an_option_it_is_about_the_active_tenant(rows: Rows, north: Client, south: Client) -> None:
    with tenant_context(north):
        assert rows(north.schema_name)
        assert not rows(south.schema_name)


def test_the_table_ends_with_the_sum(north: Client, bare: Minio) -> None:
    put(bare, north.schema_name, "a.txt", 10)
    put(bare, f"test-brands-{north.schema_name}", "a.txt", 3)

    *_, last = run("--tenant", north.schema_name, "--bytes").splitlines()

    assert last.split() == ["in", "all", "2", "13"]


def test_the_table_is_for_people(north: Client, bare: Minio) -> None:
    put(bare, north.schema_name, "a.txt", 2048)

    *_, last = run("--tenant", north.schema_name).splitlines()

    assert last.split(maxsplit=3) == ["in", "all", "1", "2.0\xa0KB"]


def test_without_a_tenant_it_says_what_is_not_counted(north: Client) -> None:
    assert "--all-tenants" in run()
    assert "--all-tenants" not in run("--all-tenants")
    assert "--all-tenants" not in run("--tenant", north.schema_name)
    with tenant_context(north):
        assert "--all-tenants" not in run()


def test_csv_has_a_header_and_the_same_rows(north: Client, bare: Minio) -> None:
    put(bare, north.schema_name, "a.txt", 10)

    printed = csv.DictReader(StringIO(run("--tenant", north.schema_name, "--format", "csv")))

    assert {row["bucket"]: row["bytes"] for row in printed} == {
        north.schema_name: "10",
        f"test-brands-{north.schema_name}": "0",
    }


def test_json_without_rows_is_json(monkeypatch: pytest.MonkeyPatch, north: Client) -> None:
    monkeypatch.setattr(usage.UsageReport, "places", lambda self, tenant: [])

    assert json.loads(run("--tenant", north.schema_name, "--format", "json")) == []


def test_a_place_that_cannot_be_read_is_named_and_the_others_are_counted(
    north: Client, bare: Minio, settings: Any
) -> None:
    settings.MINIO_SECRET_KEY = "not the key"
    out = StringIO()
    with pytest.raises(CommandError, match="2 places could not be read"):
        call_command("bucket_usage", tenants=[north.schema_name], stdout=out, stderr=out)

    assert f"{north.schema_name}: The S3 server" in out.getvalue()


def test_an_unknown_tenant_is_refused() -> None:
    out = StringIO()
    with pytest.raises(CommandError, match="no tenant nobody"):
        call_command("bucket_usage", "--tenant", "nobody", stdout=out)
    assert out.getvalue() == ""


def test_the_sum_of_a_tenant(north: Client, south: Client, bare: Minio) -> None:
    put(bare, north.schema_name, "a.txt", 10)
    put(bare, f"test-brands-{north.schema_name}", "a.txt", 3)
    put(bare, south.schema_name, "a.txt", 100)

    places, size = places_and_bytes(north)
    assert {place.bucket for place in places} == {north.schema_name, f"test-brands-{north.schema_name}"}
    assert size == 13


def test_a_tenant_that_gets_no_bucket_stops_nobody_else(
    rows: Rows, north: Client, south: Client, bare: Minio, settings: Any
) -> None:
    settings.MINIO_PRIVATE_BUCKETS = [south.schema_name]
    put(bare, north.schema_name, "a.txt", 3)

    [row] = rows(north.schema_name, "--all-tenants")
    [shared] = rows(south.schema_name, "--all-tenants")

    assert (row["tenant"], row["bytes"]) == (north.schema_name, 3)
    assert shared["tenant"] == ""
