"""``listdir`` returns Django's pair for one level of one folder, and asks for no more than that."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.exceptions import BucketNotFound
from tests.support.proxy import Proxy
from tests.support.storages import Make


def put(bare: Minio, bucket: str, *names: str) -> None:
    for name in names:
        bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"x"), length=1)


@pytest.fixture
def filled(bare: Minio, bucket: str) -> None:
    put(bare, bucket, "top.txt", "a/one.txt", "a/two.txt", "a/b/deep.txt", "a/b/c/deeper.txt", "ab/other.txt")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", (["a", "ab"], ["top.txt"])),
        (".", (["a", "ab"], ["top.txt"])),
        ("/", (["a", "ab"], ["top.txt"])),
        ("a", (["b"], ["one.txt", "two.txt"])),
        ("a/", (["b"], ["one.txt", "two.txt"])),
        ("a/b", (["c"], ["deep.txt"])),
        ("ab", ([], ["other.txt"])),
        ("none", ([], [])),
        ("top.txt", ([], [])),
    ],
)
def test_folders_and_files_of_one_level_are_listed(
    storage: MinioBackend, path: str, expected: tuple[list[str], list[str]]
) -> None:
    folders, files = storage.listdir(path)

    assert (sorted(folders), sorted(files)) == expected


@pytest.mark.usefixtures("filled")
def test_without_a_path_the_top_is_listed(storage: MinioBackend) -> None:
    assert storage.listdir() == storage.listdir("")


@pytest.mark.parametrize("path", [None, 7, b"a", "a/../b", "a\\b"])
def test_a_path_that_is_no_folder_is_refused_before_any_request(
    through: Make, proxy: Proxy, path: Any
) -> None:
    with pytest.raises(SuspiciousFileOperation):
        through().listdir(path)
    assert not proxy.requests


def test_an_empty_bucket_has_nothing_to_list(storage: MinioBackend) -> None:
    assert storage.listdir() == ([], [])


def test_more_than_a_thousand_files_are_all_listed(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    names = [f"{number:04}.txt" for number in range(1100)]
    put(bare, bucket, *(f"many/{name}" for name in names))

    assert storage.listdir("many") == ([], names)


def test_a_subtree_is_not_walked_to_list_one_level(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    put(bare, bucket, *(f"a/deep/{number}" for number in range(300)))
    storage = through()

    assert storage.listdir("a") == (["deep"], [])
    assert proxy.methods == ["GET"]
    assert proxy.sent < 2000


def test_names_of_any_characters_are_listed_as_they_are(storage: MinioBackend) -> None:
    name = "ü 日本+&?#%\N{GRINNING FACE}<>\"'"
    storage.save(f"{name}/{name}", ContentFile(b"x"))

    assert storage.listdir() == ([name], [])
    assert storage.listdir(name) == ([], [name])


def test_a_folder_that_somebody_made_as_an_object_is_no_file(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    bare.put_object(bucket_name=bucket, object_name="made/", data=io.BytesIO(), length=0)

    assert storage.listdir() == (["made"], [])
    assert storage.listdir("made") == ([], [])


def test_a_missing_bucket_is_an_error_and_not_an_empty_list(new_name) -> None:
    name = new_name("missing")

    with pytest.raises(BucketNotFound, match=rf"'{name}' does not exist .* 'manage\.py initialize_buckets'"):
        MinioBackend(name, public=False).listdir()
