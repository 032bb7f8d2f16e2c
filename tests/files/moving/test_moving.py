"""``move_objects``: each branch, on real schemas and buckets; a bare client reads what is on the server."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django_tenants.files.storage import TenantFileSystemStorage
from django_tenants.utils import tenant_context
from minio import Minio
from minio.commonconfig import Tags

from django_minio_router import MinioBackend, MinioRouter, tenant_bucket_context
from django_minio_router.files import transfer as transfers
from django_minio_router.s3 import copying
from django_minio_router.s3.bucket import ObjectInfo
from django_minio_router.storage.signals import object_moved
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant, PerTenantPrefix
from tests.apps.brands.models import Brand, Font
from tests.apps.customers.models import Client
from tests.apps.everywhere.models import Paper
from tests.apps.in_public.models import Notice
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, Requests, Run, bucket_of, name_in_rows, refer
from tests.support.proxy import Proxy, answering
from tests.support.schemas import Use

pytestmark = pytest.mark.django_db

NASTY = [
    "ü 日本+&?#%.txt",
    "a b/c%2Fd.txt",
    "…/..hidden",
    "e\u0301.txt",
    "'quoted' (1)!*.txt",
    "😀/" + "x" * 180 + ".txt",
]


@contextmanager
def heard() -> Iterator[list[tuple[object, ...]]]:
    """Keep what ``object_moved`` says."""
    told: list[tuple[object, ...]] = []

    def hear(*, bucket: str, name: str, size: int, tenant: str, **said: object) -> None:
        told.append((bucket, name, size, tenant))

    object_moved.connect(hear)
    try:
        yield told
    finally:
        object_moved.disconnect(hear)


def test_each_file_that_was_copied_is_told_once(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client
) -> None:
    put(old, "a.txt", b"north")
    name_in_rows(north, "a.txt")

    with heard() as told:
        move(f"--from={old}", "--all-tenants", "--dry-run")
        assert told == []
        move(f"--from={old}", "--all-tenants")
        move(f"--from={old}", "--all-tenants")

    assert told == [(bucket_of(receipts, north), "a.txt", 5, north.schema_name)]


# From one bucket to a bucket for each tenant


def test_each_tenants_files_go_to_its_bucket_and_the_source_stays(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, south: Client
) -> None:
    put(old, "a/north.txt", b"north")
    put(old, "a/south.txt", b"south")
    name_in_rows(north, "a/north.txt")
    name_in_rows(south, "a/south.txt")

    done = move(f"--from={old}", "--all-tenants")

    assert done.error is None
    assert "2 copied, 0 already there, 0 missing, 0 differing, 0 failed." in done.output
    assert "0 orphaned" in done.output
    assert contents(bucket_of(receipts, north)) == {"a/north.txt": b"north"}
    assert contents(bucket_of(receipts, south)) == {"a/south.txt": b"south"}
    assert contents(old) == {"a/north.txt": b"north", "a/south.txt": b"south"}


@pytest.mark.parametrize("declared", ["MINIO_PUBLIC_BUCKETS", "MINIO_PRIVATE_BUCKETS", ""])
def test_the_old_bucket_may_be_public_private_or_undeclared(
    use: Use,
    per_tenant: PerTenant,
    bucket: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    settings,
    declared: str,
) -> None:
    use(Receipt, MinioRouter(strategy=per_tenant), "file", "scan")
    if declared:
        setattr(settings, declared, [bucket])
    put(bucket, "a.txt")
    name_in_rows(north, "a.txt")

    done = move(f"--from={bucket}", "--all-tenants")

    assert done.error is None, done
    assert contents(bucket_of(per_tenant, north)) == {"a.txt": b"x"}


def test_one_tenant_can_be_moved_alone(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, south: Client
) -> None:
    for tenant in (north, south):
        put(old, tenant.name)
        name_in_rows(tenant, tenant.name)

    done = move(f"--from={old}", f"--tenant={north.schema_name}")

    assert done.error is None
    assert contents(bucket_of(receipts, north)) == {"north": b"x"}
    assert contents(bucket_of(receipts, south)) == {}
    assert "orphaned" not in done.output


def test_hidden_rows_second_fields_and_empty_fields_count(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    with tenant_context(north):
        Receipt._base_manager.create(file="hidden.txt", hidden=True)
        Receipt._base_manager.create(scan="scan.txt")
        Receipt._base_manager.create()
    put(old, "hidden.txt")
    put(old, "scan.txt")

    assert move(f"--from={old}", "--all-tenants").error is None
    assert contents(bucket_of(receipts, north)).keys() == {"hidden.txt", "scan.txt"}


@pytest.mark.parametrize("name", NASTY)
def test_any_name_is_moved_as_it_is(
    name: str, receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    put(old, name, name.encode())
    put(old, "other", b"other")
    name_in_rows(north, name)

    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)

    assert done.error is None, done
    assert contents(bucket_of(receipts, north)) == {name: name.encode()}
    assert contents(old) == {"other": b"other"}


@pytest.mark.parametrize("name", ["../escape.txt", "a//b.txt", "a\\b.txt", "a/./b"])
def test_an_unsafe_name_fails_alone(
    name: str, receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    put(old, "good.txt")
    name_in_rows(north, name, "good.txt")

    done = move(f"--from={old}", "--all-tenants")

    assert done.error is not None
    assert "1 copied" in done.output
    assert "1 failed" in done.output
    assert contents(bucket_of(receipts, north)) == {"good.txt": b"x"}


def test_a_server_copies_itself_and_a_second_run_only_looks(
    receipts: PerTenant, old: str, put: Put, move: Run, requests: Requests, north: Client
) -> None:
    """At most six requests to copy a file, two to find it there, and three more to delete it."""
    for name in ("a.txt", "c.txt"):
        put(old, name)
        name_in_rows(north, name)
    MinioBackend(old, public=False).save("b.txt", ContentFile(b"x"))  # so what the server can is known
    with requests() as sent:
        move(f"--from={old}", f"--tenant={north.schema_name}")
    assert sent.count("COPY") == 2
    assert len(sent) - sent.count("HEAD") == 2 * 2, "a copy, and the claim before it"
    assert len(sent) <= 2 * 6 + 2, "some servers are asked whether it is the bucket that is missing"

    with requests() as sent:
        done = move(f"--from={old}", f"--tenant={north.schema_name}")
    assert "0 copied, 2 already there" in done.output
    assert sent == ["HEAD"] * 2 * 2

    with requests() as sent:
        move(f"--from={old}", f"--tenant={north.schema_name}", "--delete-source", interactive=False)
    assert sent.count("DELETE") == 2
    assert len(sent) <= 2 * (2 + 3) + 2


def test_a_file_that_many_rows_name_is_copied_once(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, requests: Requests
) -> None:
    put(old, "a.txt", b"a")
    name_in_rows(north, *["a.txt"] * 40)

    with requests() as sent:
        done = move(f"--from={old}", f"--tenant={north.schema_name}", "--delete-source", interactive=False)

    assert done.error is None, done
    assert sent.count("COPY") == 1
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"a"}
    assert contents(old) == {}


def test_content_type_metadata_and_tags_are_kept(
    receipts: PerTenant, old: str, bare: Minio, put: Put, move: Run, north: Client
) -> None:
    tags = Tags.new_object_tags()
    tags["kind"] = "scan"
    put(
        old, "a.bin", content_type="text/csv", tags=tags,
        metadata={"Cache-Control": "max-age=7", "Content-Disposition": "inline", "author": "Ann"},
    )  # fmt: skip
    name_in_rows(north, "a.bin")
    move(f"--from={old}", "--all-tenants")

    bucket = bucket_of(receipts, north)
    stat = bare.stat_object(bucket_name=bucket, object_name="a.bin")
    assert stat.content_type == "text/csv"
    kept = ("Cache-Control", "Content-Disposition", "x-amz-meta-author")
    assert [stat.metadata[header] for header in kept] == ["max-age=7", "inline", "Ann"]
    assert not any("being-moved" in header.lower() for header in stat.metadata)
    assert bare.get_object_tags(bucket_name=bucket, object_name="a.bin") == {"kind": "scan"}


# What can be the matter with a file


def test_a_missing_file_is_reported_with_its_row_and_is_no_failure(
    receipts: PerTenant, old: str, move: Run, north: Client
) -> None:
    name_in_rows(north, "gone.txt")
    done = move(f"--from={old}", "--all-tenants")
    assert done.error is None
    assert "1 missing" in done.output
    where = f"{Receipt._meta.label}.file in the schema {north.schema_name!r}"
    assert f"missing: gone.txt of {where}: it is not in {old}" in done.output


def test_what_is_only_in_the_new_place_is_there(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client
) -> None:
    put(bucket_of(receipts, north), "new.txt")
    name_in_rows(north, "new.txt")
    done = move(f"--from={old}", "--all-tenants")
    assert "0 copied, 1 already there, 0 missing" in done.output


@pytest.mark.parametrize("content", [b"mine!", b"other length"])
def test_another_content_under_the_name_is_never_overwritten(
    content: bytes, receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    bucket = bucket_of(receipts, north)
    put(old, "a.txt", b"their")
    put(bucket, "a.txt", content)
    name_in_rows(north, "a.txt")

    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)

    assert done.error is not None
    assert "1 differing" in done.output
    assert f"differing: a.txt of {Receipt._meta.label}.file" in done.output
    assert contents(bucket) == {"a.txt": content}
    assert contents(old) == {"a.txt": b"their"}


def test_equal_content_is_there_whatever_its_entity_tag(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client
) -> None:
    content = os.urandom(6 * 1024 * 1024)
    put(old, "big.bin", content, part_size=5 * 1024 * 1024)
    put(bucket_of(receipts, north), "big.bin", content)
    name_in_rows(north, "big.bin")
    done = move(f"--from={old}", "--all-tenants")
    assert done.error is None
    assert "0 copied, 1 already there" in done.output


def test_objects_that_no_row_names_are_reported_and_stay(
    receipts: PerTenant,
    use: Use,
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    south: Client,
) -> None:
    for name in ("moved", "of-another-model", "orphan"):
        put(old, name)
    name_in_rows(south, "moved")
    name_in_rows(north, "of-another-model", model=Paper)

    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)

    assert f"orphaned: orphan in {old}" in done.output
    assert "1 orphaned" in done.output
    assert contents(old).keys() == {"of-another-model", "orphan"}


def test_a_file_that_was_deleted_through_the_fallback_is_not_brought_back(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client
) -> None:
    put(old, "a.txt")
    name_in_rows(north, "a.txt")
    storage = Receipt._meta.get_field("file").storage
    with tenant_context(north):
        storage.delete("a.txt")
    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)
    assert "it was deleted before it was moved" in done.output
    with tenant_context(north):
        assert not storage.exists("a.txt")


def test_a_missing_bucket_is_told_once_and_the_other_tenants_are_moved(
    receipts: PerTenant,
    old: str,
    put: Put,
    move: Run,
    bare: Minio,
    contents: Contents,
    north: Client,
    south: Client,
) -> None:
    bare.remove_bucket(bucket_name=bucket_of(receipts, north))
    name_in_rows(north, "a", "b")
    put(old, "c")
    name_in_rows(south, "c")
    done = move(f"--from={old}", "--all-tenants")
    remedy = f"does not exist. Create it with 'manage.py initialize_buckets --tenant {north.schema_name}'"
    assert done.output.count(remedy) == 1
    assert done.error is not None
    assert contents(bucket_of(receipts, south)) == {"c": b"x"}


def test_a_full_disk_under_the_list_of_files_is_told_with_what_to_do(
    receipts: PerTenant, old: str, put: Put, move: Run, north: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def on_a_small_disk(name: str) -> sqlite3.Connection:
        made = connect(name)
        made.executescript("PRAGMA page_size = 512; PRAGMA max_page_count = 8")
        return made

    monkeypatch.setattr(sqlite3, "connect", on_a_small_disk)
    names = [f"{number}{'x' * 80}.txt" for number in range(12)]
    for name in names:
        put(old, name)
    name_in_rows(north, *names)

    done = move(f"--from={old}", "--all-tenants")

    assert "disk is full" in str(done.error)
    assert "set SQLITE_TMPDIR to a folder with more space" in str(done.error)


def test_rows_without_a_place_are_left_out_by_name(
    use: Use, per_tenant: PerTenant, old: str, put: Put, move: Run
) -> None:
    use(Paper, MinioRouter(strategy=per_tenant), "file")
    put(old, "a.txt")
    Paper.objects.create(file="a.txt")  # on public, where PerTenant has no bucket
    done = move(f"--from={old}", "--all-tenants")
    assert "1 left out" in done.output
    assert f"left out: {Paper._meta.label}.file in the schema 'public': No tenant is active" in done.output


# Deleting the source


def test_the_source_is_deleted_only_if_asked_and_confirmed(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, monkeypatch
) -> None:
    put(old, "a.txt")
    name_in_rows(north, "a.txt")
    for answer in ("no", ""):
        monkeypatch.setattr("builtins.input", lambda text, answer=answer: answer)
        done = move(f"--from={old}", "--all-tenants", "--delete-source")
        assert done.error is not None
        assert "Nothing was deleted" in done.error
        assert contents(old) == {"a.txt": b"x"}
    monkeypatch.setattr("builtins.input", lambda text: "yes")
    done = move(f"--from={old}", "--all-tenants", "--delete-source")
    assert done.error is None
    assert "1 were deleted from the old place." in done.output
    assert contents(old) == {}
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"x"}


def test_a_file_that_another_tenants_row_names_too_stays_until_it_is_moved_for_all(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, south: Client
) -> None:
    put(old, "default.png")
    put(old, "own.png")
    name_in_rows(north, "own.png")
    name_in_rows(north, "default.png", "default.png")
    name_in_rows(south, "default.png")

    arguments = (f"--from={old}", "--delete-source")
    done = move(*arguments, f"--tenant={north.schema_name}", interactive=False)
    assert "1 stay in the old place: other rows, which were not moved, name them too." in done.output
    assert contents(old) == {"default.png": b"x"}

    done = move(*arguments, "--all-tenants", interactive=False)
    assert contents(old) == {}
    for tenant in (north, south):
        assert contents(bucket_of(receipts, tenant))["default.png"] == b"x"


def test_a_file_that_a_field_names_which_was_not_moved_stays(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    put(old, "a.txt")
    name_in_rows(north, "a.txt")
    name_in_rows(north, "a.txt", model=Paper)
    move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)
    assert contents(old) == {"a.txt": b"x"}


def test_what_was_stored_anew_after_the_copy_is_kept(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, monkeypatch
) -> None:
    put(old, "a.txt", b"first")
    name_in_rows(north, "a.txt")

    def answer(text: str) -> str:
        put(old, "a.txt", b"second")
        return "yes"

    monkeypatch.setattr("builtins.input", answer)
    done = move(f"--from={old}", "--all-tenants", "--delete-source")
    assert done.error is not None
    assert "kept: a.txt: it was replaced after it was copied" in done.output
    assert contents(old) == {"a.txt": b"second"}


def test_a_dry_run_changes_nothing_and_says_what_would_be(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, requests: Requests, north: Client
) -> None:
    put(old, "a.txt")
    put(old, "b.txt")
    put(bucket_of(receipts, north), "b.txt")
    name_in_rows(north, "a.txt", "b.txt", "gone.txt")
    with requests() as sent:
        done = move(f"--from={old}", "--all-tenants", "--delete-source", "--dry-run")
    assert set(sent) <= {"HEAD", "GET"}
    assert "1 would be copied, 1 already there, 1 missing" in done.output
    assert "1 would be deleted" in done.output
    assert contents(bucket_of(receipts, north)) == {"b.txt": b"x"}
    assert contents(old).keys() == {"a.txt", "b.txt"}


# How it gets there


def test_large_objects_are_copied_by_the_server_in_parts(
    receipts: PerTenant,
    old: str,
    put: Put,
    move: Run,
    bare: Minio,
    north: Client,
    monkeypatch,
    requests: Requests,
    on_minio,
) -> None:
    if on_minio:
        pytest.skip("the lowered limit makes parts that are smaller than MinIO takes")
    monkeypatch.setattr(copying, "COPY_LIMIT", 5 * 1024**2)
    monkeypatch.setattr(copying, "COPY_PART", 5 * 1024**2)
    content = os.urandom(12 * 1024**2 + 1)
    put(old, "big.bin", content, content_type="text/x-big", metadata={"author": "Ann"})
    name_in_rows(north, "big.bin")

    with requests() as sent:
        done = move(f"--from={old}", "--all-tenants")

    assert done.error is None
    assert sent.count("COPY") == 3
    bucket = bucket_of(receipts, north)
    with bare.get_object(bucket_name=bucket, object_name="big.bin") as answer:
        assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(content).digest()
        assert answer.headers["Content-Type"] == "text/x-big"
        assert answer.headers["x-amz-meta-author"] == "Ann"
        assert "x-amz-meta-being-moved" not in answer.headers
    assert "1 already there" in move(f"--from={old}", "--all-tenants").output


@pytest.mark.parametrize("size", [0, 5, 9 * 1024**2])
def test_between_servers_it_is_streamed(
    size: int, receipts: PerTenant, use: Use, bare: Minio, on_the_northern_server: Minio,
    new_name: Callable[[str], str], settings, move: Run, contents: Contents, north: Client,
    requests: Requests,
) -> None:  # fmt: skip
    elsewhere, content = new_name("far"), os.urandom(size)
    on_the_northern_server.make_bucket(bucket_name=elsewhere)
    on_the_northern_server.put_object(
        bucket_name=elsewhere, object_name="a.bin", data=io.BytesIO(content), length=size,
        content_type="text/x-odd", metadata={"author": "Ann"},
    )  # fmt: skip
    far = {
        "BACKEND": "django_minio_router.MinioBackend",
        "OPTIONS": {"bucket_name": elsewhere, "server": "north"},
    }
    settings.STORAGES = {**settings.STORAGES, "far": far}
    name_in_rows(north, "a.bin")

    with requests() as sent:
        done = move("--from=far", "--all-tenants", "--delete-source", interactive=False)

    assert done.error is None, done
    assert "COPY" not in sent
    bucket = bucket_of(receipts, north)
    assert contents(bucket) == {"a.bin": content}
    stat = bare.stat_object(bucket_name=bucket, object_name="a.bin")
    assert (stat.content_type, stat.metadata["x-amz-meta-author"]) == ("text/x-odd", "Ann")
    assert list(on_the_northern_server.list_objects(bucket_name=elsewhere)) == []


def test_where_saves_replace_it_is_streamed_as_only_that_keeps_the_condition(
    use: Use, per_tenant: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client,
    requests: Requests,
) -> None:  # fmt: skip
    use(Receipt, MinioRouter(strategy=per_tenant, fallback=old, replace_existing=True), "file", "scan")
    put(old, "a.txt", b"old")
    name_in_rows(north, "a.txt")
    with requests() as sent:
        assert move(f"--from={old}", "--all-tenants").error is None
    assert "COPY" not in sent
    assert contents(bucket_of(per_tenant, north)) == {"a.txt": b"old"}


def test_a_server_without_conditions_is_used_without_them(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, settings
) -> None:
    put(old, "a.txt", b"old")
    put(old, "b.txt", b"old")
    put(bucket_of(receipts, north), "b.txt", b"new")
    name_in_rows(north, "a.txt", "b.txt")
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT, settings.MINIO_CONDITIONAL_WRITES = proxy.endpoint, False
        proxy.when(answering(501), where=lambda request: "If-None-Match" in request.headers, times=None)
        done = move(f"--from={old}", "--all-tenants")
    assert "1 copied" in done.output
    assert "1 differing" in done.output
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"old", "b.txt": b"new"}


def test_a_server_that_will_not_copy_gets_the_bytes(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, settings
) -> None:
    put(old, "a.txt", b"streamed")
    name_in_rows(north, "a.txt")
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        proxy.when(answering(501), where=lambda request: "x-amz-copy-source" in request.headers)
        done = move(f"--from={old}", "--all-tenants")
    assert done.error is None, done
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"streamed"}


def test_local_files_are_moved_from_media_root(
    receipts: PerTenant, tmp_path: Path, settings, move: Run, contents: Contents, bare: Minio, north: Client
) -> None:
    settings.MEDIA_ROOT = tmp_path
    local = FileSystemStorage(tmp_path)
    big = os.urandom(9 * 1024**2)
    local.save("2020/a.pdf", ContentFile(b"pdf"))
    local.save("big.bin", ContentFile(big))
    local.save("empty.txt", ContentFile(b""))
    local.save("2020/orphan.pdf", ContentFile(b"x"))
    name_in_rows(north, "2020/a.pdf", "big.bin", "empty.txt", "gone.txt")

    done = move("--from=media", "--all-tenants")
    assert "3 copied, 0 already there, 1 missing" in done.output
    assert f"orphaned: 2020/orphan.pdf in {tmp_path}" in done.output
    bucket = bucket_of(receipts, north)
    assert contents(bucket) == {"2020/a.pdf": b"pdf", "big.bin": big, "empty.txt": b""}
    assert bare.stat_object(bucket_name=bucket, object_name="2020/a.pdf").content_type == "application/pdf"

    done = move("--from=media", "--all-tenants", "--delete-source", interactive=False)
    assert "0 copied, 3 already there" in done.output
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["orphan.pdf"]


def test_a_local_folder_for_each_tenant_is_read_for_each_tenant(
    receipts: PerTenant, tmp_path: Path, settings, move: Run, contents: Contents, north: Client, south: Client
) -> None:
    """django-tenants' own storage asks the connection of its thread who the tenant is."""
    settings.MEDIA_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "local": {"BACKEND": "django_tenants.files.storage.TenantFileSystemStorage"},
    }
    for tenant in (north, south):
        with tenant_context(tenant):
            TenantFileSystemStorage().save("a.txt", ContentFile(tenant.name.encode()))
        name_in_rows(tenant, "a.txt")

    done = move("--from=local", "--all-tenants", "--delete-source", interactive=False)

    assert done.error is None, done
    for tenant in (north, south):
        assert contents(bucket_of(receipts, tenant)) == {"a.txt": tenant.name.encode()}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# Other places to go from and to


