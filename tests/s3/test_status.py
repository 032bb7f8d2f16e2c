"""Is the server there? A truth value with a reason, within a time limit."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from django_minio_router import MinioBackend, MinioRouter, MinioServerStatus
from tests.support.proxy import Proxy, answering, stall
from tests.support.storages import Make, keys


def test_a_running_server_is_available(storage: MinioBackend, settings: Any) -> None:
    status = storage.is_minio_available()

    assert isinstance(status, MinioServerStatus)
    assert status
    assert status.is_available
    assert status.status in (200, 403)
    assert settings.MINIO_ENDPOINT in status.details
    assert repr(status) == "MinIO is available"


def test_neither_a_bucket_nor_a_right_key_is_needed(settings: Any) -> None:
    settings.MINIO_SECRET_KEY = "wrong"

    assert MinioBackend("").is_minio_available()
    assert MinioRouter().is_minio_available()


def test_a_server_that_is_not_there_is_not_available(make: Make) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{probe.getsockname()[1]}"

        status = make(MINIO_ENDPOINT=endpoint, **keys()).is_minio_available()

    assert not status
    assert status.status is None
    assert endpoint in status.details
    assert "refused" in status.details
    assert "Check that it is running and that MINIO_ENDPOINT" in status.details
    assert repr(status) == "MinIO is NOT available"


def test_a_server_that_stalls_is_not_available(
    make: Make, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_minio_router.s3.status.TIME_LIMIT", 0.2)
    proxy.when(stall, times=None)

    status = make(MINIO_ENDPOINT=proxy.endpoint, **keys()).is_minio_available()

    assert not status
    assert "timed out" in status.details


def test_it_is_asked_once_and_not_again(make: Make, proxy: Proxy) -> None:
    proxy.when(answering(503), times=None)

    status = make(MINIO_ENDPOINT=proxy.endpoint, **keys()).is_minio_available()

    assert not status
    assert status.status == 503
    assert len(proxy.requests) == 1


def test_missing_settings_are_the_reason(storage: MinioBackend, settings: Any) -> None:
    settings.MINIO_ENDPOINT = ""

    status = storage.is_minio_available()

    assert not status
    assert "MINIO_ENDPOINT is not set" in status.details


def test_asking_leaves_no_connection_open(make: Make, proxy: Proxy) -> None:
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    for _ in range(10):
        assert storage.is_minio_available()

    assert proxy.connections <= 1
