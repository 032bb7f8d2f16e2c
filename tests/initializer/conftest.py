"""A project in which a test says what there is: lists in the settings, storages, and fields of models."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
from django.core.files.storage import InMemoryStorage, Storage
from django.db.models import Model
from minio import Minio
from minio.error import S3Error

from django_minio_router import MinioRouter
from django_minio_router.discovery import uses
from tests.customers.models import Client
from tests.proxy import Proxy

NO_STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
}


@pytest.fixture
def project(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings of a project that has no bucket yet."""
    settings.STORAGES = NO_STORAGES
    settings.MINIO_PRIVATE_BUCKETS = []
    settings.MINIO_PUBLIC_BUCKETS = []
    for use in uses():
        if use.field is not None:
            monkeypatch.setattr(use.field, "storage", InMemoryStorage())
    return settings


@pytest.fixture
def use(project: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that gives a model's field a storage, as a project's models file would."""

    def use(model: type[Model], storage: Storage, name: str = "file") -> None:
        field = model._meta.get_field(name)
        bound = storage.bind(field) if isinstance(storage, MinioRouter) else storage
        monkeypatch.setattr(field, "storage", bound)

    return use


@pytest.fixture
def tenants(db: None) -> Callable[..., list[Client]]:
    """Return a function that makes tenants of these names, with no schema: bucket work needs none."""

    def make(*labels: str) -> list[Client]:
        token = secrets.token_hex(4)
        rows = [Client(schema_name=f"{label}{token}", name=label) for label in labels]
        return Client.objects.bulk_create(rows)

    return make


@pytest.fixture
def proxy(settings: Any) -> Iterator[Proxy]:
    """What the package's requests pass from now on."""
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


@pytest.fixture
def policy(bare: Minio) -> Callable[[str], Any]:
    """Return a function that reads a bucket's policy from the server; None if it has none."""

    def read(bucket: str) -> Any:
        try:
            return json.loads(bare.get_bucket_policy(bucket_name=bucket))
        except S3Error as error:
            if error.code != "NoSuchBucketPolicy":
                raise
            return None

    return read


@pytest.fixture
def anonymous(settings: Any) -> Callable[[str], int]:
    """Return a function that asks for a path as any visitor could, and returns the HTTP status."""
    scheme = "https" if settings.MINIO_USE_HTTPS else "http"
    origin = f"{scheme}://{settings.MINIO_ENDPOINT}"
    return lambda path: urllib3.request("GET", f"{origin}/{path}", retries=False).status