def test_files_are_moved_to_a_bucket_for_each_model(
    use: Use, old: str, put: Put, move: Run, contents: Contents, bare: Minio, new_name: Callable[[str], str]
) -> None:
    bucket = new_name("notices")
    bare.make_bucket(bucket_name=bucket)
    use(Notice, MinioRouter(strategy=PerModel({Notice._meta.label: bucket})), "file")
    put(old, "a.txt")
    refer(Notice, "a.txt")
    assert move(f"--from={old}").error is None
    assert contents(bucket) == {"a.txt": b"x"}


def test_a_renamed_tenants_files_follow_from_the_old_strategy(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, settings
) -> None:
    """Also the way back, and from a folder for each tenant to a bucket."""
    put(old, f"{north.schema_name}/a.txt")
    name_in_rows(north, "a.txt")
    settings.STORAGES = {
        **settings.STORAGES,
        "folders": {
            "BACKEND": "django_minio_router.MinioRouter",
            "OPTIONS": {"strategy": PerTenantPrefix(old)},
        },
    }
    done = move("--from=folders", "--all-tenants", "--delete-source", interactive=False)
    assert done.error is None, done
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"x"}
    assert contents(old) == {}


def test_a_model_that_is_not_switched_yet_can_be_moved_ahead(
    use: Use,
    per_tenant: PerTenant,
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    monkeypatch,
) -> None:
    use(Receipt, MinioBackend(old), "file", "scan")
    put(old, "a.txt")
    name_in_rows(north, "a.txt")
    monkeypatch.setattr("tests.files.moving.target", per_tenant, raising=False)
    arguments = (f"--from={old}", "--to=tests.files.moving.target", "--all-tenants")

    assert "Name the models with --model" in (move(*arguments).error or "")

    assert move(*arguments, f"--model={Receipt._meta.label}").error is None
    assert contents(bucket_of(per_tenant, north)) == {"a.txt": b"x"}


