"""Every safe name comes back as it was; every other one is refused before anything is sent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest
import urllib3
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from minio import Minio

from django_minio_router import MinioBackend
from tests.proxy import Proxy

from .conftest import Make
from .server import names_in, stored

UNSAFE = {
    "none": None,
    "empty": "",
    "dot": ".",
    "two dots": "..",
    "dots at the start": "../x.txt",
    "dots in the middle": "a/../x.txt",
    "dots at the end": "a/..",
    "a dot in the middle": "a/./x.txt",
    "leading slash": "/x.txt",
    "trailing slash": "a/",
    "only a slash": "/",
    "two slashes": "a//x.txt",
    "backslash": "a\\x.txt",
    "dots and backslashes": "..\\x.txt",
    "NUL": "a\0b.txt",
    "line break": "a\nb.txt",
    "carriage return": "a\r\nb.txt",
    "escape": "a\x1bb.txt",
    "delete": "a\x7fb.txt",
    "control of the second kind": "a\x85b.txt",
    "lone surrogate": "a\ud800b.txt",
    "1025 bytes": "a/" * 511 + "abc",
    "1025 bytes of three each": "a/" + "日" * 341,
    "bytes": b"x.txt",
    "a number": 7,
}

OPERATIONS: dict[str, Callable[[MinioBackend, Any], Any]] = {
    "save": lambda storage, name: storage.save(name, ContentFile(b"x")),
    "open": lambda storage, name: storage.open(name),
    "delete": lambda storage, name: storage.delete(name),
    "exists": lambda storage, name: storage.exists(name),
    "size": lambda storage, name: storage.size(name),
    "url": lambda storage, name: storage.url(name),
    "url for download": lambda storage, name: storage.url(name, filename="x"),
    "get_modified_time": lambda storage, name: storage.get_modified_time(name),
    "stat": lambda storage, name: storage.stat(name),
}

safe_segments = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=40
).filter(lambda segment: segment not in {".", ".."})
safe_names = st.lists(safe_segments, min_size=1, max_size=4).map("/".join)
any_names = st.text(st.characters(exclude_categories=[]) | st.sampled_from("./\\%+#? "), max_size=12)

with_the_server = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", UNSAFE)
def test_an_unsafe_name_is_refused_and_nothing_is_sent(
    through: Make, proxy: Proxy, operation: str, kind: str
) -> None:
    storage = through()

    with pytest.raises(SuspiciousFileOperation):
        OPERATIONS[operation](storage, UNSAFE[kind])

    assert proxy.requests == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_in_a_public_bucket_as_well(bucket: str, operation: str) -> None:
    storage = MinioBackend(bucket, public=True)

    for name in UNSAFE.values():
        with pytest.raises(SuspiciousFileOperation):
            OPERATIONS[operation](storage, name)


@pytest.mark.parametrize("path", ["..", "a/..", "../a", "a//b", "a\\b", "a\0b", "/a", "\ud800"])
def test_an_unsafe_folder_is_not_listed(through: Make, proxy: Proxy, path: str) -> None:
    storage = through()

    with pytest.raises(SuspiciousFileOperation):
        storage.listdir(path)

    assert proxy.requests == []


def test_the_message_names_the_name_and_the_reason(storage: MinioBackend) -> None:
    with pytest.raises(SuspiciousFileOperation, match=r"'a/\.\./x' .* '\.\.' segment"):
        storage.url("a/../x")
    with pytest.raises(SuspiciousFileOperation, match=r"takes 1026 bytes of UTF-8; S3 allows 1024"):
        storage.url("日" * 342)


def test_paths_will_do_as_well(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    path = PurePosixPath("a") / "x.txt"

    assert storage.save(path, ContentFile(b"x")) == "a/x.txt"
    assert storage.exists(path)
    assert storage.open(path).read() == b"x"
    assert stored(bare, bucket, "a/x.txt") == b"x"


@pytest.mark.parametrize("name", ["a/" * 511 + "ab", "日本/" * 146 + "ab"])
def test_a_name_of_1024_bytes_is_taken(storage: MinioBackend, bare: Minio, bucket: str, name: str) -> None:
    assert len(name.encode()) == 1024

    assert storage.save(name, ContentFile(b"x")) == name

    assert storage.open(name).read() == b"x"
    assert names_in(bare, bucket) == [name]


@with_the_server
@given(name=safe_names)
@example(name="a b+c&d?e#f%g%41.txt")
@example(name="\N{GRINNING FACE}/日本/ü/e\N{COMBINING ACUTE ACCENT}")
@example(name="...")
@example(name="a/..b/.c")
@example(name="~`!@$^*()_-={}[]|:;\"'<>,")
@example(name=" leading/ and trailing ")
@example(name="\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe")
@example(name="\ue000\U0010fffd\ufeff")
@example(name="\N{LINE SEPARATOR}/\N{NO-BREAK SPACE}")
def test_the_bytes_come_back_under_the_name_that_was_returned(
    storage: MinioBackend, bare: Minio, bucket: str, name: str
) -> None:
    folder = secrets.token_hex(8)
    content = os.urandom(20)

    saved = storage.save(f"{folder}/{name}", ContentFile(content))

    assert saved == f"{folder}/{name}"
    assert stored(bare, bucket, saved) == content
    assert storage.exists(saved)
    assert storage.size(saved) == 20
    with storage.open(saved) as file:
        assert file.read() == content
    assert urllib3.request("GET", storage.url(saved)).data == content
    parent, _, last = saved.rpartition("/")
    assert storage.listdir(parent) == ([], [last])
    storage.delete(saved)
    assert not storage.exists(saved)


@with_the_server
@given(name=any_names)
@example(name="..%2fx")
@example(name="%2e%2e/x")
@example(name="%00")
def test_any_text_is_stored_as_it_is_or_refused_before_anything_is_sent(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, name: str
) -> None:
    storage = through(replace_existing=True)

    try:
        saved = storage.save(name, ContentFile(b"content"))
    except SuspiciousFileOperation:
        assert proxy.requests == []
        return

    assert saved == name
    assert names_in(bare, bucket) == [name]
    storage.delete(name)
    assert names_in(bare, bucket) == []
