"""The mark of a bucket that this package created or that was adopted: no other bucket is ever purged.

It is a bucket tag, or an object in the bucket if the server does not support tags.
"""

from __future__ import annotations

from django.core.files.base import ContentFile

from ..exceptions import ServerError
from ..naming import MARK_OBJECT
from ..s3.bucket import Bucket
from ..s3.client import Client
from .tags import read_tags, write_tags

MARK_TAG = "django-minio-router"

_NO_TAGS = (403, 405, 501)  # not supported, or not allowed for the keys


def mark_bucket(client: Client, bucket: str, how: str) -> None:
    """Mark the bucket as ``"created"`` or ``"adopted"``, and keep other tags."""
    try:
        tags = {} if how == "created" else read_tags(client, bucket)
        write_tags(client, bucket, {**tags, MARK_TAG: how})
    except ServerError as error:
        if error.status not in _NO_TAGS:
            raise
        Bucket(client, bucket, client).put(MARK_OBJECT, ContentFile(how.encode()), {})


def is_marked(client: Client, bucket: str) -> bool:
    """Return whether the bucket has a mark. ``BucketNotFound`` if it does not exist."""
    try:
        if MARK_TAG in read_tags(client, bucket):
            return True
    except ServerError as error:
        if error.status not in _NO_TAGS:
            raise
    try:
        Bucket(client, bucket, client).head(MARK_OBJECT)
    except FileNotFoundError:
        return False
    return True