def test_only_the_fields_of_the_given_strategy_are_moved(
    receipts: PerTenant, use: Use, bucket: str, old: str, put: Put, move: Run, contents: Contents,
    north: Client, monkeypatch,
) -> None:  # fmt: skip
    use(Notice, MinioRouter(strategy=FixedBucket(bucket, public_read=False)), "file")
    put(old, "a.txt")
    refer(Notice, "a.txt")
    name_in_rows(north, "a.txt")
    monkeypatch.setattr("tests.files.moving.target", receipts, raising=False)
    assert move(f"--from={old}", "--to=tests.files.moving.target", "--all-tenants").error is None
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"x"}
    assert contents(bucket) == {}


def test_files_of_public_rows_go_to_the_tenants_that_own_them(
    use: Use,
    per_tenant: PerTenant,
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    south: Client,
) -> None:
    router = MinioRouter(strategy=per_tenant)
    use(Brand, router, "logo")
    use(Font, router, "file", "licence")
    brands = {tenant: Brand.objects.create(company=tenant) for tenant in (north, south, None)}
    Brand.objects.filter(company=north).update(logo="north.png", width=1, height=1)
    Brand.objects.filter(company=None).update(logo="nobodys.png", width=1, height=1)
    Font.objects.bulk_create(
        Font(brand=brands[tenant], file=f"{tenant.name}.ttf", licence=f"{tenant.name}.txt")
        for tenant in (north, south)
    )
    for name in ("north.png", "north.ttf", "south.ttf", "north.txt", "south.txt", "nobodys.png"):
        put(old, name)

    move(f"--from={old}", f"--tenant={south.schema_name}")
    assert contents(bucket_of(per_tenant, north)) == {}
    assert contents(bucket_of(per_tenant, south)).keys() == {"south.ttf", "south.txt"}

    done = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)
    assert done.error is None, done
    assert contents(bucket_of(per_tenant, north)).keys() == {"north.png", "north.ttf", "north.txt"}
    assert contents(old).keys() == {"nobodys.png"}


