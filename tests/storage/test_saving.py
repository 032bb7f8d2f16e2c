"""What ``save`` stores, under which name and type, and with how many requests."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile, TemporaryUploadedFile
from minio import Minio

from django_minio_router import ConfigurationError, MinioBackend
from tests.support.contents import Generated, OneWay
from tests.support.proxy import Proxy, Request
from tests.support.server import names_in, stored, uploads_in
from tests.support.storages import Make

MIB = 1024 * 1024
PART = 5 * MIB
LARGE = bytes(range(256)) * (2 * PART // 256) + b"the end"


# Content


def test_the_bytes_arrive_under_the_name_that_is_returned(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    name = storage.save("a/b/report.txt", ContentFile(b"some bytes"))

    assert name == "a/b/report.txt"
    assert stored(bare, bucket, "a/b/report.txt") == b"some bytes"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: ContentFile("grüße"), id="text"),
        pytest.param(lambda: io.BytesIO("grüße".encode()), id="no chunks method"),
        pytest.param(lambda: io.StringIO("grüße"), id="text without chunks"),
        pytest.param(lambda: SimpleUploadedFile("x", "grüße".encode()), id="upload in memory"),
        pytest.param(lambda: OneWay("grüße".encode()), id="stream"),
        pytest.param(lambda: Generated("grüße".encode(), 1), id="no file below"),
    ],
)
def test_content_of_any_kind_arrives(storage: MinioBackend, bare: Minio, bucket: str, content: Any) -> None:
    name = storage.save("x.txt", content())

    assert stored(bare, bucket, name).decode() == "grüße"


def test_an_upload_on_disk_arrives(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    with TemporaryUploadedFile("big.bin", "application/x-test", len(LARGE), None) as upload:
        upload.write(LARGE)
        name = storage.save(upload.name, upload)

    assert stored(bare, bucket, name) == LARGE


def test_an_empty_file_is_stored(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    storage.save("empty.txt", ContentFile(b""))

    assert stored(bare, bucket, "empty.txt") == b""


def test_content_is_stored_from_its_start_wherever_it_stands(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    content = ContentFile(b"from the start")
    content.read()

    storage.save("x.txt", content)

    assert stored(bare, bucket, "x.txt") == b"from the start"


def test_a_file_read_from_one_storage_can_be_saved_in_another(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    storage.save("source.bin", ContentFile(LARGE))

    with storage.open("source.bin") as source:
        storage.save("copy.bin", source)

    assert stored(bare, bucket, "copy.bin") == LARGE


def test_the_name_may_come_from_the_content(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    assert storage.save(None, ContentFile(b"x", name="own.txt")) == "own.txt"
    assert stored(bare, bucket, "own.txt") == b"x"


# Type and metadata, as they go over the wire


def sent(proxy: Proxy, name: str) -> Request:
    return next(r for r in reversed(proxy.requests) if r.path.endswith(f"/{name}") and r.method != "HEAD")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.html", SimpleUploadedFile("a.html", b"x", content_type="text/x-declared"), "text/x-declared"),
        ("a.pdf", ContentFile(b"x"), "application/pdf"),
        ("a.tar.gz", ContentFile(b"x"), "application/gzip"),
        ("a.unknown-type", ContentFile(b"x"), "application/octet-stream"),
        ("no-extension", ContentFile(b"x"), "application/octet-stream"),
        ("a.pdf", SimpleUploadedFile("a.pdf", b"x", content_type=""), "application/pdf"),
        ("a.pdf", SimpleUploadedFile("a.pdf", b"x", content_type="té\u4e2d/x\r\nX: y"), "application/pdf"),
        ("a.pdf", SimpleUploadedFile("a.pdf", b"x", content_type=b"text/plain"), "application/pdf"),
    ],
)
def test_the_content_type_is_the_declared_one_else_guessed_else_octet_stream(
    through: Make, proxy: Proxy, name: str, content: File, expected: str
) -> None:
    through().save(name, content)

    assert sent(proxy, name).headers["content-type"] == expected


def test_large_files_get_their_type_and_metadata_too(through: Make, bare: Minio, bucket: str) -> None:
    storage = through(metadata={"Origin": "scanner", "Cache-Control": "max-age=60"})

    storage.save("large.pdf", ContentFile(LARGE))

    stat = bare.stat_object(bucket_name=bucket, object_name="large.pdf")
    headers = {key.lower(): value for key, value in stat.metadata.items()}
    assert headers["content-type"] == "application/pdf"
    assert headers["x-amz-meta-origin"] == "scanner"
    assert headers["cache-control"] == "max-age=60"


def test_metadata_can_set_the_tags_of_an_object(make: Make, bare: Minio, bucket: str) -> None:
    make(metadata={"x-amz-tagging": "team=web"}).save("x.txt", ContentFile(b"x"))

    assert bare.get_object_tags(bucket_name=bucket, object_name="x.txt") == {"team": "web"}


def test_metadata_has_the_meaning_that_it_has_in_the_sdk(through: Make, proxy: Proxy) -> None:
    storage = through(
        metadata={
            "plain": "user metadata",
            "X-Amz-Meta-Own": "as it is",
            "X-Amz-Storage-Class": "STANDARD",
            "Content-Disposition": "attachment",
            "several": ["a", "b"],
            "number": 7,
            "content-type": "left to the file",
        }
    )

    storage.save("x.txt", ContentFile(b"x"))

    headers = sent(proxy, "x.txt").headers
    assert headers["x-amz-meta-plain"] == "user metadata"
    assert headers["x-amz-meta-own"] == "as it is"
    assert headers["x-amz-storage-class"] == "STANDARD"
    assert headers["content-disposition"] == "attachment"
    assert headers["x-amz-meta-several"] == "a,b"
    assert headers["x-amz-meta-number"] == "7"
    assert headers["content-type"] == "text/plain"


@pytest.mark.parametrize("value", ["Zoë", "line\nbreak", "tab\t"])
def test_metadata_that_no_header_can_hold_is_refused_by_name(through: Make, proxy: Proxy, value: str) -> None:
    storage = through(metadata={"author": value})

    with pytest.raises(ConfigurationError, match="metadata 'author'"):
        storage.save("x.txt", ContentFile(b"x"))
    assert not proxy.requests


@pytest.mark.parametrize(
    "key",
    [
        "",
        7,
        "two words",
        "a\r\nX-Amz-Acl: public-read",
        "autör",
        "X-Amz-Copy-Source",
        "x-amz-copy-source-range",
        "x-amz-content-sha256",
        "x-amz-date",
        "X-Amz-Security-Token",
        "x-amz-checksum-sha256",
        "X-Amz-Meta-Upload-Token",
        "Upload-Token",
    ],
)
def test_metadata_cannot_make_another_request_of_a_save(through: Make, proxy: Proxy, key: Any) -> None:
    storage = through(metadata={key: "other/secret.txt"})

    with pytest.raises(ConfigurationError, match="The metadata has the key"):
        storage.save("x.txt", ContentFile(b"x"))
    assert not proxy.requests


def test_keys_that_differ_in_case_are_one(make: Make, bare: Minio, bucket: str) -> None:
    make(metadata={"Source": "scanner", "X-Amz-Meta-source": "fax"}).save("x.txt", ContentFile(b"x"))

    stat = bare.stat_object(bucket_name=bucket, object_name="x.txt")
    assert {key.lower(): value for key, value in stat.metadata.items()}["x-amz-meta-source"] == "fax"


class Progress:
    def __init__(self) -> None:
        self.name, self.total, self.done = "", 0, 0

    def set_meta(self, object_name: str, total_length: int) -> None:
        self.name, self.total, self.done = object_name, total_length, 0

    def update(self, length: int) -> None:
        self.done += length


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["one request", "parts"])
def test_progress_learns_name_length_and_every_byte(make: Make, content: bytes) -> None:
    progress = Progress()

    make(progress=progress).save("x.bin", ContentFile(content))

    assert (progress.name, progress.total, progress.done) == ("x.bin", len(content), len(content))


def test_progress_of_a_stream_of_unknown_length_counts_from_zero(make: Make) -> None:
    progress = Progress()

    make(progress=progress).save("x.bin", OneWay(b"unknown"))

    assert (progress.total, progress.done) == (0, 7)


# Names


def test_a_taken_name_is_kept_and_another_one_is_chosen(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    first = storage.save("a/x.txt", ContentFile(b"first"))
    second = storage.save("a/x.txt", ContentFile(b"second"))

    assert second != first
    assert second.startswith("a/x_")
    assert second.endswith(".txt")
    assert stored(bare, bucket, first) == b"first"
    assert stored(bare, bucket, second) == b"second"


def test_a_new_name_takes_one_request_and_a_taken_one_two(through: Make, proxy: Proxy) -> None:
    storage = through()

    storage.save("x.txt", ContentFile(b"first"))
    assert proxy.methods == ["PUT"]

    proxy.forget()
    storage.save("x.txt", ContentFile(b"second"))
    assert proxy.methods == ["PUT", "PUT"]


def test_a_large_file_under_a_taken_name_is_not_sent_twice(through: Make, proxy: Proxy) -> None:
    storage = through()
    storage.save("x.bin", ContentFile(LARGE))
    proxy.forget()

    storage.save("x.bin", ContentFile(LARGE))

    assert proxy.received < len(LARGE) + MIB


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["one request", "parts"])
def test_a_stream_that_cannot_be_rewound_arrives_under_its_second_name_as_well(
    storage: MinioBackend, bare: Minio, bucket: str, content: bytes
) -> None:
    storage.save("x.bin", ContentFile(b"in the way"))

    name = storage.save("x.bin", OneWay(content))

    assert name != "x.bin"
    assert stored(bare, bucket, name) == content


def test_replace_existing_overwrites_in_one_request(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    storage = through(replace_existing=True)
    storage.save("x.txt", ContentFile(b"old"))
    proxy.forget()

    assert storage.save("x.txt", ContentFile(b"new")) == "x.txt"

    assert proxy.methods == ["PUT"]
    assert names_in(bare, bucket) == ["x.txt"]
    assert stored(bare, bucket, "x.txt") == b"new"


def test_replace_existing_overwrites_with_parts_too(make: Make, bare: Minio, bucket: str) -> None:
    storage = make(replace_existing=True)
    storage.save("x.bin", ContentFile(b"old"))

    assert storage.save("x.bin", ContentFile(LARGE)) == "x.bin"

    assert stored(bare, bucket, "x.bin") == LARGE


def test_the_longest_name_is_kept_to(storage: MinioBackend) -> None:
    storage.save("long-name.txt", ContentFile(b"x"), max_length=13)

    second = storage.save("long-name.txt", ContentFile(b"x"), max_length=13)

    assert len(second) == 13
    assert second.endswith(".txt")


def test_a_name_that_cannot_be_cut_to_the_longest_length_is_refused(through: Make, proxy: Proxy) -> None:
    storage = through()

    with pytest.raises(SuspiciousFileOperation):
        storage.save("name.extension", ContentFile(b"x"), max_length=8)
    assert not proxy.requests


def test_two_long_names_stay_two_files_where_names_are_replaced(make: Make, bare: Minio, bucket: str) -> None:
    storage = make(replace_existing=True)

    first = storage.save("a-long-name-of-one.txt", ContentFile(b"one"), max_length=20)
    second = storage.save("a-long-name-of-two.txt", ContentFile(b"two"), max_length=20)

    assert max(len(first), len(second)) <= 20
    assert {stored(bare, bucket, first), stored(bare, bucket, second)} == {b"one", b"two"}


# Subclasses


class Overwriting(MinioBackend):
    """The usual way to overwrite with any storage."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name


