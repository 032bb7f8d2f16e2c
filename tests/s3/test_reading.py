"""An opened object is a seekable binary file that costs what is read of it, and is one version of it."""

from __future__ import annotations

import csv
import faulthandler
import gc
import io
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.images import ImageFile
from django.http import FileResponse
from minio import Minio
from PIL import Image

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from django_minio_router.s3.reading import FIRST_RANGE
from tests.support.proxy import Exchange, Proxy, Request, answering, cut_answer, drop_answer, without
from tests.support.server import stored
from tests.support.storages import Make

KIB = 1024
BIG = os.urandom(FIRST_RANGE * 8 + 123)
SMALL = BIG[: 10 * KIB]


def put(bare: Minio, bucket: str, name: str, content: bytes) -> None:
    bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(content), length=len(content))


@pytest.fixture
def big(bare: Minio, bucket: str) -> str:
    put(bare, bucket, "big.bin", BIG)
    return "big.bin"


@pytest.fixture
def small(bare: Minio, bucket: str) -> str:
    put(bare, bucket, "small.bin", SMALL)
    return "small.bin"


def reads_on(request: Request) -> bool:
    """Pick the request for all that follows the beginning."""
    return request.headers["range"] == f"bytes={FIRST_RANGE}-{len(BIG) - 1}"


# Like any file


def test_the_whole_content_comes_back(storage: MinioBackend, big: str) -> None:
    with storage.open(big) as file:
        assert file.read() == BIG
        assert file.read() == b""
        assert file.size == len(BIG)


@pytest.mark.parametrize("size", [1, FIRST_RANGE - 1, FIRST_RANGE, FIRST_RANGE + 1, 2 * FIRST_RANGE + 7])
def test_content_of_any_size_comes_back(storage: MinioBackend, bare: Minio, bucket: str, size: int) -> None:
    put(bare, bucket, "x.bin", BIG[:size])

    with storage.open("x.bin") as file:
        assert file.read() == BIG[:size]
    with storage.open("x.bin") as file:
        assert b"".join(file.chunks(chunk_size=100_000)) == BIG[:size]