def test_an_image_without_dimensions_is_not_opened_to_find_its_owner(
    use: Use, per_tenant: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client,
    monkeypatch,
) -> None:  # fmt: skip
    use(Brand, MinioRouter(strategy=per_tenant), "logo")
    monkeypatch.setattr(Brand._meta.get_field("logo"), "owner", lambda brand: brand.company)
    Brand.objects.create(company=north)
    Brand.objects.update(logo="north.png")
    put(old, "north.png")

    done = move(f"--from={old}", "--all-tenants")

    assert done.error is None, done
    assert contents(bucket_of(per_tenant, north)).keys() == {"north.png"}


def test_rows_of_public_keep_what_their_owner_has_in_the_old_place(
    use: Use,
    per_tenant: PerTenant,
    old: str,
    put: Put,
    move: Run,
    contents: Contents,
    north: Client,
    settings,
) -> None:
    """Of the old places, each tenant's own is no place without a tenant."""
    folders = PerTenantPrefix(old)
    use(Brand, MinioRouter(strategy=per_tenant), "logo")
    use(Font, MinioRouter(strategy=folders), "file", "licence")
    settings.STORAGES = {
        **settings.STORAGES,
        "folders": {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": folders}},
    }
    Brand.objects.bulk_create([Brand(company=north, logo="both", width=1, height=1) for _ in range(2)])
    Font.objects.create(brand=Brand.objects.earliest("pk"), file="both", licence="licence")
    for name in ("both", "licence", "orphan"):
        put(old, f"{north.schema_name}/{name}")

    arguments = ("--from=folders", "--all-tenants", f"--model={Brand._meta.label}", "--delete-source")
    done = move(*arguments, interactive=False)

    assert done.error is None, done
    assert "1 orphaned" in done.output
    assert "1 stay in the old place" in done.output
    assert contents(old).keys() == {f"{north.schema_name}/{name}" for name in ("both", "licence", "orphan")}


# What another process does meanwhile


def test_the_claim_of_an_interrupted_run_is_no_file_and_is_cleared_by_the_next(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    put(old, "a.txt", b"old")
    put(bucket_of(receipts, north), "a.txt", b"", metadata={"being-moved": "1"})
    name_in_rows(north, "a.txt")
    storage = Receipt._meta.get_field("file").storage
    with tenant_context(north):
        assert storage.open("a.txt").read() == b"old"
        assert storage.size("a.txt") == 3
        assert f"/{old}/" in storage.url("a.txt")
        assert storage.listdir("") == ([], [])

    assert "1 copied" in move(f"--from={old}", "--all-tenants").output
    assert contents(bucket_of(receipts, north)) == {"a.txt": b"old"}


@pytest.mark.parametrize("place", ["bucket", "media"])
def test_a_file_that_another_run_finishes_and_deletes_from_the_source_is_not_lost(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, monkeypatch,
    settings, tmp_path: Path, bare: Minio, place: str,
) -> None:  # fmt: skip
    """The other run held the name when this one looked."""
    settings.MEDIA_ROOT = tmp_path
    (tmp_path / "a.txt").write_bytes(b"a")
    put(old, "a.txt", b"a")
    bucket, look = bucket_of(receipts, north), transfers.BucketFiles.find
    put(bucket, "a.txt", b"", metadata={"being-moved": "1"})
    name_in_rows(north, "a.txt")

    def just_before_the_other_ends(self: transfers.BucketFiles, name: str) -> ObjectInfo | None:
        found = look(self, name)
        if found is not None and transfers.is_claim(found.headers):
            put(bucket, name, b"a")
            bare.remove_object(bucket_name=old, object_name=name)
            (tmp_path / name).unlink()
        return found

    monkeypatch.setattr(transfers.BucketFiles, "find", just_before_the_other_ends)
    done = move(f"--from={old if place == 'bucket' else 'media'}", f"--tenant={north.schema_name}")

    assert ("1 copied" if place == "bucket" else "1 failed") in done.output
    assert contents(bucket) == {"a.txt": b"a"}


@pytest.fixture
def stored_meanwhile(put: Put, monkeypatch) -> Callable[..., None]:
    """Return a function that lets another process store a file between the look and the copy."""

    def stored_meanwhile(*arguments: object, **options: object) -> None:
        receive = transfers.BucketFiles.receive

        def late(self: transfers.BucketFiles, *received: object) -> None:
            put(*arguments, **options)
            receive(self, *received)

        monkeypatch.setattr(transfers.BucketFiles, "receive", late)

    return stored_meanwhile


def test_a_file_that_another_run_holds_is_moved_by_both(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, stored_meanwhile
) -> None:
    put(old, "a.txt", b"old")
    name_in_rows(north, "a.txt")
    bucket = bucket_of(receipts, north)
    stored_meanwhile(bucket, "a.txt", b"", metadata={"being-moved": "1"})

    assert "1 copied" in move(f"--from={old}", "--all-tenants").output
    assert contents(bucket) == {"a.txt": b"old"}


def test_what_is_saved_between_the_look_and_the_copy_is_not_overwritten(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, stored_meanwhile
) -> None:
    put(old, "a.txt", b"old")
    name_in_rows(north, "a.txt")
    bucket = bucket_of(receipts, north)
    stored_meanwhile(bucket, "a.txt", b"saved")

    assert "1 differing" in move(f"--from={old}", "--all-tenants").output
    assert contents(bucket) == {"a.txt": b"saved"}


def test_a_copy_that_fails_leaves_no_claim(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client, monkeypatch
) -> None:
    put(old, "a.txt", b"old")
    name_in_rows(north, "a.txt")
    copy = transfers.BucketFiles._copy_over_claim

    def changed_meanwhile(self: transfers.BucketFiles, *arguments: object) -> None:
        put(old, "a.txt", b"changed")
        copy(self, *arguments)

    monkeypatch.setattr(transfers.BucketFiles, "_copy_over_claim", changed_meanwhile)
    done = move(f"--from={old}", "--all-tenants")
    assert "1 failed" in done.output
    assert contents(bucket_of(receipts, north)) == {}


def test_readers_find_every_file_while_it_is_moved_and_deleted_from_the_source(
    receipts: PerTenant, old: str, put: Put, move: Run, contents: Contents, north: Client
) -> None:
    names = {f"{number}.bin": os.urandom(200 + number) for number in range(60)}
    names["large.bin"] = os.urandom(9 * 1024**2)
    for name, content in names.items():
        put(old, name, content)
    name_in_rows(north, *names)
    storage, over, failed, reads = Receipt._meta.get_field("file").storage, threading.Event(), [], []

    def read_all() -> None:
        with tenant_bucket_context(north):
            while not over.is_set() or not reads:
                for name, content in names.items():
                    try:
                        with storage.open(name) as file:
                            right = file.read(1000) == content[:1000]
                        right = right and storage.exists(name) and storage.size(name) == len(content)
                        reads.append(name)
                    except Exception as error:
                        right = False
                        failed.append(repr(error))
                    if not right:
                        failed.append(name)

    def follow_links() -> None:
        with tenant_bucket_context(north):
            while not copied.is_set():
                for name, content in names.items():
                    if urllib3.request("GET", storage.url(name)).data != content:
                        failed.append(f"link to {name}")

    copied = threading.Event()
    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read_all), threads.submit(read_all), threads.submit(follow_links)]
        try:
            first = move(f"--from={old}", "--all-tenants", "--jobs=2")
            copied.set()
            readers[2].result()
            second = move(f"--from={old}", "--all-tenants", "--delete-source", interactive=False)
        finally:
            copied.set()
            over.set()
        for reader in readers:
            reader.result()

    assert (first.error, second.error, failed) == (None, None, [])
    assert len(reads) > len(names)
    assert contents(bucket_of(receipts, north)) == names
    assert contents(old) == {}


