"""``ObjectResponse``: conditions and ranges as RFC 9110 says, and names and types that no browser runs."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timezone
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.http import HttpRequest
from django.middleware.gzip import GZipMiddleware
from django.test import AsyncRequestFactory, RequestFactory
from django.utils.http import http_date

from django_minio_router import MinioBackend, MinioRouter, ObjectResponse, TenantRequired
from django_minio_router.s3.reading import FIRST_RANGE
from django_minio_router.strategies import FixedBucket, PerTenant
from tests.apps.docs.models import Invoice
from tests.support.proxy import Proxy
from tests.support.storages import Make

CONTENT = bytes(range(200))
SIZE = len(CONTENT)


@pytest.fixture
def name(storage: MinioBackend) -> str:
    return storage.save("docs/a.bin", ContentFile(CONTENT))


def get(path: str = "/", **headers: str) -> HttpRequest:
    return RequestFactory().get(path, **{f"HTTP_{key.upper()}": value for key, value in headers.items()})


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


# Ranges

WHOLE = [
    "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-b", "bytes=--1", "bytes=5-4", "bytes 0-1",
    "items=0-1", "bytes=0-1,5-6", "bytes=0-9,5-20", "bytes=0-1,", "bytes=١-٢", "bytes=0-1;a", "bytes=+0-1",
]  # fmt: skip
PARTS = {
    "bytes=0-": (0, 200), "bytes=0-0": (0, 1), "bytes=10-19": (10, 20), "bytes=199-": (199, 200),
    "bytes=190-5000": (190, 200), "bytes=-1": (199, 200), "bytes=-50": (150, 200), "bytes=-5000": (0, 200),
    "BYTES=0-0": (0, 1), "bytes= 0-0 ": (0, 1), "bytes=0-99999999999999999999999999": (0, 200),
}  # fmt: skip
NOTHING = ["bytes=200-", "bytes=200-300", "bytes=99999999999999999999999999-", "bytes=-0"]


@pytest.mark.parametrize("range_", WHOLE)
def test_what_is_not_one_range_gets_the_whole(storage: MinioBackend, name: str, range_: str) -> None:
    response = ObjectResponse(storage, name, request=get(range=range_))

    assert response.status_code == 200
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Content-Length"] == str(SIZE)
    assert "Content-Range" not in response.headers
    assert body(response) == CONTENT


@pytest.mark.parametrize(("range_", "part"), PARTS.items())
def test_a_range_gets_its_part(storage: MinioBackend, name: str, range_: str, part: tuple[int, int]) -> None:
    response = ObjectResponse(storage, name, request=get(range=range_))

    start, end = part
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert response.headers["Content-Length"] == str(end - start)
    assert body(response) == CONTENT[start:end]


@pytest.mark.parametrize("range_", NOTHING)
def test_a_range_that_cannot_be_satisfied_is_told_the_size(
    storage: MinioBackend, name: str, range_: str
) -> None:
    response = ObjectResponse(storage, name, request=get(range=range_))

    assert (response.status_code, body(response)) == (416, b"")
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(("range_", "status"), [("bytes=0-", 416), ("bytes=-5", 200), ("", 200)])
def test_a_range_of_an_empty_file(storage: MinioBackend, range_: str, status: int) -> None:
    empty = storage.save("empty.bin", ContentFile(b""))

    response = ObjectResponse(storage, empty, request=get(range=range_))

    assert (response.status_code, response.headers["Content-Length"], body(response)) == (status, "0", b"")


@pytest.mark.parametrize("size", [0, 1, FIRST_RANGE, FIRST_RANGE + 1, 8 * FIRST_RANGE])
def test_a_whole_file_takes_one_request(through: Make, proxy: Proxy, size: int) -> None:
    storage, content = through(), secrets.token_bytes(size)
    storage.save("whole.bin", ContentFile(content))
    proxy.forget()

    assert body(ObjectResponse(storage, "whole.bin", request=get())) == content

    assert proxy.methods == ["GET"] if size else ["GET", "GET"]
    assert storage.open("whole.bin").read(1) == content[:1], "later files are opened as before"
    assert proxy.requests[-1].sent <= FIRST_RANGE


@pytest.mark.parametrize("condition", [{"if_none_match": '"other"'}, {"range": "bytes=0-9"}])
def test_the_beginning_is_fetched_alone_where_less_than_the_file_may_be_sent(
    through: Make, proxy: Proxy, condition: dict[str, str]
) -> None:
    storage = through()
    storage.save("large.bin", ContentFile(bytes(8 * FIRST_RANGE)))
    proxy.forget()

    ObjectResponse(storage, "large.bin", request=get(**condition)).close()

    assert [request.headers["range"] for request in proxy.requests] == [f"bytes=0-{FIRST_RANGE - 1}"]


def test_a_range_of_a_large_file_takes_one_request_more(through: Make, proxy: Proxy) -> None:
    storage, content = through(), secrets.token_bytes(8 * FIRST_RANGE)
    storage.save("large.bin", ContentFile(content))
    proxy.forget()
    start, end = 3 * FIRST_RANGE, 7 * FIRST_RANGE

    response = ObjectResponse(storage, "large.bin", request=get(range=f"bytes={start}-{end - 1}"))

    assert body(response) == content[start:end]
    assert [request.headers["range"] for request in proxy.requests[1:]] == [f"bytes={start}-{end - 1}"]
    assert storage.exists("large.bin")
    assert proxy.connections <= 1, "the connection is kept"


# Conditions


def test_of_a_file_that_the_visitor_has_nothing_is_sent(storage: MinioBackend, name: str) -> None:
    first = ObjectResponse(storage, name, request=get())
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    later = http_date(datetime(2100, 1, 1, tzinfo=timezone.utc).timestamp())

    for condition in (
        {"if_none_match": etag},
        {"if_none_match": f'"other", W/{etag}'},
        {"if_none_match": "*"},
        {"if_modified_since": modified},
        {"if_modified_since": later},
    ):
        response = ObjectResponse(storage, name, request=get(range="bytes=0-0", **condition))
        assert (response.status_code, body(response)) == (304, b""), condition
        assert response.headers["ETag"] == etag
        assert "Content-Length" not in response.headers


def test_a_file_that_is_another_one_is_sent(storage: MinioBackend, name: str) -> None:
    before = http_date(datetime(2000, 1, 1, tzinfo=timezone.utc).timestamp())
    later = http_date(datetime(2100, 1, 1, tzinfo=timezone.utc).timestamp())

    for condition in (
        {"if_none_match": '"other"'},
        {"if_modified_since": before},
        {"if_modified_since": "yesterday"},
        {"if_none_match": '"other"', "if_modified_since": later},  # the first comes first
    ):
        response = ObjectResponse(storage, name, request=get(**condition))
        assert (response.status_code, body(response)) == (200, CONTENT), condition


@pytest.mark.parametrize("condition", [{"if_match": '"other"'}, {"if_unmodified_since": http_date(1)}])
def test_a_condition_that_fails_sends_nothing(
    storage: MinioBackend, name: str, condition: dict[str, str]
) -> None:
    response = ObjectResponse(storage, name, request=get(**condition))

    assert (response.status_code, body(response)) == (412, b"")


def test_a_part_is_of_the_version_that_the_visitor_has(storage: MinioBackend, name: str) -> None:
    first = ObjectResponse(storage, name, request=get())
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]

    def status(if_range: str) -> int:
        return ObjectResponse(storage, name, request=get(range="bytes=0-0", if_range=if_range)).status_code

    assert [status(same) for same in (etag, modified)] == [206, 206]
    assert [status(other) for other in ('"other"', f"W/{etag}", http_date(0), "nonsense")] == [200] * 4


def test_head_tells_of_the_whole(storage: MinioBackend, name: str) -> None:
    response = ObjectResponse(storage, name, request=RequestFactory().head("/", HTTP_RANGE="bytes=0-0"))

    assert (response.status_code, body(response)) == (200, b"")
    assert response.headers["Content-Length"] == str(SIZE)
    assert "Content-Range" not in response.headers


# What browsers make of it


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("photo.png", "image/png", 'inline; filename="photo.png"'),
        ("report.pdf", "application/pdf", 'inline; filename="report.pdf"'),
        ("page.html", "text/html", 'attachment; filename="page.html"'),
        ("logo.svg", "image/svg+xml", 'attachment; filename="logo.svg"'),
        ("photo.png", "text/html", 'attachment; filename="photo.png"'),
        ("unknown", "image/png", 'attachment; filename="unknown"'),
        ("Zoë.pdf", "application/pdf", "inline; filename*=utf-8''Zo%C3%AB.pdf"),
        ('a"b.pdf', "application/pdf", 'inline; filename="a\\"b.pdf"'),
    ],
)
def test_active_content_is_for_download(
    storage: MinioBackend, name: str, content_type: str, disposition: str
) -> None:
    content = ContentFile(b"x")
    content.content_type = content_type
    saved = storage.save(name, content)

    response = ObjectResponse(storage, saved, request=get())

    assert response.headers["Content-Disposition"] == disposition
    assert response.headers["Content-Type"] == content_type
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_caller_may_say_otherwise(storage: MinioBackend) -> None:
    saved = storage.save("page.html", ContentFile(b"<p>"))

    def headers(**options: Any) -> Any:
        return ObjectResponse(storage, saved, request=get(), **options).headers

    assert headers(as_attachment=False)["Content-Disposition"] == 'inline; filename="page.html"'
    assert headers(filename="a.txt")["Content-Disposition"] == 'attachment; filename="a.txt"'
    assert headers(content_type="text/plain")["Content-Type"] == "text/plain"
    assert headers(headers={"X-Own": "1"})["X-Own"] == "1"


def test_a_line_break_in_a_name_ends_no_header(storage: MinioBackend, name: str) -> None:
    response = ObjectResponse(storage, name, request=get(), filename="a\r\nSet-Cookie: b=c")

    assert "\n" not in response.headers["Content-Disposition"]


def test_stored_headers_come_along(make: Make) -> None:
    storage = make(metadata={"Cache-Control": "max-age=60", "Content-Disposition": "attachment"})
    saved = storage.save("photo.png", ContentFile(b"png"))

    headers = ObjectResponse(storage, saved, request=get()).headers

    assert headers["Cache-Control"] == "max-age=60"
    assert headers["Content-Disposition"] == 'attachment; filename="photo.png"'


def test_a_part_is_not_packed_as_if_it_were_the_whole(storage: MinioBackend) -> None:
    saved = storage.save("a.txt", ContentFile(b"a" * 5000))
    request = get(range="bytes=0-999", accept_encoding="gzip")

    response = GZipMiddleware(lambda request: ObjectResponse(storage, saved, request=request))(request)

    assert response.headers["Content-Length"] == "1000"
    assert body(response) == b"a" * 1000


# Where the file is


def test_a_row_and_an_open_file_are_taken_as_well(storage: MinioBackend, use: Any) -> None:
    use(Invoice, MinioRouter(strategy=FixedBucket(storage.bucket, public_read=False)))
    row = Invoice(file=storage.save("a.bin", ContentFile(CONTENT)))

    assert body(ObjectResponse(row.file, request=get())) == CONTENT
    assert body(ObjectResponse(storage.open("a.bin"), request=get(range="bytes=5-"))) == CONTENT[5:]


def test_storages_of_others_are_taken_as_well() -> None:
    other = InMemoryStorage()
    other.save("page.html", ContentFile(CONTENT))

    response = ObjectResponse(other, "page.html", request=get(range="bytes=5-9"))

    assert (response.status_code, body(response)) == (206, CONTENT[5:10])
    assert response.headers["Content-Disposition"].startswith("attachment")


def test_what_is_not_there_is_not_found(storage: MinioBackend, use: Any) -> None:
    use(Invoice, MinioRouter(strategy=FixedBucket(storage.bucket, public_read=False)))

    for missing in ((storage, "missing.bin"), (Invoice().file,), (storage, "")):
        with pytest.raises(FileNotFoundError):
            ObjectResponse(*missing, request=get())
    with pytest.raises(SuspiciousFileOperation):
        ObjectResponse(storage, "../a.bin", request=get())


def test_it_stays_with_the_version_that_it_opened(make: Make) -> None:
    storage = make(replace_existing=True)
    storage.save("a.bin", ContentFile(CONTENT))
    response = ObjectResponse(storage, "a.bin", request=get())

    storage.save("a.bin", ContentFile(b"another one"))

    assert body(response) == CONTENT


@pytest.mark.django_db
def test_it_is_closed_with_the_response(storage: MinioBackend, name: str) -> None:
    file = storage.open(name)
    response = ObjectResponse(file, request=get())
    next(response.streaming_content)

    response.close()

    assert file.closed
    assert list(response.streaming_content) == []


# Async code


def test_async_code_gets_it_in_pieces(storage: MinioBackend) -> None:
    content = secrets.token_bytes(2_000_000)
    saved = storage.save("a.bin", ContentFile(content))

    async def ask(**options: Any) -> tuple[int, list[bytes]]:
        request = AsyncRequestFactory().get("/", **options)
        response = await ObjectResponse.acreate(storage, saved, request=request)
        assert response.is_async
        return response.status_code, [piece async for piece in response]

    status, pieces = asyncio.run(ask())
    assert (status, b"".join(pieces)) == (200, content)
    assert len(pieces) > 2
    status, pieces = asyncio.run(ask(headers={"Range": "bytes=1000000-1500000"}))
    assert (status, b"".join(pieces)) == (206, content[1_000_000:1_500_001])


def test_async_code_without_a_tenant_opens_nothing() -> None:
    with pytest.raises(TenantRequired):
        ObjectResponse.acreate(MinioRouter(strategy=PerTenant()), "a.bin", request=get())  # not even awaited


def test_a_row_in_async_code(storage: MinioBackend, use: Any) -> None:
    use(Invoice, MinioRouter(strategy=FixedBucket(storage.bucket, public_read=False)))
    row = Invoice(file=storage.save("a.bin", ContentFile(CONTENT)))

    async def ask() -> bytes:
        response = await ObjectResponse.acreate(row.file, request=AsyncRequestFactory().get("/"))
        return b"".join([piece async for piece in response])

    assert asyncio.run(ask()) == CONTENT
