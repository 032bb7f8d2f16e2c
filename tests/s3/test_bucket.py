"""What every ``Bucket`` does, whatever holds its objects."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import urllib3
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.test import Client, override_settings
from django.utils import timezone

from django_minio_router import MinioBackend
from django_minio_router.exceptions import BucketNotFound, ServerError
from django_minio_router.s3.bucket import Bucket

PLAIN = {"content-type": "text/plain", "x-amz-meta-author": "Ann"}
LARGE = os.urandom(9 * 1024 * 1024)


class BucketContract:
    """A subclass has the fixtures ``objects``, an empty bucket, and ``missing``, one that was not made."""

    def fetch(self, link: str, **headers: str) -> tuple[int, bytes, str | None]:
        """Follow a link, and return the status, the content and whether it is shown or downloaded."""
        answer = urllib3.request("GET", link, headers=headers, retries=False)
        return answer.status, answer.data, answer.headers.get("Content-Disposition")

    def put(self, objects: Bucket, key: str, content: bytes = b"content", **options: bool) -> None:
        objects.put(key, ContentFile(content), PLAIN, **options)

    @pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "in parts"])
    def test_what_is_put_is_described_and_read(self, objects: Bucket, content: bytes) -> None:
        self.put(objects, "a/b.txt", content, only_new=True)

        info = objects.head("a/b.txt")
        assert (info.key, info.size) == ("a/b.txt", len(content))
        assert info.metadata.items() >= PLAIN.items()
        assert timezone.now() - info.modified < timedelta(minutes=1)
        with objects.open("a/b.txt") as reader:
            assert reader.size == len(content)
            assert reader.read() == content
            reader.seek(-3, os.SEEK_END) if content else None
            assert reader.read() == content[-3:]

    def test_a_taken_name_is_refused_or_replaced(self, objects: Bucket) -> None:
        self.put(objects, "a.txt", b"old")
        with pytest.raises(FileExistsError):
            self.put(objects, "a.txt", b"new", only_new=True)
        assert objects.open("a.txt").read() == b"old"

        self.put(objects, "a.txt", b"new")
        assert objects.open("a.txt").read() == b"new"

    def test_content_can_be_tried_under_one_name_after_another(self, objects: Bucket) -> None:
        self.put(objects, "a.txt", b"old")
        source = objects.source(ContentFile(b"new"))
        for key, is_taken in (("a.txt", True), ("b.txt", False)):
            source.start()
            try:
                objects.put(key, source, PLAIN, only_new=True)
            except FileExistsError:
                assert is_taken
        assert objects.open("b.txt").read() == b"new"

    def test_what_is_missing_is_said_to_be(self, objects: Bucket) -> None:
        for call in (objects.head, objects.open, objects.stat):
            with pytest.raises(FileNotFoundError, match=r"no\.txt"):
                call("no.txt")
        objects.delete("no.txt")
        objects.delete("no.txt", if_match="tag")

    def test_all_keys_are_listed_or_one_level(self, objects: Bucket) -> None:
        for key in ("a.txt", "b/c.txt", "b/d/e.txt"):
            self.put(objects, key)

        assert [info.key for info in objects.list()] == ["a.txt", "b/c.txt", "b/d/e.txt"]
        assert [info.key for info in objects.list("b/")] == ["b/c.txt", "b/d/e.txt"]
        level = {info.key: info for info in objects.list("b/", recursive=False)}
        assert {key: info.is_folder for key, info in level.items()} == {"b/c.txt": False, "b/d/": True}
        found = objects.head("b/c.txt")
        assert level["b/c.txt"].etag == found.etag
        assert level["b/c.txt"].size == found.size

    def test_only_the_version_that_was_seen_is_deleted(self, objects: Bucket) -> None:
        self.put(objects, "a.txt", b"old")
        seen = objects.head("a.txt").etag
        self.put(objects, "a.txt", b"newer")

        with pytest.raises(ServerError, match="was replaced meanwhile") as refused:
            objects.delete("a.txt", if_match=seen)
        assert refused.value.status == 412
        assert objects.open("a.txt").read() == b"newer"

        objects.delete("a.txt", if_match=objects.head("a.txt").etag)
        assert list(objects.list()) == []

    def test_a_copy_keeps_the_metadata_or_gets_its_own(self, objects: Bucket) -> None:
        self.put(objects, "a.txt")
        info = objects.head("a.txt")

        objects.copy(objects, info, "b.txt")
        objects.copy(objects, info, "c.txt", {"content-type": "text/csv"})

        assert objects.open("b.txt").read() == objects.open("c.txt").read() == b"content"
        assert objects.head("b.txt").metadata.items() >= PLAIN.items()
        changed = objects.head("c.txt").metadata
        assert changed["content-type"] == "text/csv"
        assert "x-amz-meta-author" not in changed

    def test_what_changed_since_it_was_seen_is_not_copied(self, objects: Bucket) -> None:
        self.put(objects, "a.txt", b"old")
        info = objects.head("a.txt")
        self.put(objects, "a.txt", b"newer")

        with pytest.raises(ServerError) as refused:
            objects.copy(objects, info, "b.txt")
        assert refused.value.status == 412
        assert [info.key for info in objects.list()] == ["a.txt"]

    def test_a_link_shows_the_object(self, objects: Bucket) -> None:
        self.put(objects, "a b.txt")
        link = objects.link("a b.txt", 60, int(timezone.now().timestamp()))
        assert self.fetch(link) == (200, b"content", None)
        assert self.fetch(link, Range="bytes=1-3") == (206, b"ont", None)
        assert objects.plain_link("a b.txt") == link.partition("?")[0]
        assert self.fetch(objects.plain_link("a b.txt"))[0] == 403
        assert self.fetch(link.replace("a%20b", "c"))[0] == 403

    def test_what_a_browser_would_run_is_downloaded_as_the_object_or_the_link_says(
        self, objects: Bucket
    ) -> None:
        at = int(timezone.now().timestamp())
        objects.put("stored.html", ContentFile(b"<p>"), {**PLAIN, "content-disposition": "attachment"})
        self.put(objects, "linked.html", b"<p>")

        link = objects.link("linked.html", 60, at, "response-content-disposition=attachment")
        assert self.fetch(objects.link("stored.html", 60, at)) == (200, b"<p>", "attachment")
        assert self.fetch(link) == (200, b"<p>", "attachment")

    def test_any_part_is_read_on_its_own(self, objects: Bucket) -> None:
        self.put(objects, "large.bin", LARGE)
        with io.BufferedReader(objects.open("large.bin")) as reader:
            for start, size in ((8_000_000, 7), (3, 5), (len(LARGE) - 2, 100), (2_000_000, 3_000_000)):
                reader.seek(start)
                assert reader.read(size) == LARGE[start : start + size]
            assert reader.seek(len(LARGE) + 1) > len(LARGE)
            assert reader.read(1) == b""

    def test_an_unsafe_key_is_refused(self, objects: Bucket) -> None:
        for call in (objects.head, objects.open, objects.stat, objects.delete, objects.plain_link):
            with pytest.raises(SuspiciousFileOperation):
                call("../a.txt")
        with pytest.raises(SuspiciousFileOperation):
            self.put(objects, "a/../b.txt")

    def test_a_missing_bucket_is_named(self, missing: Bucket) -> None:
        assert not missing.exists()
        for call in (missing.head, missing.open, lambda key: list(missing.list(key))):
            with pytest.raises(BucketNotFound, match=missing.name):
                call("a.txt")


class TestBucketOfAServer(BucketContract):
    @pytest.fixture
    def objects(self, bucket: str) -> Bucket:
        return MinioBackend(bucket, public=False).objects

    @pytest.fixture
    def missing(self, new_name: Callable[[str], str]) -> Bucket:
        return MinioBackend(new_name("missing"), public=False).objects


@pytest.mark.any_server
class TestBucketInMemory(BucketContract):
    @pytest.fixture
    def objects(self, new_name: Callable[[str], str]) -> Bucket:
        return MinioBackend(new_name("bucket"), public=False, MINIO_ENDPOINT="memory:").objects

    @pytest.fixture
    def missing(self, objects: Bucket) -> Bucket:
        return replace(objects, name=f"{objects.name}-missing")

    def fetch(self, link: str, **headers: str) -> tuple[int, bytes, str | None]:
        with override_settings(ROOT_URLCONF="django_minio_router.testing.urls", MIDDLEWARE=[]):
            answer = Client().get(link, headers=headers)
        return answer.status_code, b"".join(answer), answer.get("Content-Disposition")
