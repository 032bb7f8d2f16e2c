"""What the server holds, seen by a bare SDK client."""

from __future__ import annotations

from minio import Minio


def stored(bare: Minio, bucket: str, name: str) -> bytes:
    """Return the bytes of an object."""
    with bare.get_object(bucket_name=bucket, object_name=name) as response:
        return response.read()


def names_in(bare: Minio, bucket: str) -> list[str]:
    return [entry.object_name for entry in bare.list_objects(bucket_name=bucket, recursive=True)]


def uploads_in(bare: Minio, bucket: str) -> list[str]:
    """Return the names of the uploads that are neither complete nor aborted."""
    return [upload.object_name for upload in bare._list_multipart_uploads(bucket_name=bucket).uploads]