def test_an_empty_object_is_an_empty_file(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    storage.save("empty.pdf", ContentFile(b""))

    with storage.open("empty.pdf") as file:
        assert file.read() == b""
        assert file.size == 0
        assert file.content_type == "application/pdf"
        assert list(file.chunks()) == []


def test_lines_are_iterated_as_django_files_do(storage: MinioBackend) -> None:
    text = b"".join(b"line %d\n" % number for number in range(50_000)) + b"no end"
    storage.save("lines.txt", ContentFile(text))

    with storage.open("lines.txt") as file:
        assert list(file) == text.splitlines(keepends=True)
    with storage.open("lines.txt") as file:
        assert file.readline() == b"line 0\n"
        assert file.readline() == b"line 1\n"


def test_seek_and_tell_agree_with_a_file_in_memory(storage: MinioBackend, big: str) -> None:
    reference = io.BytesIO(BIG)
    jumps = [(5, 0), (0, 2), (-10, 2), (len(BIG) // 2, 0), (-1000, 1), (FIRST_RANGE, 1), (0, 0), (99, 1)]

    with storage.open(big) as file:
        for offset, whence in jumps:
            assert file.seek(offset, whence) == reference.seek(offset, whence)
            assert file.read(100) == reference.read(100)
            assert file.tell() == reference.tell()


def test_beyond_the_end_there_is_nothing_and_before_the_start_no_place(
    storage: MinioBackend, small: str
) -> None:
    with storage.open(small) as file:
        file.seek(len(SMALL) + 5)
        assert file.read() == b""
        with pytest.raises(ValueError, match=r"before the start of 'small\.bin'"):
            file.seek(-1)


def test_a_file_can_be_opened_again(storage: MinioBackend, big: str) -> None:
    file = storage.open(big)
    file.read(10)

    assert file.open().read(10) == BIG[:10]
    file.close()
    assert file.closed
    with file.open("rb") as again:
        assert again.read() == BIG
    assert file.closed


def test_a_file_opened_again_is_the_object_that_is_there_then(
    storage: MinioBackend, bare: Minio, bucket: str, small: str
) -> None:
    file = storage.open(small)
    file.close()
    put(bare, bucket, small, b"other")

    assert file.open().read() == b"other"
    assert file.size == 5


def test_other_modes_are_an_error(storage: MinioBackend, small: str) -> None:
    for mode in ("a", "ab", "at", "r+b", "w+", "x+b", "U", ""):
        with pytest.raises(ValueError, match=f"mode '{mode}'".replace("+", r"\+")):
            storage.open(small, mode)
    with storage.open(small) as file, pytest.raises(ValueError, match="open for reading"):
        file.open("wb")
    with pytest.raises(ValueError, match="'w' to store new content"):
        storage.open(small, "a")


def test_a_missing_object_is_file_not_found(storage: MinioBackend, bucket: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no object 'none.txt' in the bucket '{bucket}'"):
        storage.open("none.txt")


def test_writing_is_refused(storage: MinioBackend, small: str) -> None:
    with storage.open(small) as file:
        assert not file.writable()
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"x")


# Where a seekable binary file is expected


def test_zip_archives_open_in_place(through: Make, proxy: Proxy) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for number in range(20):
            writer.writestr(f"{number}.bin", BIG[number : number + FIRST_RANGE])
    storage = through()
    storage.save("archive.zip", ContentFile(archive.getvalue()))
    proxy.forget()

    with storage.open("archive.zip") as file, zipfile.ZipFile(file) as reader:
        assert reader.read("7.bin") == BIG[7 : 7 + FIRST_RANGE]

    assert proxy.sent < 7 * FIRST_RANGE < len(archive.getvalue()) / 2


def test_jumping_about_in_a_small_file_takes_no_request(through: Make, proxy: Proxy) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("sheet.xml", BIG[:5000])
        writer.writestr("styles.xml", BIG[5000 : FIRST_RANGE // 2])
    storage = through()
    storage.save("book.xlsx", ContentFile(archive.getvalue()))
    proxy.forget()

    with storage.open("book.xlsx") as file, zipfile.ZipFile(file) as reader:
        assert reader.testzip() is None
        assert reader.read("sheet.xml") == BIG[:5000]
        for _ in range(2):
            file.seek(0)
            assert file.read() == archive.getvalue()

    assert proxy.methods == ["GET"]


def test_csv_is_read_as_text(storage: MinioBackend) -> None:
    rows = [[str(number), "grüße"] for number in range(30_000)]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    storage.save("rows.csv", ContentFile(text.getvalue()))

    with storage.open("rows.csv") as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as lines:
        assert list(csv.reader(lines)) == rows


def test_images_open_and_dimensions_take_one_request(through: Make, proxy: Proxy) -> None:
    picture = io.BytesIO()
    Image.effect_noise((800, 600), 50).save(picture, "PNG")
    storage = through()
    storage.save("picture.png", ContentFile(picture.getvalue()))
    proxy.forget()

    with storage.open("picture.png") as file:
        assert (ImageFile(file).width, ImageFile(file).height) == (800, 600)
    assert proxy.methods == ["GET"]
    with storage.open("picture.png") as file, Image.open(file) as image:
        image.load()
        assert image.size == (800, 600)


@pytest.mark.django_db  # the end of a response looks after the connections on Django 4.2
def test_a_response_streams_the_file_with_its_length(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()

    response = FileResponse(storage.open(big), as_attachment=True, filename="own.bin")

    assert response["Content-Length"] == str(len(BIG))
    assert b"".join(response.streaming_content) == BIG
    response.close()
    assert proxy.methods == ["GET", "GET"]


# What it costs


def test_nothing_is_fetched_but_the_beginning_until_more_is_read(
    through: Make, proxy: Proxy, big: str
) -> None:
    with through().open(big) as file:
        assert file.read(100) == BIG[:100]

    assert proxy.methods == ["GET"]
    assert proxy.sent <= FIRST_RANGE


def test_a_small_file_takes_one_request_and_a_large_one_two(
    through: Make, proxy: Proxy, small: str, big: str
) -> None:
    storage = through()

    with storage.open(small) as file:
        file.read()
    assert proxy.methods == ["GET"]

    proxy.forget()
    with storage.open(big) as file:
        for _ in file.chunks():
            pass
    assert proxy.methods == ["GET", "GET"]
    assert proxy.sent == len(BIG)


def test_a_jump_fetches_a_range_and_reading_on_streams_the_rest(
    through: Make, proxy: Proxy, big: str
) -> None:
    storage = through()

    with storage.open(big) as file:
        file.seek(FIRST_RANGE * 2)
        assert file.read() == BIG[FIRST_RANGE * 2 :]

    assert [request.headers.get("if-match") for request in proxy.requests] == [None, *[file.etag] * 3]
    ranges = [request.headers["range"] for request in proxy.requests]
    assert ranges == [
        f"bytes=0-{FIRST_RANGE - 1}",
        f"bytes={FIRST_RANGE * 2}-{FIRST_RANGE * 3 - 1}",
        f"bytes={FIRST_RANGE * 3}-{FIRST_RANGE * 7 - 1}",
        f"bytes={FIRST_RANGE * 7}-{len(BIG) - 1}",
    ]


@pytest.mark.parametrize("read", [0, 1, FIRST_RANGE], ids=["nothing", "a byte", "the beginning"])
def test_partly_read_files_give_their_connection_back(
    through: Make, proxy: Proxy, big: str, read: int
) -> None:
    storage = through()

    for _ in range(20):
        with storage.open(big) as file:
            file.read(read)

    assert proxy.connections == 0  # the one of the warm-up serves them all


def test_files_that_nobody_closes_give_their_connection_back(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()

    for _ in range(20):
        storage.open(big).read(10)

    assert proxy.connections == 0


@contextmanager
def collected_by_hand() -> Iterator[None]:
    """Let the garbage collector run where the test says so, and nowhere else. A deadlock ends the run."""
    gc.collect()
    gc.disable()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        gc.enable()


def leave_in_a_cycle(file: Any) -> None:
    """Nobody closes it, and only the garbage collector finds it, as with a row and the file it opened."""
    file.itself = file


@pytest.mark.any_server
@pytest.mark.parametrize("name", ["big.bin", "small.bin"])
def test_files_that_only_the_garbage_collector_finds_give_their_connection_back(
    through: Make, proxy: Proxy, big: str, small: str, name: str
) -> None:
    storage = through()

    with collected_by_hand():
        for _ in range(3):
            leave_in_a_cycle(storage.open(name))
        gc.collect()
        connections = proxy.connections
        for _ in range(3):
            leave_in_a_cycle(storage.open(name))

    assert proxy.connections == connections == 2  # and the one of the warm-up


@pytest.mark.any_server
def test_the_garbage_collector_may_run_while_a_connection_is_taken(
    through: Make, big: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = through()

    def collect_and_take(idle: Any) -> Any:
        gc.collect()
        return idle.queue.pop()

    with collected_by_hand(), monkeypatch.context() as patch:  # closing a pool takes each of its places
        leave_in_a_cycle(storage.open(big))
        patch.setattr(LifoQueue, "_get", collect_and_take)
        assert storage.exists(big)


def test_a_file_left_in_the_middle_of_its_stream_leaves_no_open_connection(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    put(bare, bucket, "huge.bin", BIG * 16)
    storage = through()

    for _ in range(5):
        with storage.open("huge.bin") as file:
            file.read(FIRST_RANGE + 10)
    storage.exists("huge.bin")

    assert proxy.open_connections <= 6
    assert proxy.sent < 5 * len(BIG) * 16


def test_errors_give_their_connection_back(through: Make, proxy: Proxy) -> None:
    storage = through()

    for _ in range(10):
        with pytest.raises(FileNotFoundError):
            storage.open("none.txt")

    assert proxy.connections == 0


def test_an_empty_object_gives_its_connection_back(through: Make, proxy: Proxy) -> None:
    storage = through()
    storage.save("empty.txt", ContentFile(b""))
    proxy.forget()

    for _ in range(10):
        with storage.open("empty.txt") as file:
            assert file.read() == b""

    assert proxy.connections == 0


# One version, whole


def test_an_object_replaced_while_it_is_read_is_an_error_and_never_mixed(
    storage: MinioBackend, bare: Minio, bucket: str, big: str
) -> None:
    with storage.open(big) as file:
        assert file.read(10) == BIG[:10]
        put(bare, bucket, big, bytes(len(BIG)))

        with pytest.raises(ServerError, match=r"replaced while it was being read\. Open it again"):
            file.read()


def test_a_shorter_replacement_is_an_error_as_well(
    storage: MinioBackend, bare: Minio, bucket: str, big: str
) -> None:
    with storage.open(big) as file:
        put(bare, bucket, big, b"short")

        with pytest.raises(ServerError, match="was replaced"):
            file.read()


def test_a_replacement_is_seen_even_where_a_proxy_drops_the_condition(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, big: str
) -> None:
    storage = through()
    proxy.when(without("If-Match"), times=None)

    with storage.open(big) as file:
        file.read(10)
        put(bare, bucket, big, bytes(len(BIG)))
        with pytest.raises(ServerError, match="was replaced"):
            file.read()


def test_an_object_deleted_while_it_is_read_is_file_not_found(
    storage: MinioBackend, bare: Minio, bucket: str, big: str
) -> None:
    with storage.open(big) as file:
        bare.remove_object(bucket_name=bucket, object_name=big)

        with pytest.raises(FileNotFoundError, match=r"no object 'big\.bin'"):
            file.read()


@pytest.mark.parametrize("after", [0, 1, 1000, FIRST_RANGE * 5])
def test_a_stream_that_breaks_goes_on_where_it_was(through: Make, proxy: Proxy, big: str, after: int) -> None:
    storage = through()
    proxy.when(cut_answer(after), method="GET", where=reads_on)

    with storage.open(big) as file:
        assert file.read() == BIG

    assert proxy.methods == ["GET", "GET", "GET"]


def test_a_beginning_that_breaks_is_fetched_again(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()
    proxy.when(cut_answer(1000), method="GET")

    with storage.open(big) as file:
        assert b"".join(file.chunks()) == BIG


def test_a_stream_that_always_breaks_is_an_error_and_never_short(
    through: Make, proxy: Proxy, big: str
) -> None:
    storage = through(MINIO_RETRIES=1)
    proxy.when(cut_answer(0), method="GET", times=None)

    with storage.open(big) as file, pytest.raises(ServerError, match=proxy.endpoint):
        file.read()


def test_a_stream_that_breaks_is_not_mended_with_another_version(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, big: str
) -> None:
    storage = through()

    def replace_and_break(exchange: Exchange) -> None:
        answer = exchange.forward()
        exchange.send(answer.head(), count=False)
        exchange.send(next(answer.body()))
        put(bare, bucket, big, bytes(len(BIG)))
        exchange.reset()

    proxy.when(replace_and_break, method="GET", where=reads_on)

    with storage.open(big) as file, pytest.raises(ServerError, match="was replaced"):
        file.read()


def test_a_lost_answer_is_asked_for_again(through: Make, proxy: Proxy, small: str) -> None:
    storage = through()
    proxy.when(drop_answer, method="GET")

    with storage.open(small) as file:
        assert file.read() == SMALL


def test_a_server_without_ranges_is_read_all_the_same(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()
    proxy.when(without("Range"), times=None)

    with storage.open(big) as file:
        assert file.read(10) == BIG[:10]
        file.seek(-10, os.SEEK_END)
        assert file.read() == BIG[-10:]
        file.seek(FIRST_RANGE * 3)
        assert file.read(10) == BIG[FIRST_RANGE * 3 :][:10]
    with storage.open(big) as file:
        assert b"".join(file.chunks()) == BIG


def changed(**headers: str | None) -> Callable[[Exchange], None]:
    """Pass the answer on with other headers."""

    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        for name, value in headers.items():
            answer.set(name.replace("_", "-"), value)
        exchange.relay(answer)

    return action


@pytest.mark.parametrize(
    "headers",
    [{"Content_Range": None}, {"Content_Range": "bytes */*"}, {"Content_Range": "bytes 5-9/100"}],
)
def test_an_answer_that_does_not_say_what_it_holds_is_an_error(
    through: Make, proxy: Proxy, big: str, headers: dict[str, Any]
) -> None:
    storage = through()
    proxy.when(changed(**headers), method="GET", times=None)

    with pytest.raises(ServerError, match="is not from an S3 server"):
        storage.open(big).read()


def test_an_answer_of_another_place_in_the_object_is_an_error(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()
    with storage.open(big) as file:
        wrong = f"bytes {FIRST_RANGE + 5}-{len(BIG) - 1}/{len(BIG)}"
        proxy.when(changed(Content_Range=wrong), method="GET")
        with pytest.raises(ServerError, match="not from"):
            file.read()


def test_an_error_in_the_middle_is_told_as_such(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()
    with storage.open(big) as file:
        proxy.when(answering(403, b"<Error><Code>AccessDenied</Code><Message>No</Message></Error>"))
        with pytest.raises(ServerError, match="403 AccessDenied No"):
            file.read()
        file.seek(0)
        assert file.read(10) == BIG[:10]


def test_threads_read_files_of_their_own_side_by_side(through: Make, proxy: Proxy, big: str) -> None:
    storage = through()
    wrong: list[int] = []

    def read(number: int) -> None:
        for round_ in range(5):
            with storage.open(big) as file:
                start = (number * 7919 + round_ * 104_729) % len(BIG)
                file.seek(start)
                if file.read(100_000) != BIG[start : start + 100_000]:
                    wrong.append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert proxy.connections <= 8


def test_the_content_type_and_the_entity_tag_come_with_the_file(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    storage.save("x.pdf", ContentFile(b"x"))

    with storage.open("x.pdf") as file:
        stat = bare.stat_object(bucket_name=bucket, object_name="x.pdf")
        assert file.content_type == "application/pdf"
        assert file.etag.strip('"') == stat.etag
        assert file.name == "x.pdf"
        assert file.mode == "rb"
    assert stored(bare, bucket, "x.pdf") == b"x"
