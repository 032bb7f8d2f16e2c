"""HTTPS to the server: what is wrong with a certificate or a handshake is a clear error."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import certifi
import pytest
import trustme
import urllib3
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from tests.support.proxy import Proxy

from . import faults
from .conftest import forget_clients, options_for, put, stored
from .operations import LARGE, OPERATIONS, PART, Operation
from .patience import TIME_LIMIT, is_clear, within_patience

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this machine trusts, as it would one that its administrator installed."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


@contextmanager
def serving(certificate: trustme.LeafCert, folder: Path) -> Iterator[Proxy]:
    path = folder / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(path)
    with Proxy(os.environ["MINIO_ENDPOINT"], certificate=path) as proxy:
        yield proxy
    forget_clients()


def storage_at(endpoint: str, bucket: str, *, use_https: bool = True) -> MinioBackend:
    return MinioBackend(
        bucket,
        **options_for(
            endpoint,
            MINIO_USE_HTTPS=use_https,
            MINIO_READ_TIMEOUT=TIME_LIMIT,
            MINIO_CONNECT_TIMEOUT=TIME_LIMIT,
            MINIO_RETRIES=1,
            MINIO_CONDITIONAL_WRITES=True,
            MINIO_MULTIPART_PART_SIZE=PART,
        ),
    )


def test_files_travel_over_https(trusted: trustme.CA, tmp_path: Path, bare: Minio, bucket: str) -> None:
    with serving(trusted.issue_cert("127.0.0.1"), tmp_path) as proxy:
        storage = storage_at(proxy.endpoint, bucket)

        name = storage.save("large.bin", ContentFile(LARGE))

        assert stored(bare, bucket, name) == LARGE
        assert storage.open(name).read() == LARGE


def test_the_time_limit_holds_over_https_too(
    trusted: trustme.CA, tmp_path: Path, bare: Minio, bucket: str
) -> None:
    put(bare, bucket, "large.bin", LARGE)
    with serving(trusted.issue_cert("127.0.0.1"), tmp_path) as proxy:
        storage = storage_at(proxy.endpoint, bucket)
        assert storage.exists("large.bin")
        proxy.when(faults.stall_in_answer, times=None)

        outcome = within_patience(lambda: storage.open("large.bin").read())

        assert is_clear(outcome.error, proxy.endpoint)


def test_authorities_of_certifi_are_trusted_as_by_the_sdk(
    authority: trustme.CA, tmp_path: Path, bare: Minio, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minimal images, and Python from python.org on macOS, have no authorities of their own."""
    put(bare, bucket, "a.txt", b"over https")
    authority.cert_pem.write_to_path(tmp_path / "certifi.pem")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "certifi.pem"))
    with serving(authority.issue_cert("127.0.0.1"), tmp_path) as proxy:
        assert storage_at(proxy.endpoint, bucket).open("a.txt").read() == b"over https"


def test_a_file_of_the_project_replaces_all_other_authorities(
    trusted: trustme.CA, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = trustme.CA()
    other.cert_pem.write_to_path(tmp_path / "certifi.pem")
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "certifi.pem"))
    with serving(other.issue_cert("127.0.0.1"), tmp_path) as proxy:
        outcome = within_patience(lambda: storage_at(proxy.endpoint, bucket).exists("a.txt"))

        assert "certificate" in str(outcome.error)


def unknown(authority: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


def of_another_host(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("files.example.com")


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO.replace(year=2021))


@pytest.mark.parametrize("issue", [unknown, of_another_host, expired], ids=lambda issue: issue.__name__)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_wrong_certificate_is_a_clear_error(
    operation: Operation, issue, trusted: trustme.CA, tmp_path: Path, bucket: str
) -> None:
    with serving(issue(trusted), tmp_path) as proxy:
        outcome = within_patience(lambda: operation.run(storage_at(proxy.endpoint, bucket)))

        assert is_clear(outcome.error, proxy.endpoint)
        assert "certificate" in str(outcome.error)
        assert proxy.requests == [], "nothing is said to a server that is not trusted"


def test_https_to_a_server_without_it_is_a_clear_error(bucket: str) -> None:
    endpoint = os.environ["MINIO_ENDPOINT"]

    outcome = within_patience(lambda: storage_at(endpoint, bucket).exists("a.txt"))

    assert is_clear(outcome.error, endpoint)
    assert "MINIO_USE_HTTPS" in str(outcome.error)


def test_http_to_a_server_that_wants_https_is_a_clear_error(
    trusted: trustme.CA, tmp_path: Path, bucket: str
) -> None:
    with serving(trusted.issue_cert("127.0.0.1"), tmp_path) as proxy:
        storage = storage_at(proxy.endpoint, bucket, use_https=False)

        outcome = within_patience(lambda: storage.exists("a.txt"))

        assert is_clear(outcome.error, proxy.endpoint)
        assert "MINIO_USE_HTTPS" in str(outcome.error)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x03\x00\x7a\x02"], ids=["nothing", "half a hello"])
def test_a_handshake_that_breaks_is_a_clear_error(said: bytes, bucket: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = f"127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1)
                connection.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    try:
        outcome = within_patience(lambda: storage_at(endpoint, bucket).exists("a.txt"))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    assert is_clear(outcome.error, endpoint)


def test_a_handshake_that_gets_stuck_ends_within_the_time_limit(bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"

        outcome = within_patience(lambda: storage_at(endpoint, bucket).exists("a.txt"))

        assert is_clear(outcome.error, endpoint)


def test_a_project_can_bring_an_authority_of_its_own(
    authority: trustme.CA, tmp_path: Path, bare: Minio, bucket: str
) -> None:
    put(bare, bucket, "a.txt", b"over https")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    pool = urllib3.PoolManager(ca_certs=str(tmp_path / "authority.pem"))
    with serving(authority.issue_cert("127.0.0.1"), tmp_path) as proxy:
        options = options_for(proxy.endpoint, MINIO_USE_HTTPS=True)

        assert MinioBackend(bucket, http_client=pool, **options).open("a.txt").read() == b"over https"
