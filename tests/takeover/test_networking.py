"""Browsers see the server under another address, below a path, and over HTTPS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import urllib3
from django.core.files.base import ContentFile

from django_minio_router import MinioBackend
from tests.support.proxy import Exchange, Proxy, forward


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def gateway(authority: trustme.CA, tmp_path: Path) -> Iterator[Proxy]:
    """https://example.com/files/ in front of the server, with the path taken away."""
    certificate = tmp_path / "example.com.pem"
    authority.issue_cert("example.com").private_key_and_cert_chain_pem.write_to_path(certificate)
    with Proxy(os.environ["MINIO_ENDPOINT"], prefix="/files", certificate=certificate) as proxy:
        yield proxy


@pytest.fixture
def browser(gateway: Proxy, authority: trustme.CA, tmp_path: Path) -> urllib3.HTTPSConnectionPool:
    """A browser whose name service says that example.com is the gateway."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    host, _, port = gateway.endpoint.partition(":")
    return urllib3.HTTPSConnectionPool(
        host,
        int(port),
        headers={"Host": "example.com"},
        server_hostname="example.com",
        assert_hostname="example.com",
        ca_certs=str(tmp_path / "authority.pem"),
        retries=False,
    )


@pytest.fixture
def storage(bucket: str, settings) -> MinioBackend:
    settings.MINIO_EXTERNAL_ENDPOINT = "https://example.com/files/"
    return MinioBackend(bucket, public=False)


def visit(browser: urllib3.HTTPSConnectionPool, link: str) -> urllib3.BaseHTTPResponse:
    assert link.startswith("https://example.com/files/")
    return browser.request("GET", link.removeprefix("https://example.com"))


@pytest.mark.parametrize("name", ["plain.txt", "folder/ü 日本+&?#%.txt"])
def test_a_signed_link_below_a_path_opens_over_https(
    name: str, storage: MinioBackend, browser: urllib3.HTTPSConnectionPool, gateway: Proxy
) -> None:
    storage.save(name, ContentFile(b"content"))

    assert gateway.connections == 0, "requests of the project go to the internal endpoint"
    assert visit(browser, storage.url(name)).data == b"content"


def test_a_download_below_a_path_has_its_name(
    storage: MinioBackend, browser: urllib3.HTTPSConnectionPool
) -> None:
    storage.save("plain.txt", ContentFile(b"content"))

    answer = visit(browser, storage.url("plain.txt", filename="Report.txt"))

    assert answer.headers["Content-Disposition"] == 'attachment; filename="Report.txt"'


def test_a_public_link_below_a_path_opens_in_a_public_bucket(
    bucket: str, storage: MinioBackend, settings, browser: urllib3.HTTPSConnectionPool
) -> None:
    settings.MINIO_PUBLIC_BUCKETS = [bucket]
    public = MinioBackend(bucket)
    public.check_bucket_existence()
    public.save("a b.txt", ContentFile(b"content"))

    assert public.url("a b.txt") == f"https://example.com/files/{bucket}/a%20b.txt"
    assert visit(browser, public.url("a b.txt")).data == b"content"


def test_the_path_is_no_way_to_another_object(
    storage: MinioBackend, browser: urllib3.HTTPSConnectionPool
) -> None:
    for name in ("mine.txt", "other.txt"):
        storage.save(name, ContentFile(b"content"))

    link = storage.url("mine.txt")

    assert visit(browser, link.replace("mine.txt", "other.txt")).status == 403
    assert visit(browser, link.partition("?")[0]).status == 403


def test_a_proxy_that_names_another_host_breaks_the_signature(
    storage: MinioBackend, browser: urllib3.HTTPSConnectionPool, gateway: Proxy
) -> None:
    """As docs/servers.md says: the host that the browser asked for must reach the server."""

    def rewrite_host(exchange: Exchange) -> None:
        exchange.message.set("Host", "internal.example.com")
        forward(exchange)

    storage.save("plain.txt", ContentFile(b"content"))
    gateway.when(rewrite_host)

    assert visit(browser, storage.url("plain.txt")).status == 403
    assert visit(browser, storage.url("plain.txt")).status == 200
