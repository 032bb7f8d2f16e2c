"""The SDK: the only module that imports it. What is about buckets goes through it, data does not.

The SDK cannot say "only if absent", reads each part twice, and signs a link in 100 µs.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import HTTPError

from ..exceptions import ServerError
from .errors import bucket_not_found, not_s3, refused, unreachable

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from ..settings.config import Server
    from .bucket import ObjectInfo
    from .keys import Keys

ERRORS = (MinioException, HTTPError, ElementTree.ParseError, json.JSONDecodeError)


class _OurKeys(Provider):
    """Gives the SDK the keys that we sign with, and our error where a provider has none."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys

    def retrieve(self) -> Credentials:
        return Credentials(*self._keys())


def make_sdk(server: Server, keys: Callable[[], Keys], pool: PoolManager) -> Minio:
    return Minio(
        endpoint=server.endpoint,
        credentials=_OurKeys(keys),
        secure=server.use_https,
        region=server.region,
        http_client=pool,
    )


def described(bucket: str, info: ObjectInfo) -> Object:
    """Return an object as the SDK describes it."""
    headers: Any = info.headers
    return Object(
        bucket,
        info.key,
        last_modified=info.modified,
        etag=info.etag,
        size=info.size,
        content_type=headers.get("content-type"),
        metadata=headers,
        version_id=headers.get("x-amz-version-id"),
    )


def plain_error(error: Exception, server: Server, bucket: str) -> ServerError:
    """Return what one of ``ERRORS`` says about the bucket."""
    if isinstance(error, S3Error):
        if error.code == "NoSuchBucket":
            return bucket_not_found(server, bucket)
        status = error.response.status if error.response else None
        return refused(server, bucket, status, error.code or "", error.message or "")
    if isinstance(error, InvalidResponseError) and "code: 404" in str(error):
        return not_s3(server, bucket, "its 404 is not that of S3", status=404)
    if isinstance(error, MinioException):
        return refused(server, bucket, None, type(error).__name__, str(error))
    if isinstance(error, HTTPError):
        return unreachable(server, error)
    return not_s3(server, bucket, f"its answer cannot be read ({error})")
