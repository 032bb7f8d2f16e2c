"""Keys of the customer's own: they go with every request for the object, and only over HTTPS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
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
from tests.support.proxy import Action, Exchange, Proxy, drop_answer, reset
from tests.support.server import names_in
from tests.support.storages import Make, keys

KEY = SseCustomerKey(b"k" * 32)
KEY_HEADER = "x-amz-server-side-encryption-customer-key"
CONTENT = os.urandom(11 * 1024 * 1024)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def gate(authority: trustme.CA, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy that speaks HTTPS."""
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    with Proxy(os.environ["MINIO_ENDPOINT"], certificate=certificate) as proxy:
        yield proxy
    setting_changed.send(sender=None, setting="MINIO_ENDPOINT", value=None, enter=False)


@pytest.fixture
def secured(bucket: str, authority: trustme.CA, gate: Proxy, tmp_path: Path) -> Iterator[Make]:
    """Make storages that reach the server over HTTPS."""
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    server = {"MINIO_ENDPOINT": gate.endpoint, "MINIO_USE_HTTPS": True, **keys()}
    with urllib3.PoolManager(ca_certs=str(trusted), maxsize=10, timeout=20) as pool:
        yield partial(MinioBackend, bucket, public=False, http_client=pool, **server)


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
        with pytest.raises(ConfigurationError, match=r"HTTPS\. Set MINIO_USE_HTTPS"):
            use()
    assert proxy.requests == []


@pytest.mark.parametrize("content", [b"small", CONTENT], ids=["one request", "parts"])
def test_what_was_saved_with_a_key_is_read_with_it_and_not_without(
    encrypted: MinioBackend, gate: Proxy, bare: Minio, bucket: str, content: bytes
) -> None:
    gate.forget()
    name = encrypted.save("x.bin", ContentFile(content))
    assert all(KEY_HEADER in request.headers for request in gate.requests)

    with encrypted.open(name) as file:
        assert file.read() == content
    with encrypted.open(name) as file:
        file.seek(-3, os.SEEK_END)
        assert file.read() == content[-3:]
    assert encrypted.exists(name)
    assert encrypted.size(name) == encrypted.stat(name).size == len(content)
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


@pytest.mark.parametrize("failure", [drop_answer, reset], ids=["answer lost", "request lost"])
def test_a_deletion_in_doubt_is_settled_although_it_is_encrypted(
    encrypted: MinioBackend, gate: Proxy, bare: Minio, bucket: str, failure: Action
) -> None:
    encrypted.save("x.bin", ContentFile(b"secret"))
    gate.forget()
    gate.when(failure, method="DELETE")

    encrypted.delete("x.bin")

    assert "x.bin" not in names_in(bare, bucket)
    assert all(KEY_HEADER in request.headers for request in gate.requests if request.method == "HEAD")


def test_what_another_writer_stores_meanwhile_stays_although_it_is_encrypted(
    encrypted: MinioBackend, gate: Proxy
) -> None:
    encrypted.save("x.bin", ContentFile(b"old"))

    def replace_and_lose(exchange: Exchange) -> None:
        for _ in exchange.forward().body():
            pass
        encrypted.save("x.bin", ContentFile(b"new"))
        exchange.reset()

    gate.when(replace_and_lose, method="DELETE")

    encrypted.delete("x.bin")

    assert encrypted.open("x.bin").read() == b"new"


def test_encryption_by_the_server_needs_no_https(through: Make, proxy: Proxy) -> None:
    storage = through(sse=SseS3())

    with suppress(ServerError):  # MinIO has no key service here
        storage.save("x.txt", ContentFile(b"x"))

    put = next(request for request in proxy.requests if request.method == "PUT")
    assert put.headers["x-amz-server-side-encryption"] == "AES256"
