"""Buckets, storages and proxies for what must hold when things go wrong."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import setting_changed
from minio import Minio
from minio.error import S3Error

from tests.support.proxy import Proxy
from tests.support.server import parts_of


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        yield proxy
    forget_clients()


def forget_clients() -> None:
    """A later proxy may get the same port, so no client may be kept for it."""
    setting_changed.send(sender=None, setting="MINIO_ENDPOINT", value=None, enter=False)


def options_for(endpoint: str, **options: Any) -> dict[str, Any]:
    """Return what a storage needs to reach the server at another endpoint."""
    return {
        "MINIO_ENDPOINT": endpoint,
        "MINIO_ACCESS_KEY": os.environ["MINIO_ACCESS_KEY"],
        "MINIO_SECRET_KEY": os.environ["MINIO_SECRET_KEY"],
        **options,
    }


def put(bare: Minio, bucket: str, name: str, content: bytes) -> None:
    bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(content), length=len(content))


def stored(bare: Minio, bucket: str, name: str) -> bytes | None:
    """Return the bytes that the server holds under the name, None if there is no such object."""
    try:
        with bare.get_object(bucket_name=bucket, object_name=name) as response:
            return response.read()
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
        return None


def names_in(bare: Minio, bucket: str) -> list[str]:
    return [entry.object_name for entry in bare.list_objects(bucket_name=bucket, recursive=True)]


def uploads_in(bare: Minio, bucket: str, name: str = "") -> list[str]:
    """Return the names of the uploads that are neither complete nor aborted."""
    # MinIO tells only about a name that is given in full.
    return [u.object_name for u in bare._list_multipart_uploads(bucket_name=bucket, prefix=name).uploads]


def uploads_with_parts_in(bare: Minio, bucket: str, name: str = "") -> list[str]:
    """Return the names of the uploads that take up room."""
    begun = bare._list_multipart_uploads(bucket_name=bucket, prefix=name).uploads
    return [upload.object_name for upload in begun if parts_of(bare, bucket, upload)]
