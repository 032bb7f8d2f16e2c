"""A bucket, a storage on it, and a proxy that shows its requests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import pytest
from django.core.files.storage import Storage
from django.core.signals import setting_changed

from django_minio_router import MinioBackend
from tests.support.proxy import Proxy

Make: TypeAlias = Callable[..., MinioBackend]


def keys() -> dict[str, str]:
    """The options that a storage with its own endpoint needs."""
    return {name: os.environ[name] for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")}


def set_storage(monkeypatch: pytest.MonkeyPatch, field: Any, storage: Storage) -> None:
    """Give the field a storage until the test ends, and with it what `bind_field` notes for migrations."""
    monkeypatch.setattr(field, "storage", storage)
    monkeypatch.setattr(field, "_storage_callable", storage, raising=False)


@pytest.fixture
def make(bucket: str) -> Make:
    """Make a private storage on the bucket, with options."""
    return partial(MinioBackend, bucket, public=False)


@pytest.fixture
def storage(make: Make) -> MinioBackend:
    return make()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        yield proxy
    # A later proxy may get the same port, so no client may be kept for it.
    setting_changed.send(sender=None, setting="MINIO_ENDPOINT", value=None, enter=False)


@pytest.fixture
def through(make: Make, proxy: Proxy) -> Make:
    """Make such a storage behind the proxy, with a connection that is already open."""

    def through(**options: Any) -> MinioBackend:
        storage = make(
            **{"MINIO_ENDPOINT": proxy.endpoint, "MINIO_CONDITIONAL_WRITES": True, **keys(), **options}
        )
        storage.exists("warm-up")
        proxy.forget()
        return storage

    return through
