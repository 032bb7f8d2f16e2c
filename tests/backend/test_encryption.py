"""Keys of the customer's own: they go with every request for the object, and only over HTTPS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
import urllib3
from django.core.files.base import ContentFile
from django.core.signals import setting_changed
from minio import Minio, S3Error
from minio.sse import SseCustomerKey, SseKMS, SseS3

from django_minio_router import ConfigurationError, MinioBackend
from django_minio_router.exceptions import ServerError
from tests.proxy import Proxy

from .conftest import Make, keys

KEY = SseCustomerKey(b"k" * 32)
CONTENT = os.urandom(11 * 1024 * 1024)


@pytest.fixture
def secured(bucket: str, tmp_path: Path) -> Iterator[Make]:
    """Make storages that reach the server over HTTPS."""
    authority = trustme.CA()
    certificate, trusted = tmp_path / "server.pem", tmp_path / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(trusted)
    with (
        Proxy(os.environ["MINIO_ENDPOINT"], certificate=certificate) as proxy,
        urllib3.PoolManager(ca_certs=str(trusted), maxsize=10, timeout=20) as pool,
    ):

        def make(**options: object) -> MinioBackend:
            own = {"MINIO_ENDPOINT": proxy.endpoint, "MINIO_USE_HTTPS": True, **keys()}
            return MinioBackend(bucket, public=False, http_client=pool, **own, **options)

        yield make
    setting_changed.send(sender=None, setting="MINIO_ENDPOINT", value=None, enter=False)


@pytest.fixture
def encrypted(secured: Make) -> MinioBackend:
    storage = secured(sse=KEY)
    try:
        storage.save("trial", ContentFile(b"x"))
    except ServerError as error:
        pytest.skip(f"This server takes no keys of the customer's through a proxy: {error}")
    return storage


@pytest.mark.parametrize("sse", [KEY, SseKMS("a-key", {})])
def test_a_key_never_goes_over_plain_http(through: Make, proxy: Proxy, sse: object) -> None:
    storage = through()
    storage.sse = sse

    for use in (
        lambda: storage.save("x.txt", ContentFile(b"x")),
        lambda: storage.open("x.txt"),
        lambda: storage.exists("x.txt"),
    ):
        with pytest.raises(ConfigurationError, match=r"over HTTPS\. Set MINIO_USE_HTTPS"):
            use()
    assert proxy.requests == []


@pytest.mark.parametrize("content", [b"small", CONTENT], ids=["one request", "parts"])
def test_what_was_saved_with_a_key_is_read_with_it_and_not_without(
    encrypted: MinioBackend, bare: Minio, bucket: str, content: bytes
) -> None:
    name = encrypted.save("x.bin", ContentFile(content))

    with encrypted.open(name) as file:
        assert file.read() == content
    with encrypted.open(name) as file:
        file.seek(-3, os.SEEK_END)
        assert file.read() == content[-3:]
    assert encrypted.exists(name)
    assert encrypted.size(name) == len(content)
    with pytest.raises(S3Error):
        bare.get_object(bucket_name=bucket, object_name=name)


def test_another_key_does_not_open_it(encrypted: MinioBackend, secured: Make) -> None:
    encrypted.save("x.bin", ContentFile(b"secret"))

    with pytest.raises(ServerError):
        secured(sse=SseCustomerKey(b"o" * 32)).open("x.bin")


def test_a_taken_name_is_seen_although_it_is_encrypted(encrypted: MinioBackend) -> None:
    first = encrypted.save("x.bin", ContentFile(CONTENT))
    second = encrypted.save("x.bin", ContentFile(CONTENT))

    assert first != second


def test_encryption_by_the_server_needs_no_https(through: Make, proxy: Proxy) -> None:
    storage = through(sse=SseS3())

    with suppress(ServerError):  # MinIO has no key service here
        storage.save("x.txt", ContentFile(b"x"))

    put = next(request for request in proxy.requests if request.method == "PUT")
    assert put.headers["x-amz-server-side-encryption"] == "AES256"