class DeletingFirst(MinioBackend):
    """The other usual way."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        if self.exists(name):
            self.delete(name)
        return name


class Blind(MinioBackend):
    """A third one."""

    def exists(self, name: str) -> bool:
        return False


@pytest.mark.parametrize("storage_class", [Overwriting, DeletingFirst, Blind])
def test_a_subclass_that_insists_on_a_name_overwrites(
    bucket: str, bare: Minio, storage_class: type[MinioBackend]
) -> None:
    storage = storage_class(bucket, public=False)
    storage.save("x.txt", ContentFile(b"old"))

    assert storage.save("x.txt", ContentFile(b"new")) == "x.txt"

    assert names_in(bare, bucket) == ["x.txt"]
    assert stored(bare, bucket, "x.txt") == b"new"


class Counting(MinioBackend):
    """Names by number; it asks the storage which ones are taken."""

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        number = 1
        while self.exists(f"{file_root}-{number}{file_ext}"):
            number += 1
        return f"{file_root}-{number}{file_ext}"


def test_a_subclass_may_count_and_no_number_is_used_twice(bucket: str, bare: Minio) -> None:
    storage = Counting(bucket, public=False)

    names = [storage.save("x.txt", ContentFile(str(number))) for number in range(5)]

    assert names == ["x.txt", "x-1.txt", "x-2.txt", "x-3.txt", "x-4.txt"]
    assert [stored(bare, bucket, name) for name in names] == [b"0", b"1", b"2", b"3", b"4"]


def test_counting_goes_on_beyond_the_number_of_tries(
    bucket: str, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Counting(bucket, public=False)
    for name in ("x.txt", *(f"x-{number}.txt" for number in range(1, 12))):
        bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(), length=0)
    monkeypatch.setattr("django_minio_router.storage.backend._MAX_NAMES", 5)

    assert storage.save("x.txt", ContentFile(b"x")) == "x-12.txt"


class Compressing(MinioBackend):
    """Stores other content under another name."""

    def _save(self, name: str, content: File) -> str:
        return super()._save(f"{name}.z", ContentFile(b"z:" + content.read()))


def test_a_subclass_may_change_name_and_content_on_the_way(bucket: str, bare: Minio) -> None:
    storage = Compressing(bucket, public=False)

    first = storage.save("x.txt", ContentFile(b"one"))
    second = storage.save("x.txt", ContentFile(b"two"))

    assert first == "x.txt.z"
    assert second != first
    assert stored(bare, bucket, first) == b"z:one"
    assert stored(bare, bucket, second) == b"z:two"


class WithCopy(MinioBackend):
    """Saves a second file while it saves the first."""

    def _save(self, name: str, content: File) -> str:
        if not name.startswith("copies/"):
            self.save(f"copies/{name}", ContentFile(b"copy"))
        return super()._save(name, content)


def test_a_subclass_may_save_while_it_saves(bucket: str, bare: Minio) -> None:
    storage = WithCopy(bucket, public=False)

    names = [storage.save("x.txt", ContentFile(b"content")) for _ in range(2)]

    assert len(set(names)) == 2
    assert [stored(bare, bucket, name) for name in names] == [b"content", b"content"]
    assert stored(bare, bucket, "copies/x.txt") == b"copy"


class Leaving(MinioBackend):
    def _save(self, name: str, content: File) -> str:
        return "../elsewhere.txt"


def test_the_name_that_a_subclass_returns_is_checked(bucket: str) -> None:
    with pytest.raises(SuspiciousFileOperation):
        Leaving(bucket, public=False).save("x.txt", ContentFile(b"x"))


# Parts


def test_a_large_file_goes_in_parts_and_is_whole(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    through(MINIO_MULTIPART_PART_SIZE=PART).save("x.bin", ContentFile(LARGE))

    assert [r.received for r in proxy.requests if "partNumber" in r.query] == [PART, PART, 7]
    assert proxy.received < len(LARGE) + 1000
    assert stored(bare, bucket, "x.bin") == LARGE


def test_a_file_of_exactly_one_part_goes_in_one_request(through: Make, proxy: Proxy) -> None:
    through(MINIO_MULTIPART_PART_SIZE=PART).save("x.bin", ContentFile(LARGE[:PART]))

    assert [(r.method, r.received) for r in proxy.requests] == [("PUT", PART)]


def test_up_to_the_threshold_a_file_goes_in_one_request(through: Make, proxy: Proxy) -> None:
    storage = through(MINIO_MULTIPART_PART_SIZE=PART, MINIO_MULTIPART_THRESHOLD=len(LARGE))

    storage.save("x.bin", ContentFile(LARGE))
    assert [(r.method, r.received) for r in proxy.requests] == [("PUT", len(LARGE))]

    proxy.forget()
    storage.save("y.bin", ContentFile(LARGE + b"!"))
    assert "POST" in proxy.methods


def test_a_part_size_that_s3_does_not_take_is_an_error_by_name(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="MINIO_MULTIPART_PART_SIZE is 1048576"):
        make(MINIO_MULTIPART_PART_SIZE=MIB).save("x.bin", ContentFile(b"x"))


class Failing(Generated):
    """Content that cannot be read to its end."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield from super().chunks(chunk_size)
        raise OSError("the disk is gone")


