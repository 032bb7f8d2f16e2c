"""A visitor uploads a file with a script, another one opens its link in a real browser: nothing runs.

Each case is opened twice. With ``MINIO_ACTIVE_CONTENT="inline"`` the script does run, so that browser, server
and script are what they must be for the other half to say anything.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from playwright.sync_api import BrowserContext, Error, Page, expect

from django_minio_router import MinioRouter
from django_minio_router.strategies import FixedBucket
from tests.support.chromium import chromium, needs_chromium
from tests.support.proxy import Exchange, Proxy, forward

pytestmark = needs_chromium

RAN = "/the-script-ran"
HTML = "<!doctype html><title>quiet</title><p>Hello</p><script>%s</script>"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20">'
    '<rect width="30" height="20"/><script>%s</script></svg>'
)
XHTML = '<?xml version="1.0"?><x><script xmlns="http://www.w3.org/1999/xhtml">%s</script></x>'


class Case(NamedTuple):
    """A file of a visitor: its name, the type that the visitor's browser declared, and the content."""

    name: str
    content_type: str
    content: str
    never_on_minio: str = ""
    """Why MinIO serves it as no page, whatever is stored with it."""


GUESSED = "MinIO does not take a type from the ending"
SNIFFED = "MinIO tells browsers not to look into the content"

CASES = {
    "a page": Case("page.html", "text/html", HTML),
    "a drawing": Case("drawing.svg", "image/svg+xml", SVG),
    "a page of XML": Case("page.xhtml", "application/xhtml+xml", XHTML),
    "data of XML": Case("data.xml", "text/xml", XHTML),
    "a photo that is declared as a page": Case("photo.png", "text/html", HTML),
    "a photo that is declared as a drawing": Case("photo.png", "image/svg+xml", SVG),
    "a photo with a type in capitals and a parameter": Case("photo.png", "TEXT/HTML; charset=utf-8", HTML),
    "a photo with two types": Case("photo.png", "image/png, text/html", HTML),
    "a type of which browsers look into the file": Case("photo.png", "unknown/unknown", HTML, SNIFFED),
    "a page that is declared as bytes": Case("page.html", "application/octet-stream", HTML, GUESSED),
    "a drawing that is declared as bytes": Case("drawing.svg", "application/octet-stream", SVG, GUESSED),
}


@dataclass
class Listener:
    """A server on loopback that the scripts call when they run."""

    port: int = 0
    calls: list[str] = field(default_factory=list)
    heard: threading.Event = field(default_factory=threading.Event)

    @property
    def script(self) -> str:
        return f"document.title = 'ran'; new Image().src = 'http://127.0.0.1:{self.port}{RAN}';"


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == RAN:
                listener.calls.append(self.path)
                listener.heard.set()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>another site</title>")

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener.port = server.server_port
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield listener
        server.shutdown()


@pytest.fixture(scope="module")
def window() -> Iterator[BrowserContext]:
    """One for all, as each test has a bucket and a listener of its own, and nobody is logged in."""
    with chromium() as browser, browser.new_context() as context:
        yield context


@pytest.fixture(scope="module")
def tab(window: BrowserContext) -> Iterator[Page]:
    with window.new_page() as page:
        yield page


@pytest.fixture
def page(tab: Page) -> Page:
    """An empty one."""
    tab.goto("about:blank")
    return tab


@pytest.fixture(params=["signed link", "plain link"])
def public_read(request: pytest.FixtureRequest) -> bool:
    return request.param == "plain link"


def uploaded(bucket: str, case: Case, listener: Listener, *, public_read: bool, **options: Any) -> str:
    """Store the file as a form would, and return its link."""
    router = MinioRouter(FixedBucket(bucket, public_read=public_read), **options)
    if public_read:
        router.backend.check_bucket_existence()
    content = (case.content % listener.script).encode()
    link = router.url(router.save(case.name, SimpleUploadedFile("x", content, case.content_type)))
    assert ("?" in link) is not public_read
    return link


@pytest.mark.parametrize("kind", CASES)
def test_the_script_in_it_does_not_run(
    bucket: str, listener: Listener, page: Page, public_read: bool, kind: str
) -> None:
    link = uploaded(bucket, CASES[kind], listener, public_read=public_read)

    with page.expect_download() as download, suppress(Error):  # Playwright: "Download is starting"
        page.goto(link)

    assert listener.script.encode() in download.value.path().read_bytes()
    assert page.url == "about:blank"
    assert page.title() == ""
    assert listener.calls == []


