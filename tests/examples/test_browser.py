"""The site in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minio import Minio, S3Error
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.chromium import chromium, needs_chromium

from .conftest import Site
from .projects import log_in

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def picture() -> bytes:
    target = BytesIO()
    Image.frombytes("RGB", (30, 20), secrets.token_bytes(30 * 20 * 3)).save(target, "PNG")
    return target.getvalue()


def upload(page: Page, kind: str, title: str, filename: str, content: bytes) -> None:
    form = page.get_by_role("form", name=f"Add a {kind}")
    form.get_by_label("Title").fill(title)
    form.get_by_label("File").set_input_files(
        {"name": filename, "mimeType": "application/octet-stream", "buffer": content}
    )
    form.get_by_role("button", name=f"Upload the {kind}").click()


def is_stored(bare: Minio, name: str) -> bool:
    try:
        bare.stat_object(bucket_name="demo-harbour", object_name=name)
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
        return False
    return True


def test_a_photo_is_uploaded_seen_downloaded_and_deleted(page: Page, site: Site, bare: Minio):
    title, filename, content = secrets.token_hex(6), f"{secrets.token_hex(6)} (1).png", picture()
    name = f"photos/{filename.replace(' (1)', '_1')}"

    page.goto(site.url("harbour"))
    upload(page, "photo", title, filename, content)

    expect(page.get_by_role("status")).to_have_text(f"Stored {filename} in the bucket demo-harbour.")
    assert is_stored(bare, name)
    thumbnail = page.get_by_role("img", name=title)
    thumbnail.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete", arg=thumbnail.element_handle())
    assert thumbnail.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [30, 20]

    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {title}").click()
    assert download.value.suggested_filename == filename
    assert Path(download.value.path()).read_bytes() == content

    asked = page.get_by_role("form", name=f"Delete {title}?")
    page.get_by_role("button", name=f"Delete {title}").click()
    asked.get_by_role("button", name="Keep it").click()
    expect(asked).to_be_hidden()
    assert is_stored(bare, name)
    page.get_by_role("button", name=f"Delete {title}").click()
    asked.get_by_role("button", name="Yes, delete it").click()
    expect(page.get_by_role("status")).to_have_text(f"Deleted {filename} from the bucket demo-harbour.")
    expect(page.get_by_role("img", name=title)).to_have_count(0)
    assert not is_stored(bare, name)


def test_a_file_that_is_no_image_is_explained_beside_its_field(page: Page, site: Site):
    page.goto(site.url("orchard"))

    upload(page, "photo", "My title", "words.png", b"no image")

    form = page.get_by_role("form", name="Add a photo")
    expect(form.get_by_role("alert")).to_contain_text("Upload a valid image.")
    expect(form.get_by_label("Title")).to_have_value("My title")


def test_what_became_of_an_upload_is_in_sight_on_a_phone(page: Page, site: Site):
    page.set_viewport_size({"width": 390, "height": 600})
    page.goto(site.url("harbour"))
    upload(page, "document", "words", "wrong.txt", b"")
    expect(page.get_by_role("form", name="Add a document").get_by_role("alert")).to_be_in_viewport()

    upload(page, "document", "words", "right.txt", b"words")

    expect(page.get_by_role("status")).to_be_in_viewport()


def test_the_sites_lead_to_each_other(page: Page, site: Site):
    page.goto(f"http://localhost:{site.port}/")

    page.get_by_role("main").get_by_role("link", name="Orchard School").click()
    expect(page).to_have_url(site.url("orchard"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Orchard School")
    page.get_by_role("navigation").get_by_role("link", name="Harbour Museum").click()
    expect(page).to_have_url(site.url("harbour"))


def test_a_visitor_tries_to_read_the_other_tenants_file(page: Page, site: Site):
    page.goto(site.url("orchard"))
    page.get_by_role("link", name="Try to read Harbour Museum’s file").click()

    got = page.get_by_role("listitem").locator(".got")
    refused = ["404", "403", "403", "TenantRequired"]
    expect(got).to_have_text([*refused, re.compile("^200, the same bytes, saved as ")])
    page.goto(f"{site.url('orchard')}try/orchard")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is at this address")


def test_the_list_of_tenants_leads_to_the_docs_and_to_its_admin(page: Page, site: Site):
    page.goto(f"http://localhost:{site.port}/")
    for link in page.get_by_role("region", name="How it is done").get_by_role("link").all():
        answer = page.goto(f"http://localhost:{site.port}{link.get_attribute('href')}")
        assert answer.ok
        page.go_back()
    page.goto(f"http://localhost:{site.port}/admin/customers/client/")
    log_in(page)
    expect(page.get_by_role("link", name="Harbour Museum")).to_be_visible()


def test_a_page_loads_only_from_the_site_and_from_the_s3_server(page: Page, site: Site):
    hosts, messages = set(), []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: messages.append(message.text))

    page.goto(site.url("harbour"), wait_until="networkidle")

    assert hosts == {f"harbour.localhost:{site.port}", os.environ["MINIO_ENDPOINT"]}
    assert messages == []


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_no_page_is_wider_than_its_window(page: Page, site: Site, width: int):
    page.set_viewport_size({"width": width, "height": 700})

    harbour = site.url("harbour")
    for address in (f"http://localhost:{site.port}/", harbour, f"{harbour}try/orchard"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == width
