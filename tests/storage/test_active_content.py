"""Files that a browser would run: stored to download in strategies' buckets, and linked to download."""

from __future__ import annotations

import copy
import io
import mimetypes
import os
import pickle
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from minio import Minio

from django_minio_router import MinioBackend, MinioBackendStatic, MinioRouter
from django_minio_router.storage.active_content import is_safe_to_display
from django_minio_router.strategies import FixedBucket
from tests.support.proxy import Proxy
from tests.support.scale import scale
from tests.support.storages import keys

MIB = 1024 * 1024
OCTETS = "application/octet-stream"

ACTIVE = [
    ("page.html", "text/html"),
    ("page.HTM", "text/html"),
    ("drawing.svg", "image/svg+xml"),
    ("script.js", "text/javascript"),
    ("module.mjs", "application/javascript"),
    ("page.xhtml", "application/xhtml+xml"),
    ("data.xml", "application/xml"),
    ("archive.mht", "message/rfc822"),
    ("movie.swf", "application/x-shockwave-flash"),
    # A type that lies about the name, and a name that lies about the type
    ("page.html", "image/png"),
    ("drawing.svg", "image/png"),
    ("page.html", OCTETS),
    ("photo.png", "text/html"),
    ("photo.png", "image/svg+xml"),
    ("photo.png", "TEXT/HTML"),
    ("photo.png", " text/html ; charset=utf-8"),
    ("photo.png", "image/png, text/html"),
    ("photo.png", "image/png;a=b, text/html"),
    ("photo.png", 'image/png; a="b, text/html"'),
    ("photo.png", "image /png"),
    ("photo.png", "image/png text/html"),
    ("photo.png", "image/*"),
    ("photo.png", "*/*"),
    ("photo.png", "image"),
    ("photo.png", ";"),
    ("photo.png", " "),
    ("photo.png", "unknown/unknown"),
    ("photo.png", "text/xsl"),
    ("photo.png", "image/x+xml"),
    ("photo.png", "multipart/x-mixed-replace"),
    # What nobody knows
    ("README", "text/plain"),
    ("png", "image/png"),
    ("photo.png.", "image/png"),
    ("photo.png ", "image/png"),
    ("a.png/page", "image/png"),
    ("photo.png.html", "image/png"),
    ("photo.new", "image/png"),
    ("ab:photo.png?x.html", "image/png"),
    ("data:image/png,x.html", None),
]

PASSIVE = [
    ("photo.png", "image/png"),
    ("photo.png", None),
    ("photo.png", "IMAGE/PNG"),
    ("photo.png", "image/png; charset=binary"),
    ("photo.png", OCTETS),
    ("PHOTO.JPEG", "image/jpeg"),
    ("page.html.png", "image/png"),
    ("song.mp3", "audio/mpeg"),
    ("film.webm", "video/webm"),
    ("notes.txt", "text/plain; charset=utf-8"),
    ("paper.pdf", "application/pdf"),
    ("letters.woff2", "font/woff2"),
    ("all.zip", "application/zip"),
    ("folder.html/photo.gif", "image/gif"),
]


def upload(name: str, content_type: str | None, content: bytes = b"<script>") -> Any:
    file = SimpleUploadedFile("x", content)
    file.content_type = content_type
    return file


def disposition(bare: Minio, bucket: str, name: str) -> str | None:
    stat = bare.stat_object(bucket_name=bucket, object_name=name)
    return stat.metadata.get("Content-Disposition")


def asked(url: str) -> str | None:
    return parse_qs(urlsplit(url).query).get("response-content-disposition", [None])[0]


def routed(bucket: str, *, public_read: bool = False, **options: Any) -> MinioRouter:
    return MinioRouter(FixedBucket(bucket, public_read=public_read), **options)


@pytest.fixture
def router(bucket: str) -> MinioRouter:
    return routed(bucket)


@pytest.fixture(scope="module")
def browser() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False) as browser:
        yield browser


# What is stored, and what links say


@pytest.mark.parametrize(("name", "content_type"), ACTIVE)
def test_what_is_not_known_to_be_safe_is_stored_to_download(
    router: MinioRouter, bare: Minio, bucket: str, name: str, content_type: str | None
) -> None:
    saved = router.save(name, upload(name, content_type))

    assert disposition(bare, bucket, saved) == "attachment"


@pytest.mark.parametrize(("name", "content_type"), PASSIVE)
def test_what_is_safe_to_show_is_shown(
    router: MinioRouter,
    bare: Minio,
    bucket: str,
    browser: urllib3.PoolManager,
    name: str,
    content_type: str | None,
) -> None:
    saved = router.save(name, upload(name, content_type))

    assert disposition(bare, bucket, saved) is None
    assert "Content-Disposition" not in browser.request("GET", router.url(saved)).headers


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "script.js", "README", "photo.png."])
@pytest.mark.parametrize("options", [{}, {"expires": 60}, {"content_type": "image/png"}])
def test_a_signed_link_says_download_whatever_was_stored(
    router: MinioRouter, bare: Minio, bucket: str, browser: urllib3.PoolManager, name: str, options: Any
) -> None:
    bare.put_object(  # before the option was there, or by another program
        bucket_name=bucket, object_name=name, data=io.BytesIO(b"x"), length=1, content_type="text/html"
    )

    answer = browser.request("GET", router.url(name, **options))

    assert (answer.status, answer.headers["Content-Disposition"]) == (200, "attachment")