# Wrong words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from=no-such-bucket-here"], "There is nothing at no-such-bucket-here. Correct --from."),
        (["--from=bucket:no-such-bucket"], "There is nothing at no-such-bucket"),
        (["--from=no.such.Strategy"], "cannot be imported"),
        (["--from=OLD", "--to=no.such.Strategy"], "cannot be imported"),
        (["--from=OLD", "--model=no.Model"], "There is no model 'no.Model'"),
        (["--from=OLD", "--model=customers.Client"], "has no file field"),
        (["--from=OLD", "--jobs=0"], "--jobs is 0"),
        (["--from=OLD", "--tenant=nobody"], "There is no tenant"),
    ],
)
def test_a_wrong_argument_is_named_with_the_remedy(
    arguments: list[str], message: str, receipts: PerTenant, old: str, move: Run
) -> None:
    done = move(*(argument.replace("OLD", old) for argument in arguments))
    assert message in (done.error or "")


def test_media_that_is_a_bucket_can_be_said(
    receipts: PerTenant, old: str, move: Run, settings, tmp_path
) -> None:
    settings.MEDIA_ROOT = tmp_path / "nowhere"
    assert f"There is nothing at {settings.MEDIA_ROOT}" in (move("--from=media").error or "")
    assert move(f"--from=bucket:{old}").error is None


def test_media_root_must_be_set(receipts: PerTenant, move: Run, settings) -> None:
    settings.MEDIA_ROOT = ""  # which for Django is the folder that the process is in
    assert "MEDIA_ROOT is not set. Set it" in (move("--from=media", "--all-tenants").error or "")


def test_an_unreachable_server_ends_the_run_and_says_that_it_can_be_resumed(
    receipts: PerTenant, old: str, move: Run, north: Client, settings
) -> None:
    settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = "127.0.0.1:9", 0
    assert "Start it again: it resumes" in (move(f"--from={old}", "--all-tenants").error or "")
