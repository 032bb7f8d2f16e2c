"""What many buckets cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from minio import Minio

from tests.support.proxy import Proxy
from tests.support.scale import scale

COUNT = scale(100, 500)


@pytest.fixture
def public_buckets(settings: Any, wire: Proxy, new_name: Callable[[str], str]) -> list[str]:
    """The names of public buckets that a storage lists and nobody has created."""
    names = [new_name(f"public-{number}") for number in range(COUNT)]
    options = {"MINIO_PUBLIC_BUCKETS": names, "MINIO_DEFAULT_BUCKET": names[0]}
    settings.STORAGES = {
        **settings.STORAGES,
        "many": {
            "BACKEND": "django_minio_router.MinioBackend",
            "OPTIONS": {"storage_name": "many", **options},
        },
    }
    return names


def test_many_public_buckets(public_buckets: list[str], wire: Proxy, bare: Minio) -> None:
    """Three requests a bucket at first, one from then on, and at most one for each thousand on the server."""
    call_command("initialize_buckets", storage=["many"], silenced=True)
    first = Counter(wire.methods)
    wire.forget()
    call_command("initialize_buckets", storage=["many"], silenced=True)
    second = Counter(wire.methods)
    lists = 1 + len(bare.list_buckets()) // 1000  # MinIO sends all in one

    assert first.keys() == {"PUT", "GET"}
    assert first["PUT"] == 3 * COUNT
    assert first["GET"] <= lists
    assert second.keys() == {"GET"}
    assert second["GET"] <= COUNT + lists
