"""Every safe name comes back as it was; every other one is refused before anything is sent."""

from __future__ import annotations

import http.client
import ntpath
import os
import secrets
import urllib.request
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from django_minio_router.naming import MARK_OBJECT
from tests.support.proxy import Proxy
from tests.support.scale import scale
from tests.support.server import names_in, stored
from tests.support.storages import Make, keys

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

# SeaweedFS keeps what is stored there, and does not list it.
HIDDEN = ["a.versions/x.txt", "a/.versions/x.txt", ".uploads/x.txt", "a/.uploads/b/x.txt"]

# A row may name what another storage wrote with a slash at the start, and may have no name; folders exist.
TAKEN = {
    *{(operation, "leading slash") for operation in OPERATIONS if operation != "save"},
    *product(["exists"], ["empty", "only a slash", "trailing slash"]),
    *product(["url", "url for download"], ["none", "empty"]),
}

safe_segments = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=40
).filter(lambda segment: segment not in {".", ".."})
safe_names = st.lists(safe_segments, min_size=1, max_size=4).map("/".join)
any_names = st.text(st.characters(exclude_categories=[]) | st.sampled_from("./\\%+#? "), max_size=12)

with_the_server = settings(
    max_examples=scale(40, 150), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", HIDDEN)
def test_a_folder_that_some_server_hides_is_refused_for_new_files_alone(
    through: Make, proxy: Proxy, name: str
) -> None:
    storage = through()
    for store in (
        lambda: storage.save(name, ContentFile(b"x")),
        lambda: storage.open(name, "wb"),
        lambda: storage._save(name, ContentFile(b"x")),
    ):
        with pytest.raises(SuspiciousFileOperation, match="SeaweedFS does not list"):
            store()
    assert proxy.requests == []
    assert storage.exists(name) is False
    storage.delete(name)


def test_nobody_who_uploads_marks_a_bucket(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    """Which ``purge_tenant`` would then take for one that it may delete."""
    with pytest.raises(SuspiciousFileOperation, match="is reserved"):
        storage.save(MARK_OBJECT, ContentFile(b"created"))
    with pytest.raises(SuspiciousFileOperation, match="is reserved"):
        storage.open(MARK_OBJECT, "wb")
    assert names_in(bare, bucket) == []


@pytest.mark.parametrize("name", ["a.uploads/x.txt", "a.versions.d/x.txt", "b.versions", ".uploads"])
def test_names_that_are_nearly_so_are_stored_and_listed(
    storage: MinioBackend, bare: Minio, bucket: str, name: str
) -> None:
    assert storage.save(name, ContentFile(b"x")) == name
    assert names_in(bare, bucket) == [name]


@pytest.mark.parametrize(
    ("operation", "kind"), [case for case in product(OPERATIONS, UNSAFE) if case not in TAKEN]
)
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

    for kind, name in UNSAFE.items():
        if (operation, kind) not in TAKEN:
            with pytest.raises(SuspiciousFileOperation):
                OPERATIONS[operation](storage, name)


@pytest.mark.parametrize("name", ["admin\\css\\base.css", PureWindowsPath("admin", "css", "base.css")])
def test_on_windows_a_backslash_is_a_slash(
    storage: MinioBackend, bare: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch, name: Any
) -> None:
    """Django joins names with ``os.path``, as ``collectstatic`` does and ``upload_to`` may."""
    monkeypatch.setattr("django_minio_router.naming.os", SimpleNamespace(**{**vars(os), "sep": "\\"}))
    monkeypatch.setattr("django.core.files.storage.base.os", SimpleNamespace(path=ntpath))

    assert storage.save(name, ContentFile(b"text")) == "admin/css/base.css"
    assert names_in(bare, bucket) == ["admin/css/base.css"]
    assert storage.exists(name)
    assert storage.size(name) == 4
    assert storage.open(name).read() == b"text"
    assert storage.listdir("admin\\css") == ([], ["base.css"])
    assert urllib3.request("GET", storage.url(name)).data == b"text"
    assert storage.save(name, ContentFile(b"other")).startswith("admin/css/base_")
    storage.delete(name)
    assert not storage.exists(name)
    for unsafe in ("..\\x.txt", "a\\..\\..\\x.txt", "a\\\\x.txt"):
        with pytest.raises(SuspiciousFileOperation):
            storage.save(unsafe, ContentFile(b"x"))


@pytest.mark.parametrize("name", ["/a/x.txt", "//a/x.txt"])
@pytest.mark.parametrize("prefix", ["", "folder/"])
def test_a_slash_at_the_start_that_another_storage_wrote_is_no_part_of_the_name(
    make: Make, bare: Minio, bucket: str, prefix: str, name: str
) -> None:
    storage = make(prefix=prefix)
    storage.save("a/x.txt", ContentFile(b"text"))

    assert storage.exists(name)
    assert storage.size(name) == 4
    assert storage.open(name).read() == b"text"
    assert urllib3.request("GET", storage.url(name)).data == b"text"
    assert storage.get_modified_time(name)
    with pytest.raises(SuspiciousFileOperation):
        storage.save(name, ContentFile(b"x"))
    storage.delete(name)
    assert names_in(bare, bucket) == []


def test_without_a_name_the_link_is_the_address_of_the_bucket(bucket: str) -> None:
    for public in (True, False):
        storage = MinioBackend(bucket, public=public)
        assert storage.url("") == storage.url(None) == f"{storage.base_url_external}/{bucket}/"
    assert MinioBackend(bucket, public=True, prefix="a/").url(None).endswith(f"/{bucket}/a/")


@pytest.mark.parametrize("path", ["..", "a/..", "../a", "a//b", "a\\b", "a\0b", "/a", "\ud800"])
def test_an_unsafe_folder_is_not_listed(through: Make, proxy: Proxy, path: str) -> None:
    storage = through()

    with pytest.raises(SuspiciousFileOperation):
        storage.listdir(path)

    assert proxy.requests == []


def test_the_message_names_the_name_and_the_reason(storage: MinioBackend) -> None:
    with pytest.raises(SuspiciousFileOperation, match=r"'a/\.\./x' .* '\.\.' segment"):
        storage.url("a/../x")
    with pytest.raises(SuspiciousFileOperation, match=r"is 1026 bytes long in UTF-8; S3 allows 1024"):
        storage.url("日" * 342)


def test_paths_will_do_as_well(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    path = PurePosixPath("a") / "x.txt"

    assert storage.save(path, ContentFile(b"x")) == "a/x.txt"
    assert storage.exists(path)
    with storage.open(path) as file:
        assert (file.read(), str(file)) == (b"x", "a/x.txt")
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


# Any text at all, to any operation, and what a plain HTTP client gets under its link

LOOKALIKES = (
    "\N{DIVISION SLASH}\N{FRACTION SLASH}\N{FULLWIDTH SOLIDUS}\N{FULLWIDTH REVERSE SOLIDUS}"
    "\N{FULLWIDTH FULL STOP}\N{ONE DOT LEADER}\N{TWO DOT LEADER}"
)
RESERVED = " !\"#$%&'()*+,:;<=>?@[]^`{|}~"
PLANES = [
    chr(plane * 0x10000 + offset) for plane in range(17) for offset in (0x41, 0x1F600 % 0x10000, 0xFFFD)
]
hostile_letters = (
    st.characters(exclude_categories=[])  # surrogates and control characters too
    | st.sampled_from(PLANES)
    | st.sampled_from(LOOKALIKES + RESERVED)
    | st.sampled_from(
        ["/", "\\", ".", "..", "./", "../", "%2e%2e%2f", "%00", "%5c", "\r\n", "e\u0301", "\u212b"]
    )
)
# About as long as S3 takes: of segments of one character, of 1 to 4 bytes each, and an end of any length.
long_names = st.builds(
    lambda letter, length, end: "/".join(
        [letter * (120 // len(letter.encode()))] * (length // 121) + ["x" * max(end, 1)]
    ),
    st.sampled_from("aü日\N{GRINNING FACE}%"),
    st.integers(800, 1100),
    st.integers(1, 255),
)
hostile_names = st.lists(hostile_letters, max_size=12).map("".join) | safe_names | long_names


def is_sound(name: str, prefix: str) -> bool:
    """Tell whether S3, and all clients and servers between, take the name for exactly this object."""
    try:
        size = len(f"{prefix}{name}".encode())
    except UnicodeEncodeError:
        return False
    segments = name.replace("\\", "/../").split("/")
    control = any(ord(letter) < 0x20 or 0x7F <= ord(letter) <= 0x9F for letter in name)
    return size <= 1024 and not control and not {"", ".", ".."} & set(segments)


def by_http_client(url: str) -> bytes:
    """Return what stands at the URL, which is sent as it is."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc)) as connection:
        connection.request("GET", url.removeprefix(f"{parts.scheme}://{parts.netloc}"))
        return connection.getresponse().read()


def by_urllib(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:
        return response.read()


@pytest.fixture(params=["private", "public"])
def in_folder(request: pytest.FixtureRequest, bucket: str, proxy: Proxy) -> Callable[[], MinioBackend]:
    """Return a function that makes a storage on a new folder of the bucket."""
    options: dict[str, Any] = {
        "MINIO_ENDPOINT": proxy.endpoint,
        "MINIO_CONDITIONAL_WRITES": True,
        "public": request.param == "public",
        **keys(),
    }
    MinioBackend(bucket, **options).check_bucket_existence()

    def in_folder() -> MinioBackend:
        storage = MinioBackend(bucket, prefix=f"{secrets.token_hex(8)}/", **options)
        proxy.forget()
        return storage

    return in_folder


@with_the_server
@given(name=hostile_names)
@example(name="a/../../x")
@example(name="a\\..\\x")
@example(name=f"a{LOOKALIKES}b")
@example(name=RESERVED)
@example(name="".join(PLANES[:33]))
@example(name="".join(PLANES[33:]))
@example(name="x/" * 503 + "y")  # 1,024 bytes with the folder
@example(name="x/" * 503 + "yz")
@example(name="\ud83d\ude00")  # a pair of surrogates is no character
@example(name="?X-Amz-Signature=x")
@example(name="x?versionId=1&y#z")
@example(name="%")
@example(name="%zz/+ +/a%20b")
@example(name="http://example.com/x".replace("//", "/"))
@example(name="~root/$HOME/`id`/*")
@example(name=".minio.sys/x")
@example(name="x.png ")
def test_the_bytes_come_back_by_any_way_or_nothing_is_sent(
    in_folder: Callable[[], MinioBackend], proxy: Proxy, bare: Minio, bucket: str, name: str
) -> None:
    storage = in_folder()
    content = os.urandom(20)
    if not is_sound(name, storage.prefix):
        for kind, operation in OPERATIONS.items():
            if kind == "save" or not is_sound(name.strip("/") or "x", storage.prefix):
                with pytest.raises(SuspiciousFileOperation):
                    operation(storage, name)
        assert proxy.requests == []
        return
    if any(len(segment.encode()) > 255 for segment in name.split("/")):
        with pytest.raises(ServerError, match="400"):  # neither server takes it, and S3 itself does
            storage.save(name, ContentFile(content))
        return

    saved = storage.save(name, ContentFile(content))

    assert saved == name
    assert stored(bare, bucket, f"{storage.prefix}{saved}") == content
    with storage.open(saved) as file:
        assert file.read() == content
    url = storage.url(saved)
    assert by_http_client(url) == content
    assert by_urllib(url) == content
    assert by_http_client(storage.url(saved, filename=name)) == content
    parent, _, last = saved.rpartition("/")
    assert storage.listdir(parent) == ([], [last])
    storage.delete(saved)
    assert storage.listdir(parent) == ([], [])


@with_the_server
@given(path=hostile_names)
def test_a_folder_of_any_name_is_listed_or_nothing_is_sent(
    in_folder: Callable[[], MinioBackend], proxy: Proxy, path: str
) -> None:
    storage = in_folder()

    try:
        found = storage.listdir(path)
    except SuspiciousFileOperation:
        assert not is_sound(path.removesuffix("/"), storage.prefix)
        assert proxy.requests == []
    else:
        assert found == ([], [])
        assert all(request.query.count(f"prefix={storage.prefix[:-1]}") == 1 for request in proxy.requests)
