"""What a browser would run is downloaded from a strategy's bucket, also if it was elsewhere before."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from django.core.files.storage import InMemoryStorage
from django_tenants.utils import tenant_context
from minio import Minio
from minio.commonconfig import Tags

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.s3 import copying
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, Requests, Run, bucket_of, name_in_rows, refer
from tests.support.schemas import Use

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024


def asked(url: str) -> str | None:
    return parse_qs(urlsplit(url).query).get("response-content-disposition", [None])[0]


@pytest.fixture
def disposition(bare: Minio) -> Callable[[str, str], str | None]:
    def disposition(bucket: str, name: str) -> str | None:
        return bare.stat_object(bucket_name=bucket, object_name=name).metadata.get("Content-Disposition")

    return disposition


Disposition = Callable[[str, str], "str | None"]


# Moved


def test_a_copy_within_the_server_is_stored_to_download(
    receipts: PerTenant, old: str, put: Put, move: Run, bare: Minio, north: Client,
    disposition: Disposition, contents: Contents, requests: Requests,
) -> None:  # fmt: skip
    tags = Tags.new_object_tags()
    tags["kind"] = "page"
    own = {"Cache-Control": "max-age=7", "author": "Ann"}
    put(old, "a.html", b"<script>", content_type="text/html", metadata=own, tags=tags)
    put(old, "b.png", b"picture", content_type="image/png", metadata=own)
    put(old, "c.png", b"<script>", content_type="text/html")
    name_in_rows(north, "a.html", "b.png", "c.png")

    with requests() as sent:
        done = move(f"--from={old}", "--all-tenants")

    bucket = bucket_of(receipts, north)
    assert done.error is None
    assert sent.count("COPY") == 3
    assert contents(bucket) == {"a.html": b"<script>", "b.png": b"picture", "c.png": b"<script>"}
    assert disposition(bucket, "a.html") == "attachment"
    assert disposition(bucket, "b.png") is None
    assert disposition(bucket, "c.png") == "attachment"
    stat = bare.stat_object(bucket_name=bucket, object_name="a.html")
    assert stat.content_type == "text/html"
    assert (stat.metadata["Cache-Control"], stat.metadata["x-amz-meta-author"]) == ("max-age=7", "Ann")
    assert bare.get_object_tags(bucket_name=bucket, object_name="a.html") == {"kind": "page"}
    assert not any("being-moved" in header.lower() for header in stat.metadata)
    assert "3 already there" in move(f"--from={old}", "--all-tenants").output


def test_a_large_copy_in_parts_is(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client,
    disposition: Disposition, monkeypatch: pytest.MonkeyPatch, on_minio: bool,
) -> None:  # fmt: skip
    if on_minio:
        pytest.skip("the lowered limit makes parts that are smaller than MinIO takes")
    monkeypatch.setattr(copying, "COPY_LIMIT", 5 * MIB)
    monkeypatch.setattr(copying, "COPY_PART", 5 * MIB)
    put(
        old,
        "a.html",
        os.urandom(6 * MIB),
        content_type="text/html",
        metadata={"Content-Disposition": "inline"},
    )
    name_in_rows(north, "a.html")

    assert move(f"--from={old}", "--all-tenants").error is None

    assert disposition(bucket_of(receipts, north), "a.html") == "attachment"


def test_a_file_that_was_on_disk_is(
    use: Use, per_tenant: PerTenant, move: Run, north: Client, disposition: Disposition,
    settings, tmp_path: Path, requests: Requests,
) -> None:  # fmt: skip
    settings.MEDIA_ROOT = tmp_path
    use(Receipt, MinioRouter(strategy=per_tenant), "file", "scan")
    for name in ("a.html", "b.png"):
        (tmp_path / name).write_bytes(b"<script>")
    name_in_rows(north, "a.html", "b.png")

    assert move("--from=media", "--all-tenants").error is None

    bucket = bucket_of(per_tenant, north)
    assert [disposition(bucket, name) for name in ("a.html", "b.png")] == ["attachment", None]


def test_where_saves_replace_what_is_streamed_is(
    use: Use, per_tenant: PerTenant, old: str, put: Put, move: Run, north: Client,
    disposition: Disposition, requests: Requests,
) -> None:  # fmt: skip
    use(Receipt, MinioRouter(strategy=per_tenant, fallback=old, replace_existing=True), "file", "scan")
    put(old, "a.html", b"<script>", content_type="text/html", metadata={"author": "Ann"})
    name_in_rows(north, "a.html")

    with requests() as sent:
        assert move(f"--from={old}", "--all-tenants").error is None

    assert "COPY" not in sent
    assert disposition(bucket_of(per_tenant, north), "a.html") == "attachment"


def test_where_the_project_wants_it_shown_it_is_copied_as_it_was(
    use: Use, per_tenant: PerTenant, old: str, put: Put, move: Run, north: Client,
    disposition: Disposition,
) -> None:  # fmt: skip
    use(
        Receipt,
        MinioRouter(strategy=per_tenant, fallback=old, MINIO_ACTIVE_CONTENT="inline"),
        "file",
        "scan",
    )
    put(old, "a.html", b"<script>", content_type="text/html")
    name_in_rows(north, "a.html")

    assert move(f"--from={old}", "--all-tenants").error is None

    assert disposition(bucket_of(per_tenant, north), "a.html") is None


# Not moved yet


def inside(router: MinioRouter, tenant: Client, name: str) -> tuple[str, str]:
    with tenant_context(tenant):
        refer(Receipt, name)
        return router.url(name), router.url(name, disposition="inline")


@pytest.mark.parametrize("public", [False, True])
def test_a_link_to_the_old_place_says_download_too(
    per_tenant: PerTenant, old: str, put: Put, north: Client, public: bool
) -> None:  # fmt: skip
    router = MinioRouter(strategy=per_tenant, fallback=MinioBackend(old, public=public))
    put(old, "a.html", b"<script>", content_type="text/html")
    put(old, "b.png", b"picture", content_type="image/png")

    link, shown = inside(router, north, "a.html")
    picture, _ = inside(router, north, "b.png")

    answer = urllib3.request("GET", link)
    assert (answer.status, answer.headers["Content-Disposition"]) == (200, "attachment")
    assert urlsplit(link).path.startswith(f"/{old}/")
    assert asked(shown) == "inline"
    assert asked(picture) is None


def test_a_storage_of_another_kind_is_asked_as_ever(per_tenant: PerTenant, north: Client) -> None:
    elsewhere = InMemoryStorage(base_url="/media/")
    router = MinioRouter(strategy=per_tenant, fallback=elsewhere)

    assert inside(router, north, "a.html")[0] == "/media/a.html"


def test_once_it_is_moved_the_link_leads_to_the_new_place(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client
) -> None:  # fmt: skip
    put(old, "a.html", b"<script>", content_type="text/html")
    name_in_rows(north, "a.html")
    move(f"--from={old}", "--all-tenants")

    link, _ = inside(Receipt._meta.get_field("file").storage, north, "a.html")

    answer = urllib3.request("GET", link)
    assert urlsplit(link).path.startswith(f"/{bucket_of(receipts, north)}/")
    assert (answer.status, answer.headers["Content-Disposition"]) == (200, "attachment")
