"""The logger ``django_minio_router.requests``: what each request took, and nothing that is secret."""

from __future__ import annotations

import logging
import re

import pytest
import urllib3
from django.core.files.base import ContentFile

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from django_minio_router.tenancy import tenant_bucket_context
from tests.support.proxy import Proxy, answering
from tests.support.storages import Make

NAME = "django_minio_router.requests"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, NAME)
    return caplog


def records(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in log.records if record.name == NAME]


def test_a_request_is_told_with_what_it_took(through: Make, log: pytest.LogCaptureFixture) -> None:
    storage = through()
    log.clear()

    storage.save("secret-name.txt", ContentFile(b"hello"))
    storage.open("secret-name.txt").read()

    put, get = records(log)
    assert (put.method, put.bucket, put.status, put.bytes, put.attempt) == ("PUT", storage.bucket, 200, 5, 1)
    assert (get.method, get.bucket, get.status, get.bytes, get.attempt) == ("GET", storage.bucket, 206, 5, 1)
    assert 0 < put.milliseconds < 60_000
    assert put.levelno == logging.DEBUG
    assert f"PUT {storage.bucket} tenant=None status=200 bytes=5 " in put.getMessage()


def test_the_tenant_is_the_active_one(through: Make, log: pytest.LogCaptureFixture) -> None:
    storage = through()
    log.clear()

    with tenant_bucket_context("acme"):
        storage.exists("a.txt")

    [head] = records(log)
    assert (head.tenant, head.status, head.bytes) == ("acme", 404, 0)


def test_no_query_key_or_name_is_told(storage: MinioBackend, log: pytest.LogCaptureFixture, settings) -> None:
    storage.save("secret-name.txt", ContentFile(b"hello"))
    storage.listdir("")
    storage.check_bucket_existence()
    storage.is_minio_available()

    assert {record.method for record in records(log)} >= {"GET", "PUT"}
    told = "\n".join(str(vars(record)) for record in records(log))
    for secret in (
        "secret-name",
        "prefix",
        "Signature",
        settings.MINIO_ACCESS_KEY,
        settings.MINIO_SECRET_KEY,
    ):
        assert not re.search(rf"(?<![\w-]){re.escape(secret)}", told)


@pytest.mark.parametrize("pool", [None, urllib3.PoolManager()], ids=["ours", "of the project"])
def test_requests_of_the_sdk_are_told_as_well(
    make: Make, log: pytest.LogCaptureFixture, pool: urllib3.PoolManager | None
) -> None:
    storage = make(MINIO_HTTP_CLIENT=pool)
    log.clear()

    storage.client.bucket_exists(bucket_name=storage.bucket)

    assert [(told.method, told.bucket) for told in records(log)] == [("HEAD", storage.bucket)]


@pytest.mark.parametrize(("repeats", "level"), [(1, logging.DEBUG), (2, logging.DEBUG), (3, logging.WARNING)])
def test_a_request_that_needed_most_of_its_repeats_is_a_warning(
    through: Make, proxy: Proxy, log: pytest.LogCaptureFixture, repeats: int, level: int
) -> None:
    storage = through(MINIO_RETRIES=4)
    log.clear()
    proxy.when(answering(503), times=repeats)

    storage.exists("a.txt")

    [told] = records(log)
    assert (told.attempt, told.levelno) == (repeats + 1, level)


def test_a_request_without_an_answer_is_told(
    through: Make, proxy: Proxy, log: pytest.LogCaptureFixture
) -> None:
    storage = through(MINIO_RETRIES=1)
    log.clear()
    proxy.__exit__()

    with pytest.raises(ServerError):
        storage.exists("a.txt")

    [told] = records(log)
    assert (told.status, told.attempt, told.levelno) == ("MaxRetryError", 2, logging.WARNING)


def test_nothing_is_told_unless_somebody_listens(
    storage: MinioBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    storage.exists("a.txt")

    assert records(caplog) == []
