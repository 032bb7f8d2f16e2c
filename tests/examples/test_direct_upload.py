"""Direct upload in a real browser, by the two forms of the demo."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from minio import Minio
from PIL import Image
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.support.chromium import chromium, needs_chromium

from .conftest import PART, Site
from .projects import log_in

pytestmark = needs_chromium
MIB = 1024 * 1024
THREE_PARTS = 2 * PART + 100_000
AT_FULL_SCALE = [pytest.param(size, marks=pytest.mark.full_scale) for size in (300, 410)]
S3 = os.environ["MINIO_ENDPOINT"]
TO_S3 = f"**://{S3}/**"


def part(number: int) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(S3)}/.*partNumber={number}&")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Traffic:
    """What a page asked for, since it was opened."""

    def __init__(self, page: Page) -> None:
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request))

    def of(self, method: str, host: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and urlsplit(r.url).netloc == host]


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(site.url("harbour"))
        yield page


@pytest.fixture
def traffic(page: Page) -> Traffic:
    return Traffic(page)


@pytest.fixture
def incoming(bare: Minio) -> Iterator[None]:
    """Nothing stays below incoming/, once the requests under way are over."""
    yield
    for _ in range(50):
        found = bare.list_objects(bucket_name="demo-harbour", prefix="incoming/", recursive=True)
        left = [entry.object_name for entry in found]
        if not left:
            return
        time.sleep(0.2)
    raise AssertionError(left)


def large_file(folder: Path, size: int) -> Path:
    path = folder / f"{secrets.token_hex(6)}.bin"
    with path.open("wb") as file:
        file.write(secrets.token_bytes(MIB))
        file.truncate(size)
    return path


def choose(page: Page, path: Path, title: str = "A title") -> None:
    form = page.get_by_role("form", name="Add a document")
    form.get_by_label("Title").fill(title)
    form.get_by_label("File").set_input_files(path)


def send(page: Page) -> None:
    page.get_by_role("button", name="Upload the document").click()


def is_stored_whole(bare: Minio, path: Path, folder: str = "documents") -> bool:
    stored = bare.get_object(bucket_name="demo-harbour", object_name=f"{folder}/{path.name}")
    with path.open("rb") as file, stored:
        return all(chunk == file.read(len(chunk)) for chunk in stored.stream(MIB)) and not file.read(1)


def expect_stored(page: Page, path: Path) -> None:
    text = f"Stored {path.name} in the bucket demo-harbour."
    expect(page.get_by_role("status")).to_have_text(text, timeout=60_000)


def test_a_small_file_takes_three_requests_to_django_and_none_of_its_bytes(
    page: Page, traffic: Traffic, site: Site, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    """Under the site's strict policy for content, as all tests here."""
    path = large_file(tmp_path, 300_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    choose(page, path)
    send(page)
    expect_stored(page, path)

    assert is_stored_whole(bare, path)
    posts = traffic.of("POST", f"harbour.localhost:{site.port}")
    assert len(posts) == 3  # begin, complete, and the form
    assert sum(len(post.post_data_buffer or b"") for post in posts) < 10_000
    assert len(traffic.of("PUT", S3)) == 1
    policy = site.visitor("harbour").request("GET", "/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert said == []


def test_a_page_may_store_by_the_rule_that_the_hook_set(
    page: Page, bare: Minio, bucket: str, incoming: None
) -> None:
    """Where a server refuses browsers without one, which VersityGW does and SeaweedFS and MinIO do not."""
    links = [
        bare.presigned_put_object(bucket_name=name, object_name="a") for name in (bucket, "demo-harbour")
    ]
    asks = {"Origin": page.url.rstrip("/"), "Access-Control-Request-Method": "PUT"}
    answer = urllib3.request("OPTIONS", links[0], headers=asks, retries=False)
    if "Access-Control-Allow-Origin" in answer.headers:
        pytest.skip("The server lets all sites store in a bucket without a rule.")
    put = "url => fetch(url, {method: 'PUT', body: 'x'}).then(answer => answer.status, error => error.name)"

    assert [page.evaluate(put, link) for link in links] == ["TypeError", 200]
    bare.remove_object(bucket_name="demo-harbour", object_name="a")


@pytest.mark.parametrize("size", [40, *AT_FULL_SCALE], ids="{} MiB".format)
def test_a_large_file_goes_in_parts_and_shows_how_far_it_is(
    size: int, page: Page, traffic: Traffic, site: Site, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, size * MIB)
    page.evaluate("""document.addEventListener('minio-router:progress', event => {
        sessionStorage.seen = `${sessionStorage.seen ?? ''} ${event.detail.bytes}`
    })""")
    parts = size * MIB // PART
    held: list[Route] = []
    page.route(part(parts), lambda route: held.append(route))
    with page.expect_request(part(parts), timeout=300_000):
        choose(page, path)
    send(page)  # the form waits
    bar = page.get_by_role("progressbar", name="Upload")
    expect(bar).to_have_js_property("max", 1)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(1)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.screenshot(path=os.environ.get("SCREENSHOT_OF_THE_BAR", tmp_path / "bar.png"))
    held[0].continue_()
    expect_stored(page, path)

    assert is_stored_whole(bare, path)
    seen = [int(bytes) for bytes in page.evaluate("sessionStorage.seen").split()]
    assert (seen[0], seen[-1]) == (0, size * MIB)
    assert seen == sorted(seen)
    assert len(set(seen)) >= parts
    assert len(traffic.of("POST", f"harbour.localhost:{site.port}")) == 3 + (parts > 50)
    assert len(traffic.of("PUT", S3)) == parts


def test_a_line_that_is_cut_is_taken_up_again(
    page: Page, traffic: Traffic, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, THREE_PARTS)
    broken: list[str] = []

    def cut(route: Route) -> None:
        if len(broken) < 2:
            broken.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(part(2), cut)
    choose(page, path)
    send(page)
    expect_stored(page, path)
    assert len(broken) == 2
    assert is_stored_whole(bare, path)
    assert len(traffic.of("PUT", S3)) == 3 + 2  # the whole parts go once


def kept(page: Page) -> list[Any]:
    """Return what the browser keeps: names in localStorage, and sizes in IndexedDB."""
    script = """async () => {
        const open = indexedDB.open('minio-router')
        open.onupgradeneeded = () => open.result.createObjectStore('files')
        await new Promise(done => { open.onsuccess = done })
        const files = open.result.transaction('files').objectStore('files').getAll()
        await new Promise(done => { files.onsuccess = done })
        open.result.close()
        const names = Object.entries(localStorage).filter(([key]) => key.startsWith('minio-router:'))
            .map(([_, entry]) => JSON.parse(entry).name)
        return [...names, ...files.result.map(file => file.size)]
    }"""
    return page.evaluate(script)


def begin_and_hold(page: Page, path: Path, parts: int = 3) -> None:
    """Upload all but the last part, whose request gets no answer before the page ends."""
    held: list[Route] = []
    page.route(part(parts), lambda route: route.continue_() if held else held.append(route))
    with page.expect_request(part(parts), timeout=300_000):
        choose(page, path)
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_js_property("value", (parts - 1) * PART / path.stat().st_size, timeout=300_000)


def until_kept(page: Page, *expected: Any) -> None:
    for _ in range(300):
        if kept(page) == list(expected):
            return
        page.wait_for_timeout(100)
    assert kept(page) == list(expected)


@pytest.mark.parametrize("size", [11, *AT_FULL_SCALE[:1]], ids="{} MiB".format)
def test_an_upload_goes_on_by_itself_after_a_reload(
    size: int, browser: Browser, page: Page, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, size * MIB)
    parts = -(-size * MIB // PART)
    begin_and_hold(page, path, parts)
    until_kept(page, path.name, size * MIB)
    traffic = Traffic(page)
    page.reload()
    page.get_by_role("form", name="Add a document").get_by_label("Title").fill("A title")
    send(page)
    expect_stored(page, path)

    assert is_stored_whole(bare, path)
    assert len(traffic.of("PUT", S3)) == 1  # never the first parts again
    assert kept(page) == []


def test_a_browser_that_cannot_keep_the_file_goes_on_once_it_is_chosen_again(
    page: Page, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    page.add_init_script("IDBObjectStore.prototype.put = () => { throw new Error('no room') }")
    page.reload()
    path = large_file(tmp_path, THREE_PARTS)
    begin_and_hold(page, path)
    until_kept(page, path.name)
    traffic = Traffic(page)
    page.reload()
    choose(page, path)
    send(page)
    expect_stored(page, path)
    assert is_stored_whole(bare, path)
    assert len(traffic.of("PUT", S3)) == 1


def test_nobody_else_at_the_computer_is_offered_an_upload(
    page: Page, site: Site, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, THREE_PARTS)
    begin_and_hold(page, path)
    until_kept(page, path.name, THREE_PARTS)
    address = f"http://harbour.localhost:{site.port}"
    cookies = page.context.cookies(address)
    page.context.clear_cookies()
    traffic = Traffic(page)
    page.reload()
    until_kept(page)
    assert page.context.cookies(address) != cookies  # another visitor
    expect(page.get_by_role("progressbar")).to_have_count(0)
    assert traffic.of("POST", urlsplit(address).netloc) == []
    page.context.clear_cookies()
    page.context.add_cookies(cookies)
    page.reload()
    expect(page.get_by_role("progressbar")).to_have_count(0)  # it is gone for its owner too


def test_cancel_leaves_nothing(page: Page, bare: Minio, tmp_path: Path, incoming: None) -> None:
    page.route(TO_S3, lambda route: None)  # no answer
    form = page.get_by_role("form", name="Add a document")
    with page.expect_response(lambda answer: answer.url.endswith("/uploads/")):
        choose(page, large_file(tmp_path, THREE_PARTS))
    with page.expect_response(lambda answer: '"abort"' in (answer.request.post_data or "")) as answer:
        form.get_by_role("button", name="Cancel").click()
    assert answer.value.ok
    expect(form.get_by_text("was cancelled")).to_be_visible()
    expect(form.get_by_role("progressbar")).to_have_count(0)
    until_kept(page)


def test_what_is_removed_after_the_upload_is_gone(
    page: Page, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    form = page.get_by_role("form", name="Add a document")
    choose(page, large_file(tmp_path, 300_000))
    expect(form.get_by_text("is uploaded")).to_be_visible()
    with page.expect_response(lambda answer: '"abort"' in (answer.request.post_data or "")) as answer:
        form.get_by_role("button", name="Remove").click()
    assert answer.value.ok


def test_a_second_page_of_the_form_leaves_the_upload_to_the_first(
    page: Page, site: Site, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, THREE_PARTS)
    held: list[Route] = []
    page.route(part(3), lambda route: held.append(route))
    with page.expect_request(part(3)):
        choose(page, path)
    until_kept(page, path.name, THREE_PARTS)
    second = page.context.new_page()
    traffic = Traffic(second)
    second.goto(page.url)
    second.get_by_label("File").last.set_input_files(large_file(tmp_path, 300_000))
    expect(second.get_by_text("is uploaded")).to_be_visible()
    second.get_by_role("button", name="Remove").click()
    assert kept(page) == [path.name, THREE_PARTS]
    held[0].continue_()
    send(page)
    expect_stored(page, path)
    assert len(traffic.of("PUT", S3)) == 1  # its own
    assert kept(second) == []


def test_two_files_go_at_once(page: Page, bare: Minio, tmp_path: Path, incoming: None) -> None:
    path = large_file(tmp_path, THREE_PARTS)
    photo = page.get_by_role("form", name="Add a photo")
    photo.get_by_label("File").set_input_files(large_file(tmp_path, 300_000).rename(tmp_path / "a.png"))
    choose(page, path)
    expect(photo.get_by_text("is uploaded")).to_be_visible()
    send(page)
    expect_stored(page, path)
    assert is_stored_whole(bare, path)
    # The other form was not sent, so its file is still there; a cleaning takes it after a day.
    found = bare.list_objects(bucket_name="demo-harbour", prefix="incoming/", recursive=True)
    for entry in list(found):
        bare.remove_object(bucket_name="demo-harbour", object_name=entry.object_name)


def test_a_row_of_the_admin_that_was_added_by_add_another(
    page: Page, site: Site, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = tmp_path / f"{secrets.token_hex(6)}.png"
    Image.new("RGB", (30, 20), "red").save(path)
    page.goto(site.url("harbour") + "admin/library/album/add/")
    log_in(page)
    traffic = Traffic(page)
    page.locator("[name=title]").fill("Summer")
    page.get_by_text("Add another Photo").click()
    page.locator("[name=photos-0-title]").fill("A red square")
    page.locator("#id_photos-0-file").set_input_files(path)
    page.locator("[name=_save]").click()  # at once: the form waits
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert len(traffic.of("PUT", S3)) == 1
    assert is_stored_whole(bare, path, "photos")


def test_a_form_that_fails_elsewhere_keeps_the_upload(
    page: Page, traffic: Traffic, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, 300_000)
    form = page.get_by_role("form", name="Add a document")
    choose(page, path, title="x")
    form.get_by_label("Title").evaluate("input => input.removeAttribute('maxlength')")
    form.get_by_label("Title").fill("x" * 101)
    send(page)
    expect(form.get_by_role("alert")).to_contain_text("at most 100")
    expect(form.get_by_text(f"{path.name} is uploaded.")).to_be_visible()
    form.get_by_label("Title").fill("short")
    send(page)
    expect_stored(page, path)
    assert len(traffic.of("PUT", S3)) == 1


def test_without_javascript_the_form_sends_the_file(
    browser: Browser, site: Site, bare: Minio, tmp_path: Path, incoming: None
) -> None:
    path = large_file(tmp_path, 300_000)
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(site.url("harbour"))
        choose(page, path)
        send(page)
        expect_stored(page, path)
    assert is_stored_whole(bare, path)
