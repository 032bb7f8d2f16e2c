"""The pytest plugin: fixtures for a project's tests. pytest finds it through its entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..s3.own_buckets import remove_test_buckets
from . import assert_stored as assert_stored_
from . import memory_files, stored_files


@pytest.fixture
def minio_memory() -> Iterator[None]:
    """Start without files in memory, and restore them afterwards."""
    with memory_files(empty=True):
        yield


@pytest.fixture
def minio_buckets(minio_memory: None) -> Callable[[], dict[str, dict[str, bytes]]]:
    """Return a function that returns the names and contents of each bucket."""
    return stored_files


@pytest.fixture
def assert_stored(minio_memory: None) -> Callable[..., None]:
    """Return ``assert_stored(tenant, name, content=…, storage=…)``."""
    return assert_stored_


def pytest_sessionfinish() -> None:
    """Remove the buckets of ``MINIO_TESTING = "prefix"``; each xdist worker removes its own."""
    remove_test_buckets()
