"""The check for django-health-check, through its view, on a real server."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from django.test import RequestFactory

pytest.importorskip("health_check", reason="needs Django 5.2")

from health_check.views import HealthCheckView

from django_minio_router.contrib.health import S3Server
from tests.support.proxy import Proxy


def ask(*checks: Any) -> tuple[int, str]:
    request = RequestFactory().get("/health/", {"format": "text"})
    answer = asyncio.run(HealthCheckView.as_view(checks=checks)(request))
    return answer.status_code, answer.content.decode()


def test_a_server_that_takes_the_keys_is_well_and_keeps_nothing(settings) -> None:
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        status, text = ask("django_minio_router.contrib.health.S3Server")
        assert status == 200, text
        assert "OK" in text
        assert len(proxy.methods) == 1
        assert set(proxy.methods) <= {"GET", "HEAD"}


def test_wrong_keys_are_said(settings) -> None:
    settings.MINIO_ACCESS_KEY = "wrong"
    status, text = ask(S3Server)
    assert status == 500
    assert "keys refused" in text


def test_a_server_that_is_away_is_said(settings) -> None:
    settings.MINIO_SERVERS = {"eu": {"MINIO_ENDPOINT": "127.0.0.1:9", "MINIO_ACCESS_KEY": "a"}}
    settings.MINIO_SERVERS["eu"]["MINIO_SECRET_KEY"] = secret = "a-secret-of-the-project"
    status, text = ask((S3Server, {"server": "eu"}))
    assert status == 500
    assert "No answer from http" in text
    assert "eu" in text
    assert secret not in text


def test_it_asks_for_the_storage_that_it_is_told(settings) -> None:
    options = {"MINIO_ENDPOINT": "127.0.0.1:9", "MINIO_ACCESS_KEY": "a", "MINIO_SECRET_KEY": "b"}
    backend = {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "archive": backend}
    assert ask(S3Server)[0] == 200
    assert ask((S3Server, {"storage": "archive"}))[0] == 500