def test_a_link_that_gives_a_content_type_is_judged_by_it(router: MinioRouter) -> None:
    assert asked(router.url("photo.png", content_type="image/svg+xml")) == "attachment"
    assert asked(router.url("photo.png", content_type="image/webp")) is None


def test_what_the_caller_says_of_a_link_holds(router: MinioRouter, browser: urllib3.PoolManager) -> None:
    saved = router.save("page.html", upload("page.html", "text/html"))

    shown = browser.request("GET", router.url(saved, disposition="inline"))
    named = browser.request("GET", router.url(saved, filename="My page.html"))

    assert shown.headers["Content-Disposition"] == "inline"
    assert named.headers["Content-Disposition"] == 'attachment; filename="My page.html"'


def test_a_public_bucket_is_protected_by_what_is_stored(bucket: str, browser: urllib3.PoolManager) -> None:
    router = routed(bucket, public_read=True)
    router.backend.check_bucket_existence()
    saved = router.save("page.html", upload("page.html", "text/html"))

    link = router.url(saved)

    assert "?" not in link
    assert browser.request("GET", link).headers["Content-Disposition"] == "attachment"
    assert asked(router.url(saved, expires=60)) == "attachment"


def test_a_path_and_a_name_that_is_none_are_judged_too(router: MinioRouter) -> None:
    assert asked(router.url(PurePosixPath("a") / "page.html")) == "attachment"
    assert asked(router.url(PurePosixPath("a") / "photo.png")) is None
    for name in (7, b"page.html"):
        with pytest.raises(SuspiciousFileOperation):
            router.url(name, content_type="image/png")


# No type and no name gets through


def endings() -> list[str]:
    return sorted(set(mimetypes.types_map) | set(mimetypes.common_types))


def is_run_by_browsers(answer: Any) -> bool:
    """Tell whether a browser would run scripts in it, or look into the content for what it is."""
    essence = answer.headers.get("Content-Type", "").rpartition(",")[2].partition(";")[0].strip().lower()
    _, slash, below = essence.partition("/")
    if not slash or not below or essence in {"unknown/unknown", "application/unknown", "*/*"}:
        return True
    words = ("html", "xsl", "svg", "script", "flash", "rfc822", "multipart", "mht", "java")
    return essence.endswith(("/xml", "+xml")) or any(word in essence for word in words)


def test_whatever_a_name_ends_with_what_is_shown_is_not_run(
    router: MinioRouter, browser: urllib3.PoolManager
) -> None:
    assert is_run_by_browsers(
        browser.request("GET", router.url(router.save("x.html", upload("x", "text/html"))))
    )
    shown = [ending for ending in endings() if is_safe_to_display(f"x{ending}", OCTETS)]
    assert len(shown) > 30

    for ending in shown:
        for content_type in (OCTETS, None):
            saved = router.save(f"x{ending}", upload("x", content_type))
            answer = browser.request("GET", router.url(saved))
            assert (saved, answer.status, is_run_by_browsers(answer)) == (saved, 200, False)


types = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30) | st.lists(
    st.sampled_from(
        ["text", "/", "html", "image", "png", "svg", "+xml", ";", ",", " ", "a=b", '"', "\t", "plain", "*"]
    ),
    max_size=10,
).map("".join)


@settings(max_examples=scale(100, 300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content_type=types, ending=st.sampled_from([".png", ".txt", ".pdf", ".html", ".svg", "", ".", ".x"]))
@example(content_type="image/png,", ending=".png")
@example(content_type="text/html;image/png", ending=".png")
def test_whatever_type_is_declared_what_is_shown_is_not_run(
    bucket: str, browser: urllib3.PoolManager, content_type: str, ending: str
) -> None:
    router = routed(bucket, replace_existing=True)
    saved = router.save(f"x{ending}", upload("x", content_type))

    answer = browser.request("GET", router.url(saved))
    stored = browser.request("GET", MinioBackend(bucket, public=False).url(saved))

    for response in (answer, stored):
        assert response.status == 200
        assert response.headers.get("Content-Disposition") == "attachment" or not is_run_by_browsers(response)


# Own headers


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"Content-Disposition": 'inline; filename="a.html"'}, 'attachment; filename="a.html"'),
        ({"content-disposition": 'attachment; filename="a.html"'}, 'attachment; filename="a.html"'),
        ({"Content-Disposition": "inline"}, "attachment"),
        ({"Content-Disposition": "ATTACHMENT"}, "attachment"),
        ({"Content-Disposition": ""}, "attachment"),
        ({"Content-Disposition": ["inline", "attachment"]}, "attachment"),
        ({"Content-Disposition": "attachment", "content-disposition": "inline"}, "attachment"),
    ],
)
def test_a_disposition_of_the_projects_own_keeps_its_file_name(
    bare: Minio, bucket: str, metadata: dict[str, Any], expected: str
) -> None:
    router = routed(bucket, metadata={**metadata, "Cache-Control": "no-store", "color": "red"})

    saved = router.save("page.html", upload("page.html", "text/html"))

    stat = bare.stat_object(bucket_name=bucket, object_name=saved)
    assert stat.metadata["Content-Disposition"] == expected
    assert stat.metadata["Cache-Control"] == "no-store"
    assert stat.metadata["x-amz-meta-color"] == "red"


