"""The pytest plugin: fixtures for tests of a project. pytest finds it by its entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..s3.own_buckets import remove_test_buckets
from . import assert_stored as assert_stored_
from . import memory_files, stored_files


@pytest.fixture
def minio_memory() -> Iterator[None]:
    """Begin without any file in memory, and put back at the end what was there."""
    with memory_files(empty=True):
        yield


@pytest.fixture
def minio_buckets(minio_memory: None) -> Callable[[], dict[str, dict[str, bytes]]]:
    """Return a function that tells what is stored: for each bucket its names and contents."""
    return stored_files


@pytest.fixture
def assert_stored(minio_memory: None) -> Callable[..., None]:
    """Return ``assert_stored(tenant, name, content=…, storage=…)``."""
    return assert_stored_


def pytest_sessionfinish() -> None:
    """Remove what ``MINIO_TESTING = "prefix"`` made; a worker of xdist has an end of its own."""
    remove_test_buckets()
