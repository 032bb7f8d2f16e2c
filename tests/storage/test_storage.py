"""The rest of Django's Storage contract, on one bucket."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from typing import Any

import django
import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from minio import Minio

from django_minio_router import MinioBackend
from tests.support.proxy import Proxy
from tests.support.server import names_in
from tests.support.storages import Make


@pytest.fixture
def saved(bare: Minio, bucket: str) -> str:
    bare.put_object(bucket_name=bucket, object_name="a/x.txt", data=io.BytesIO(b"twelve bytes"), length=12)
    return "a/x.txt"


def test_it_is_a_storage(storage: MinioBackend) -> None:
    assert isinstance(storage, Storage)


def test_only_what_is_there_exists(storage: MinioBackend, saved: str) -> None:
    assert storage.exists(saved) is True
    assert storage.exists("a/y.txt") is False
    assert storage.exists("b") is False


def test_a_folder_exists_that_holds_something(through: Make, proxy: Proxy, saved: str) -> None:
    storage = through()
    storage.save("v1.0/x.txt", ContentFile(b"x"))
    proxy.forget()

    assert [storage.exists(name) for name in ("", "a/", "a", "v1.0/")] == [True] * 4
    assert proxy.methods == ["GET", "HEAD", "GET", "GET"], "the bucket is known to exist"
    assert [storage.exists(name) for name in ("b/", "b", "a/x", "a/x.txt/")] == [False] * 4
    proxy.forget()
    assert not storage.exists("a/y.txt")
    assert not storage.exists("v1.0")
    assert proxy.methods == ["HEAD", "HEAD"], "a name with a dot is taken to be a file's"


def test_the_size_is_in_bytes(storage: MinioBackend, saved: str) -> None:
    assert storage.size(saved) == 12


def test_a_missing_object_has_no_size_and_no_time(storage: MinioBackend) -> None:
    with pytest.raises(FileNotFoundError, match=r"no object 'none\.txt'"):
        storage.size("none.txt")
    with pytest.raises(FileNotFoundError):
        storage.get_modified_time("none.txt")
    with pytest.raises(FileNotFoundError):
        storage.stat("none.txt")


def test_the_modified_time_is_aware_where_the_project_is(
    storage: MinioBackend, bare: Minio, bucket: str, saved: str, settings: Any
) -> None:
    settings.USE_TZ = True

    modified = storage.get_modified_time(saved)

    assert modified.utcoffset() == timedelta(0)
    assert modified == bare.stat_object(bucket_name=bucket, object_name=saved).last_modified
    assert abs(datetime.now(timezone.utc) - modified) < timedelta(minutes=5)


def test_the_modified_time_is_naive_and_local_where_the_project_is(
    storage: MinioBackend, saved: str, settings: Any
) -> None:
    settings.USE_TZ = True
    aware = storage.get_modified_time(saved)
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Kathmandu"

    naive = storage.get_modified_time(saved)

    assert naive.tzinfo is None
    assert naive == (aware + timedelta(hours=5, minutes=45)).replace(tzinfo=None)


def test_delete_removes_the_object_and_nothing_else(
    storage: MinioBackend, bare: Minio, bucket: str, saved: str
) -> None:
    storage.save("a/x.txt.bak", ContentFile(b"x"))
    storage.save("a/x.txtb/c", ContentFile(b"x"))

    storage.delete(saved)

    assert names_in(bare, bucket) == ["a/x.txt.bak", "a/x.txtb/c"]


def test_deleting_what_is_not_there_is_no_error(storage: MinioBackend) -> None:
    storage.delete("none.txt")


def test_deleting_a_folder_name_deletes_no_file(
    storage: MinioBackend, bare: Minio, bucket: str, saved: str
) -> None:
    storage.delete("a")

    assert names_in(bare, bucket) == [saved]


def test_the_available_name_is_the_name_itself_if_it_is_free(storage: MinioBackend) -> None:
    assert storage.get_available_name("a/free.txt") == "a/free.txt"
    assert storage.get_available_name("a/free.txt", max_length=10) == "a/free.txt"


def test_the_available_name_for_a_taken_one_is_another(storage: MinioBackend, saved: str) -> None:
    name = storage.get_available_name(saved)

    assert name.startswith("a/x_")
    assert name.endswith(".txt")
    assert len(storage.get_available_name("a/a-long-name.txt", max_length=16)) == 16


def test_a_name_that_may_be_replaced_is_available(make: Make, saved: str) -> None:
    assert make(replace_existing=True).get_available_name(saved) == saved


def test_a_name_that_cannot_be_cut_short_enough_is_refused(storage: MinioBackend, saved: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        storage.get_available_name(saved, max_length=5)


def test_whether_a_name_is_available_can_be_asked(storage: MinioBackend, saved: str) -> None:
    assert storage.is_name_available("a/free.txt")
    assert not storage.is_name_available(saved)
    assert not storage.is_name_available("a/free.txt", max_length=9)
    assert hasattr(Storage, "is_name_available") == (django.VERSION >= (5, 1))


@pytest.mark.parametrize(
    ("filename", "expected"),
    [("x.txt", "x.txt"), ("a b/c d (1).txt", "a b/c_d_1.txt"), ("a\\b.txt", "a/b.txt"), ("a/./b", "a/b")],
)
def test_a_filename_becomes_a_name_as_django_makes_it(
    storage: MinioBackend, filename: str, expected: str
) -> None:
    assert storage.generate_filename(filename) == expected


@pytest.mark.parametrize("filename", ["../x.txt", "a/../../x.txt", "/x.txt"])
def test_a_filename_that_leaves_the_bucket_is_refused(storage: MinioBackend, filename: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        storage.save(storage.generate_filename(filename), ContentFile(b"x"))


@pytest.mark.parametrize("method", ["path", "get_accessed_time", "get_created_time"])
def test_what_s3_cannot_tell_is_not_implemented(storage: MinioBackend, saved: str, method: str) -> None:
    with pytest.raises(NotImplementedError, match=r"\w"):
        getattr(storage, method)(saved)


def test_the_sdks_description_is_to_be_had(storage: MinioBackend, saved: str, bucket: str) -> None:
    stat = storage.stat(saved)

    assert (stat.bucket_name, stat.object_name, stat.size) == (bucket, saved, 12)


def test_each_question_takes_one_request(through: Make, proxy: Proxy, saved: str) -> None:
    storage = through()

    for ask in (storage.exists, storage.size, storage.get_modified_time, storage.delete):
        proxy.forget()
        ask(saved)
        assert len(proxy.requests) == 1


def test_making_a_storage_takes_none(make: Make, proxy: Proxy) -> None:
    make(MINIO_ENDPOINT=proxy.endpoint, MINIO_ACCESS_KEY="a", MINIO_SECRET_KEY="b")

    assert proxy.connections == 0


def test_the_sdks_clients_are_shared_by_all_storages_of_a_server(storage: MinioBackend) -> None:
    other = MinioBackend("another-bucket", public=False)

    assert storage.client is other.client
    assert storage.client is storage.client_external
    assert isinstance(storage.client, Minio)