def test_of_a_safe_file_it_stays_as_it_is(bare: Minio, bucket: str) -> None:
    router = routed(bucket, metadata={"Content-Disposition": 'inline; filename="a.png"'})

    saved = router.save("photo.png", upload("photo.png", "image/png"))

    assert disposition(bare, bucket, saved) == 'inline; filename="a.png"'


# What it costs


def test_it_takes_no_further_request(bare: Minio, bucket: str, proxy: Proxy) -> None:
    options = {"MINIO_ENDPOINT": proxy.endpoint, "MINIO_CONDITIONAL_WRITES": True, **keys()}
    router = routed(bucket, **options)
    saved = router.save("page.html", upload("page.html", "text/html"))
    assert proxy.methods == ["PUT"]
    router.url(saved)
    assert proxy.methods == ["PUT"]
    proxy.forget()

    large = router.save("large.html", ContentFile(os.urandom(6 * MIB)))
    alike = list(proxy.methods)
    proxy.forget()
    routed(bucket, **options, MINIO_MULTIPART_PART_SIZE=5 * MIB).save(
        "parts.html", ContentFile(os.urandom(6 * MIB))
    )
    in_parts = list(proxy.methods)
    proxy.forget()
    routed(bucket, **options, MINIO_MULTIPART_PART_SIZE=5 * MIB, MINIO_ACTIVE_CONTENT="inline").save(
        "inline.html", ContentFile(os.urandom(6 * MIB))
    )

    assert alike == ["PUT"]
    assert sorted(in_parts) == sorted(proxy.methods)
    assert in_parts.count("PUT") >= 2
    assert disposition(bare, bucket, large) == "attachment"
    assert disposition(bare, bucket, "parts.html") == "attachment"
    assert disposition(bare, bucket, "inline.html") is None


# The setting


def stored_to_download(storage: Any, bare: Minio, bucket: str) -> bool:
    saved = storage.save("page.html", upload("page.html", "text/html"))
    answers = disposition(bare, bucket, saved), asked(storage.url(saved))
    assert answers in {("attachment", "attachment"), (None, None)}
    return answers[0] is not None


def test_single_buckets_are_as_they_always_were(bare: Minio, bucket: str, settings: Any) -> None:
    settings.MINIO_PRIVATE_BUCKETS = [bucket]
    settings.MINIO_DEFAULT_BUCKET = bucket

    for storage in (MinioBackend(bucket), MinioBackend(), MinioRouter(), MinioRouter(FixedBucket(bucket))):
        assert not stored_to_download(storage, bare, bucket)


def test_the_setting_holds_for_all_storages(bare: Minio, bucket: str, settings: Any) -> None:
    settings.MINIO_PRIVATE_BUCKETS = [bucket]
    backend, router = MinioBackend(bucket), routed(bucket)
    assert not stored_to_download(backend, bare, bucket)
    assert stored_to_download(router, bare, bucket)

    settings.MINIO_ACTIVE_CONTENT = "download"
    assert stored_to_download(backend, bare, bucket)
    settings.MINIO_ACTIVE_CONTENT = "inline"
    assert not stored_to_download(router, bare, bucket)


def test_a_storage_may_say_it_for_itself(bare: Minio, bucket: str, settings: Any) -> None:
    settings.MINIO_PRIVATE_BUCKETS = [bucket]

    assert not stored_to_download(routed(bucket, MINIO_ACTIVE_CONTENT="inline"), bare, bucket)
    assert stored_to_download(MinioBackend(bucket, MINIO_ACTIVE_CONTENT="download"), bare, bucket)


def test_static_files_are_the_projects_own(bare: Minio, bucket: str, settings: Any) -> None:
    settings.MINIO_ACTIVE_CONTENT = "download"
    storage = MinioBackendStatic(bucket)

    saved = storage.save("page.html", ContentFile(b"<script>"))

    assert disposition(bare, bucket, saved) is None


def test_copies_and_pickles_protect_as_well(bare: Minio, router: MinioRouter, bucket: str) -> None:
    for storage in (router, router.backend):
        assert stored_to_download(copy.deepcopy(storage), bare, bucket)
        assert stored_to_download(pickle.loads(pickle.dumps(storage)), bare, bucket)


def test_check_reports_another_value(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.MINIO_ACTIVE_CONTENT = "attach"

    with pytest.raises(
        SystemCheckError, match=r"MINIO_ACTIVE_CONTENT is 'attach'\. It takes 'inline' or 'download'"
    ):
        call_command("check")
