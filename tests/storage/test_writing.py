"""Opened for writing: sent in parts as they come, visible when closed without an error, or not at all."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import models
from django.test.utils import isolate_apps
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.exceptions import BucketNotFound
from django_minio_router.storage.binding import bind_fields
from django_minio_router.storage.signals import object_saved, object_saving
from django_minio_router.strategies import FixedBucket
from tests.support.proxy import Proxy
from tests.support.server import names_in, stored, uploads_with_parts_in
from tests.support.storages import Make

PART = 5 * 1024 * 1024


def test_little_is_looked_up_and_stored_in_one_request(through: Make, proxy: Proxy) -> None:
    with through().open("x.txt", "wb") as file:
        file.write(b"some ")
        file.write(b"content")
        assert proxy.methods == ["HEAD"]
    assert proxy.methods == ["HEAD", "PUT"]


def test_much_is_sent_as_it_comes_and_visible_at_the_end(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    with through(MINIO_MULTIPART_PART_SIZE=PART).open("x.bin", "wb") as file:
        for _ in range(4):
            file.write(b"x" * PART)
        assert "POST" in proxy.methods
        assert names_in(bare, bucket) == []
    assert len(stored(bare, bucket, "x.bin")) == 4 * PART
    assert uploads_with_parts_in(bare, bucket) == []


@pytest.mark.parametrize("size", [1, 3 * PART])
def test_after_an_error_within_the_block_nothing_is_stored(
    make: Make, bare: Minio, bucket: str, size: int
) -> None:
    file = make(MINIO_MULTIPART_PART_SIZE=PART).open("x.bin", "wb")
    file.write(b"x" * size)
    with pytest.raises(ZeroDivisionError), file:
        file.write(b"x" * (1 // 0))
    assert file.closed
    assert names_in(bare, bucket) == []
    assert uploads_with_parts_in(bare, bucket) == []
    assert not [thread for thread in threading.enumerate() if "copy_context" in repr(thread)]


@pytest.mark.parametrize("size", [1, 3 * PART])
def test_what_is_never_closed_is_not_stored(make: Make, bare: Minio, bucket: str, size: int) -> None:
    kept = [make(MINIO_MULTIPART_PART_SIZE=PART).open("x.bin", "wb")]
    kept.append(kept)  # a cycle, that the collector finds
    kept[0].write(b"x" * size)
    del kept
    with pytest.warns(ResourceWarning, match="was not closed"):
        gc.collect()
    assert names_in(bare, bucket) == []
    assert uploads_with_parts_in(bare, bucket) == []


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_taken_name_is_refused_before_anything_is_written(
    storage: MinioBackend, bare: Minio, bucket: str, mode: str
) -> None:
    storage.save("x.txt", ContentFile(b"old"))
    with pytest.raises(FileExistsError, match="replace_existing"):
        storage.open("x.txt", mode)
    assert stored(bare, bucket, "x.txt") == b"old"


@pytest.mark.parametrize("size", [1, 3 * PART])
def test_a_name_that_is_taken_meanwhile_is_refused_at_the_end(
    make: Make, bare: Minio, bucket: str, size: int
) -> None:
    storage = make(MINIO_MULTIPART_PART_SIZE=PART)
    file = storage.open("x.bin", "wb")
    storage.save("x.bin", ContentFile(b"other"))
    with pytest.raises(FileExistsError), file:
        file.write(b"x" * size)
    assert file.closed
    assert stored(bare, bucket, "x.bin") == b"other"


def test_a_name_that_may_be_replaced_is_replaced_at_the_end(make: Make, bare: Minio, bucket: str) -> None:
    storage = make(replace_existing=True)
    storage.save("x.txt", ContentFile(b"old"))
    with storage.open("x.txt", "w") as file:
        file.write("new")
        file.flush()
        assert stored(bare, bucket, "x.txt") == b"old"
    assert stored(bare, bucket, "x.txt") == b"new"
    with pytest.raises(FileExistsError):
        storage.open("x.txt", "x")


def test_text_in_another_encoding_and_with_other_line_ends(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    with storage.open("x.txt", "w", encoding="utf-16-le", newline="\r\n") as file:
        file.write("Zoë\n")
    assert stored(bare, bucket, "x.txt") == "Zoë\r\n".encode("utf-16-le")
    with storage.open("x.txt", "r", encoding="utf-16-le", newline="") as file:
        assert file.read() == "Zoë\r\n"
        assert file.open("r", encoding="utf-16-le").read() == "Zoë\n"
        assert file.open("rb").read() == "Zoë\r\n".encode("utf-16-le")


def test_the_type_is_that_of_the_name(storage: MinioBackend) -> None:
    with storage.open("x.png", "wb") as file:
        file.write(b"x")
    assert storage.stat("x.png").content_type == "image/png"


def test_the_bucket_is_created_where_the_setting_says_so(make: Make, bare: Minio, new_name: Any) -> None:
    name = new_name("missing")
    with pytest.raises(BucketNotFound), MinioBackend(name, public=False).open("x.txt", "w") as file:
        file.write("x")
    with MinioBackend(name, public=False, MINIO_BUCKET_CHECK_ON_SAVE=True).open("x.txt", "w") as file:
        file.write("x")
    assert stored(bare, name, "x.txt") == b"x"


@pytest.fixture
def router(bucket: str) -> MinioRouter:
    return MinioRouter(strategy=FixedBucket(bucket, public_read=False))


def test_whoever_counts_what_is_stored_hears_of_it(router: MinioRouter) -> None:
    heard: list[Any] = []

    def hear(*, size: int, name: str, **kwargs: Any) -> None:
        heard.append((size, name))

    for signal in (object_saving, object_saved):
        signal.connect(hear)
    try:
        with router.open("x.txt", "w") as file:
            file.write("日本")
    finally:
        for signal in (object_saving, object_saved):
            signal.disconnect(hear)
    assert heard == [(6, "x.txt"), (6, "x.txt")]


@pytest.mark.parametrize("size", [1, 3 * PART])
def test_whoever_refuses_it_keeps_it_from_being_stored(
    router: MinioRouter, bare: Minio, bucket: str, settings: Any, size: int
) -> None:
    settings.MINIO_MULTIPART_PART_SIZE = PART

    def refuse(**kwargs: Any) -> None:
        raise PermissionError("no room")

    object_saving.connect(refuse)
    try:
        with pytest.raises(PermissionError, match="no room"), router.open("x.bin", "wb") as file:
            file.write(b"x" * size)
    finally:
        object_saving.disconnect(refuse)
    assert names_in(bare, bucket) == []
    assert uploads_with_parts_in(bare, bucket) == []


@isolate_apps("tests.apps.docs")
def test_through_a_row(router: MinioRouter, bare: Minio, bucket: str) -> None:
    class Dump(models.Model):
        file = models.FileField(storage=router)

        class Meta:
            app_label = "docs"

    bind_fields(Dump)
    with Dump(file="x.txt").file.open("w") as file:
        file.write("text")
    assert stored(bare, bucket, "x.txt") == b"text"
    with Dump(file="x.txt").file.open("r") as file:
        assert file.read() == "text"
