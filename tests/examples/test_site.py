"""The sites of two tenants, as their visitors see them."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Callable
from io import BytesIO

import pytest
import urllib3
from minio import Minio, S3Error
from PIL import Image

from .conftest import Site
from .projects import Visitor

BUCKETS = {"harbour": "demo-harbour", "orchard": "demo-orchard"}


@pytest.fixture(params=list(BUCKETS))
def tenant(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def other(tenant: str) -> str:
    (other,) = BUCKETS.keys() - {tenant}
    return other


@pytest.fixture
def visitor(site: Site, tenant: str) -> Visitor:
    return site.visitor(tenant)


@pytest.fixture
def stored(bare: Minio) -> Callable[[str, str], bytes | None]:
    """Return a function that reads what a tenant's bucket holds under a name."""

    def read(tenant: str, name: str) -> bytes | None:
        try:
            response = bare.get_object(bucket_name=BUCKETS[tenant], object_name=name)
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            return None
        return response.read()

    return read


def image() -> bytes:
    """A PNG that no other test has."""
    target = BytesIO()
    Image.frombytes("RGB", (8, 6), secrets.token_bytes(8 * 6 * 3)).save(target, "PNG")
    return target.getvalue()


def unique(extension: str) -> str:
    return f"{secrets.token_hex(8)}.{extension}"


def upload(visitor: Visitor, kind: str, filename: str, content: bytes, title: str = "A title"):
    fields = {f"{kind}-title": title, f"{kind}-file": (filename, content), "add": kind}
    return visitor.submit("/", fields)


def address_of(visitor: Visitor, kind: str, title: str) -> str:
    """Return the address behind the Download of the file with this title."""
    found = re.search(
        rf'href="(/{kind}s/[0-9a-f-]+)">Download<span class="hidden"> {re.escape(html.escape(title))}<',
        visitor.page(),
    )
    assert found, f"the page has no {kind} {title!r}"
    return found[1]


def plain_http(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, retries=False)


@pytest.mark.parametrize("kind", ["photo", "document"])
def test_an_upload_goes_to_the_bucket_of_the_tenant_and_to_no_other(kind, visitor, tenant, other, stored):
    filename, content = unique("png"), image()

    assert upload(visitor, kind, filename, content).status == 302

    assert stored(tenant, f"{kind}s/{filename}") == content
    assert stored(other, f"{kind}s/{filename}") is None


def test_two_tenants_keep_two_files_of_one_name(site, stored):
    filename = unique("txt")
    for tenant in BUCKETS:
        upload(site.visitor(tenant), "document", filename, tenant.encode())

    for tenant in BUCKETS:
        assert stored(tenant, f"documents/{filename}") == tenant.encode()


def test_the_page_lists_the_file_and_names_its_bucket(visitor, tenant):
    filename, title = unique("txt"), f"<Plan> {secrets.token_hex(4)}"

    upload(visitor, "document", filename, b"words", title)

    page = visitor.page()
    assert f"Stored {filename} in the bucket {BUCKETS[tenant]}." in page
    assert f"These files are in the bucket <code>{BUCKETS[tenant]}</code>" in page
    assert f"<h3>{html.escape(title)}</h3>" in page
    assert "5\N{NO-BREAK SPACE}bytes" in page


def test_the_thumbnail_shows_the_photo(visitor):
    title, content = secrets.token_hex(8), image()

    upload(visitor, "photo", unique("png"), content, title)

    source = re.search(rf'<img src="([^"]+)" alt="{title}" width="8" height="6"', visitor.page())
    answer = plain_http(html.unescape(source[1]))
    assert (answer.status, answer.headers["Content-Type"], answer.data) == (200, "image/png", content)


def test_the_download_link_saves_the_file_under_its_own_name(visitor):
    title = secrets.token_hex(8)
    upload(visitor, "document", "Été à la mer (1).txt", b"salt", title)

    answer = visitor.request("GET", address_of(visitor, "document", title))

    assert answer.status == 302
    file = plain_http(answer.headers["Location"])
    assert (file.status, file.data) == (200, b"salt")
    assert file.headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''%C3%89t%C3%A9%20%C3%A0%20la%20mer%20%281%29.txt"
    )


@pytest.mark.parametrize("kind", ["photo", "document"])
def test_delete_removes_the_file_from_the_page_and_from_the_bucket(kind, visitor, tenant, stored):
    filename, title, content = unique("png"), secrets.token_hex(8), image()
    upload(visitor, kind, filename, content, title)
    assert stored(tenant, f"{kind}s/{filename}") == content

    answer = visitor.submit(address_of(visitor, kind, title) + "/delete", {})

    assert answer.status == 302
    assert f"<h3>{title}</h3>" not in visitor.page()
    assert stored(tenant, f"{kind}s/{filename}") is None


@pytest.mark.parametrize("kind", ["photo", "document"])
def test_the_other_tenant_finds_nothing_at_the_same_address(kind, site, visitor, tenant, other, stored):
    filename, title, content = unique("png"), secrets.token_hex(8), image()
    upload(visitor, kind, filename, content, title)
    address, others = address_of(visitor, kind, title), site.visitor(other)

    assert title not in others.page()
    assert others.request("GET", address).status == 404
    assert others.submit(address + "/delete", {}).status == 404
    assert stored(tenant, f"{kind}s/{filename}") == content


@pytest.mark.parametrize("kind", ["photo", "document"])
def test_nobody_reads_the_file_without_a_signature_or_with_that_of_another_bucket(
    kind, visitor, tenant, other
):
    title = secrets.token_hex(8)
    upload(visitor, kind, unique("png"), image(), title)
    link = visitor.request("GET", address_of(visitor, kind, title)).headers["Location"]

    assert plain_http(link).status == 200
    assert plain_http(link.partition("?")[0]).status == 403
    assert plain_http(link.replace(BUCKETS[tenant], BUCKETS[other])).status == 403


def test_a_file_that_is_no_image_is_refused_and_not_stored(visitor, tenant, stored):
    filename = unique("png")

    answer = upload(visitor, "photo", filename, b"no image")

    assert answer.status == 422
    assert "Upload a valid image." in answer.data.decode()
    assert stored(tenant, f"photos/{filename}") is None


def test_a_title_is_asked_for(visitor):
    answer = upload(visitor, "document", unique("txt"), b"words", title="")

    assert answer.status == 422
    assert '<p class="error" role="alert">This field is required.</p>' in answer.data.decode()


def test_delete_takes_a_form_with_a_token_and_nothing_else(visitor, tenant, stored):
    filename, title = unique("txt"), secrets.token_hex(8)
    upload(visitor, "document", filename, b"words", title)
    address = address_of(visitor, "document", title) + "/delete"

    assert visitor.request("GET", address).status == 405
    assert visitor.request("POST", address).status == 403
    assert stored(tenant, f"documents/{filename}") == b"words"


def test_any_other_host_shows_the_list_of_tenants(site):
    for host in ("localhost", "127.0.0.1", "nobody.localhost"):
        page = Visitor(site.port, host).page()
        assert all(site.url(tenant) in page for tenant in BUCKETS)


def test_a_host_that_is_not_of_this_machine_is_refused(site):
    assert Visitor(site.port, "harbour.example.com").request("GET", "/").status == 404
