"""What tests of every area use: a bare SDK client that looks at what the server holds, and fresh buckets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

import hypothesis
import pytest
from minio import Minio

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def bare() -> Minio:
    """The SDK's own client, which knows nothing of this package."""
    return Minio(
        endpoint=os.environ["MINIO_ENDPOINT"],
        access_key=os.environ["MINIO_ACCESS_KEY"],
        secret_key=os.environ["MINIO_SECRET_KEY"],
        secure=os.environ["MINIO_USE_HTTPS"] == "1",
        region="us-east-1",
    )


@pytest.fixture
def new_name(worker_id: str) -> Callable[[str], str]:
    """Return a function that makes bucket names which no other test and no other worker uses."""
    return lambda label="bucket": f"{label}-{worker_id}-{secrets.token_hex(6)}"


@pytest.fixture
def bucket(bare: Minio, new_name: Callable[[str], str]) -> str:
    """An empty bucket of this test's own."""
    name = new_name("bucket")
    bare.make_bucket(bucket_name=name)
    return name