@pytest.mark.parametrize("kind", CASES)
def test_without_the_protection_it_runs(
    bucket: str, listener: Listener, page: Page, public_read: bool, kind: str, on_minio: bool
) -> None:
    case = CASES[kind]
    if on_minio and case.never_on_minio:
        pytest.skip(case.never_on_minio)
    link = uploaded(bucket, case, listener, public_read=public_read, MINIO_ACTIVE_CONTENT="inline")

    page.goto(link)

    assert listener.heard.wait(30)
    assert listener.calls == [RAN]


CHANGED = "response-content-type=text/html&response-content-disposition=inline"


def without_query_unless_signed(exchange: Exchange) -> None:
    """What docs/files.md lets a proxy before public buckets do."""
    start, target, version = exchange.message.start.split(" ")
    path, _, query = target.partition("?")
    if not re.search("(^|&)X-Amz-Credential=", query):
        exchange.message.start = f"{start} {path} {version}"
    forward(exchange)


@pytest.mark.parametrize("kind", CASES)
def test_a_plain_link_that_is_changed_runs_it_unless_a_proxy_drops_what_is_asked(
    bucket: str, listener: Listener, page: Page, kind: str
) -> None:
    """The servers obey what anybody adds to the link of a public bucket; docs/files.md says what helps."""
    link = uploaded(bucket, CASES[kind], listener, public_read=True)
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        proxy.when(without_query_unless_signed, times=None)
        guarded = link.replace(os.environ["MINIO_ENDPOINT"], proxy.endpoint)
        for query in (CHANGED, CHANGED.replace("-", "%2D"), f"{CHANGED}&x=X-Amz-Credential=x"):
            with page.expect_download(), suppress(Error):
                page.goto(f"{guarded}?{query}")
        assert listener.calls == []

    if CASES[kind].content == HTML:
        page.goto(f"{link}?{CHANGED}")
        assert listener.heard.wait(30)


def test_a_signed_link_that_is_changed_is_refused(bucket: str, listener: Listener, page: Page) -> None:
    link = uploaded(bucket, CASES["a page"], listener, public_read=False)

    for changed in (
        f"{link}&{CHANGED}",
        link.replace("=attachment", "=inline"),
        f"{link.split('?')[0]}?{CHANGED}",
    ):
        answer = page.goto(changed)
        assert answer is not None
        assert answer.status == 403
    assert listener.calls == []


def framed(page: Page, listener: Listener, link: str) -> None:
    """Show the file in a frame of a page of another site."""
    page.goto(f"http://127.0.0.1:{listener.port}/")
    page.evaluate(
        "link => document.body.append(Object.assign(document.createElement('iframe'), {src: link}))", link
    )


def test_nor_in_a_frame_of_another_site(bucket: str, listener: Listener, page: Page) -> None:
    link = uploaded(bucket, CASES["a page"], listener, public_read=False)

    with page.expect_download():
        framed(page, listener, link)

    assert listener.calls == []


def test_without_the_protection_it_runs_there_too(bucket: str, listener: Listener, page: Page) -> None:
    link = uploaded(bucket, CASES["a page"], listener, public_read=False, MINIO_ACTIVE_CONTENT="inline")

    framed(page, listener, link)

    assert listener.heard.wait(30)


def test_a_drawing_is_still_seen_as_an_image_of_a_page(
    bucket: str, listener: Listener, window: BrowserContext
) -> None:
    link = uploaded(bucket, CASES["a drawing"], listener, public_read=False)

    with window.new_page() as page:  # Chromium shows no image on an empty page that was elsewhere before
        page.set_content('<img alt="drawing">')
        image = page.get_by_role("img", name="drawing")
        image.evaluate("(image, link) => { image.src = link }", link)

        expect(image).to_have_js_property("naturalWidth", 30)
    assert listener.calls == []


def test_a_passive_file_is_still_shown(
    bucket: str, listener: Listener, page: Page, public_read: bool
) -> None:
    case = Case("notes.txt", "text/plain", "Notes on <script>%s</script>")
    link = uploaded(bucket, case, listener, public_read=public_read)

    page.goto(link)

    expect(page.get_by_text("Notes on")).to_be_visible()
    assert listener.calls == []
