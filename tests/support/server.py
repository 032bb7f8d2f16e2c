"""The contents of the server, read with a bare SDK client."""

from __future__ import annotations

from typing import Any

from minio import Minio
from minio.commonconfig import Tags

from django_minio_router.buckets.marks import MARK_TAG


def stored(bare: Minio, bucket: str, name: str) -> bytes:
    """Return the bytes of an object."""
    with bare.get_object(bucket_name=bucket, object_name=name) as response:
        return response.read()


def make_marked_bucket(bare: Minio, name: str) -> None:
    """Create a bucket with our mark: only such a bucket may be purged."""
    bare.make_bucket(bucket_name=name)
    tags = Tags.new_bucket_tags()
    tags[MARK_TAG] = "created"
    bare.set_bucket_tags(bucket_name=name, tags=tags)


def names_in(bare: Minio, bucket: str) -> list[str]:
    return [entry.object_name for entry in bare.list_objects(bucket_name=bucket, recursive=True)]


def uploads_in(bare: Minio, bucket: str) -> list[str]:
    """Return the names of unfinished uploads."""
    return [upload.object_name for upload in bare._list_multipart_uploads(bucket_name=bucket).uploads]


def uploads_with_parts_in(bare: Minio, bucket: str) -> list[str]:
    """Return the names of unfinished uploads that have parts."""
    begun = bare._list_multipart_uploads(bucket_name=bucket).uploads
    return [upload.object_name for upload in begun if parts_of(bare, bucket, upload)]


def parts_of(bare: Minio, bucket: str, upload: Any) -> list[Any]:
    name, upload_id = upload.object_name, upload.upload_id
    return bare._list_parts(bucket_name=bucket, object_name=name, upload_id=upload_id).parts
