"""The only module that imports the SDK, for bucket hooks and for projects that use its client.

The SDK takes ten times as long to import as the rest of this package, has no conditional PUT, reads each part
twice, and needs 100 µs to sign a link. So this package's own requests do not use it.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3 import HTTPResponse, PoolManager
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from ..exceptions import ServerError
from .errors import bucket_not_found, not_s3, refused, unreachable
from .memory import MemoryResponse

if TYPE_CHECKING:
    from ..settings.server import Server
    from .bucket import ObjectInfo
    from .client import Client
    from .keys import Keys

_SIGNED = {"authorization", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
ERRORS = (MinioException, HTTPError, ElementTree.ParseError, json.JSONDecodeError)


class _KeyProvider(Provider):
    """Give the SDK our keys, and raise our error if a provider fails."""

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys

    def retrieve(self) -> Credentials:
        return Credentials(*self._keys())


class _RequestsOfTheClient(PoolManager):
    """Send the SDK's requests as the client's own, with its limits, retries and log.

    The SDK does not support a path before the bucket and signs without it, so such requests are signed again.
    Tests with prefixed buckets are confined to these.
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        preload = options["preload_content"]
        try:
            response = self._send(method, urlsplit(url), options, stream=not preload)
        except ServerError as error:
            raise (error.__cause__ or error) from None  # projects expect the error of urllib3
        if isinstance(response, MemoryResponse):
            made = {"preload_content": preload, "request_method": method}
            return HTTPResponse(response, response.headers, response.status, **made)
        response.decode_content = True
        return response  # type: ignore[no-any-return]

    def _send(self, method: str, url: SplitResult, options: Mapping[str, Any], *, stream: bool) -> Any:
        client, headers, body = self._client, dict(options["headers"]), options["body"]
        if client.server.is_plain and not client.server.test_prefix:
            send = client.connections.send
            return send(method, url.path, url.query, body, headers, stream=stream, repeat=True)
        headers = {k: v for k, v in headers.items() if k.lower() not in _SIGNED}
        return client.request(method, url.path, url.query, headers=headers, body=body, stream=stream)


def make_sdk(client: Client, keys: Callable[[], Keys]) -> Minio:
    server = client.server
    made = Minio(
        endpoint=server.host,
        credentials=_KeyProvider(keys),
        secure=server.use_https,
        region=server.region,
        http_client=_RequestsOfTheClient(client),
    )
    made.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
    made.router_client = client  # type: ignore[attr-defined]  # for client_of()
    return made


def sdk_object(bucket: str, info: ObjectInfo) -> Object:
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
    """Return one of ``ERRORS`` about the bucket as a ``ServerError``."""
    if isinstance(error, S3Error):
        if error.code == "NoSuchBucket":
            return bucket_not_found(server, bucket)
        status = error.response.status if error.response else None
        permission = getattr(error.response, "permission", None)
        return refused(server, bucket, status, error.code or "", error.message or "", permission)
    if isinstance(error, InvalidResponseError) and "code: 404" in str(error):
        return not_s3(server, bucket, "its 404 does not come from S3", status=404)
    if isinstance(error, MinioException):
        return refused(server, bucket, None, type(error).__name__, str(error))
    if isinstance(error, HTTPError):
        return unreachable(server, error)
    return not_s3(server, bucket, f"its response cannot be parsed ({error})")