@pytest.mark.parametrize("blocks", [1, 15], ids=["one request", "parts"])
def test_content_that_fails_half_way_leaves_nothing_behind(
    make: Make, bare: Minio, bucket: str, blocks: int
) -> None:
    storage = make(MINIO_MULTIPART_PART_SIZE=PART)

    with pytest.raises(OSError, match="the disk is gone"):
        storage.save("x.bin", Failing(b"x" * MIB, blocks))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []


def test_content_that_yields_numbers_is_refused(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    """``yield from`` over bytes gives numbers, and ``bytes(5)`` is five zeros."""
    with pytest.raises(TypeError, match="int"):
        storage.save("x.bin", Generated(5, 3))

    assert names_in(bare, bucket) == []


def test_more_parts_than_s3_takes_are_refused_and_removed(
    make: Make, bare: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_minio_router.s3.uploads.MAX_PARTS", 2)
    storage = make(MINIO_MULTIPART_PART_SIZE=PART)

    with pytest.raises(OSError, match="more than 2 parts"):
        storage.save("x.bin", OneWay(LARGE))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []


def test_parts_grow_with_a_file_whose_size_is_known(
    make: Make, bare: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_minio_router.s3.content.MAX_PARTS", 2)

    make(MINIO_MULTIPART_PART_SIZE=PART).save("x.bin", ContentFile(LARGE))

    assert stored(bare, bucket, "x.bin") == LARGE


# A missing bucket


def test_the_bucket_is_created_where_the_setting_says_so(make: Make, bare: Minio, new_name: Any) -> None:
    name = new_name("missing")
    storage = MinioBackend(name, public=False, MINIO_BUCKET_CHECK_ON_SAVE=True)

    storage.save("x.txt", OneWay(b"x"))

    assert stored(bare, name, "x.txt") == b"x"


def test_in_memory_uploads_keep_their_declared_type(through: Make, proxy: Proxy) -> None:
    upload = InMemoryUploadedFile(io.BytesIO(b"x"), "file", "x.bin", "image/x-own", 1, None)

    through().save("x.bin", upload)

    assert sent(proxy, "x.bin").headers["content-type"] == "image/x-own"
