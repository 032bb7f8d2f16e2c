"""The object requests of a server in memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

from django.utils.crypto import get_random_string

from .memory_state import (
    Answer,
    BucketInMemory,
    Buckets,
    MultipartUpload,
    Request,
    S3Error,
    Stored,
    get_bucket,
    iso,
    not_implemented,
    now,
    xml_answer,
)
from .uploads import KEPT_HEADERS
from .xml import element, parse

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-key-md5"


def _get(buckets: Buckets, bucket: BucketInMemory, request: Request) -> Answer:
    if "uploadId" in request.query:
        return _list_parts(bucket, request)
    stored = _stored(bucket, request.key)
    _check_key(stored.headers, request.headers)
    _check_tag(request.headers.get("if-match"), stored)
    headers = {
        **stored.headers,
        **_response_overrides(request.query),
        "ETag": f'"{stored.etag}"',
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Length": str(len(stored.data)),
    }
    byte_range = _RANGE.fullmatch(request.headers.get("range", ""))
    return _partial(stored.data, headers, byte_range) if byte_range else Answer(200, stored.data, headers)


def _partial(data: bytes, headers: Mapping[str, str], byte_range: re.Match[str]) -> Answer:
    total, start = len(data), int(byte_range[1])
    if start >= total:
        raise S3Error(416, "InvalidRange")
    end = min(int(byte_range[2] or total) + 1, total)
    own = {"Content-Length": str(end - start), "Content-Range": f"bytes {start}-{end - 1}/{total}"}
    return Answer(206, data[start:end], {**headers, **own})


def _head(buckets: Buckets, bucket: BucketInMemory, request: Request) -> Answer:
    return replace(_get(buckets, bucket, request), body=b"")


def _stored(bucket: BucketInMemory, key: str) -> Stored:
    if key not in bucket.objects:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
    return bucket.objects[key]


def _check_key(kept: Mapping[str, str], sent: Mapping[str, str]) -> None:
    """Require the customer-provided key that the object was stored with, and none for other objects."""
    if kept.get(_CUSTOMER_KEY) != sent.get(_CUSTOMER_KEY):
        raise S3Error(400, "InvalidRequest", "The object was stored with another key, or with none.")


def _response_overrides(query: Mapping[str, str]) -> dict[str, str]:
    """Return the response headers that a link overrides."""
    prefix = "response-"
    return {name.removeprefix(prefix): value for name, value in query.items() if name.startswith(prefix)}


def _stored_headers(headers: Mapping[str, str]) -> dict[str, str]:
    given = {
        name: value
        for name, value in headers.items()
        if name in KEPT_HEADERS or name == _CUSTOMER_KEY or name.startswith("x-amz-meta-")
    }
    return {"content-type": "binary/octet-stream", **given}


def _check_tag(condition: str | None, stored: Stored) -> None:
    if condition and condition.strip('"') not in ("*", stored.etag):
        raise S3Error(412, "PreconditionFailed")


def _check_conditions(bucket: BucketInMemory, request: Request) -> None:
    if request.headers.get("if-none-match") == "*" and request.key in bucket.objects:
        raise S3Error(412, "PreconditionFailed")
    if "if-match" in request.headers:
        _check_tag(request.headers["if-match"], _stored(bucket, request.key))


def _put(buckets: Buckets, bucket: BucketInMemory, request: Request) -> Answer:
    source = _source(buckets, request) if "x-amz-copy-source" in request.headers else None
    if "uploadId" in request.query:
        return _put_part(bucket, request, source)
    _check_conditions(bucket, request)
    data, headers = request.body, request.headers
    if source is not None:
        data = source.data
        keeps = headers.get("x-amz-metadata-directive", "COPY") == "COPY"
        headers = source.headers if keeps else headers
    stored = Stored(data, _stored_headers(headers), _md5(data).hexdigest())
    bucket.objects[request.key] = stored
    return _stored_answer(stored.etag, source)


def _stored_answer(etag: str, source: Stored | None) -> Answer:
    if source is None:
        return Answer(headers={"ETag": f'"{etag}"'})
    return xml_answer(element("CopyObjectResult", ETag=f'"{etag}"', LastModified=iso(now())))


def _source(buckets: Buckets, request: Request) -> Stored:
    path = unquote(request.headers["x-amz-copy-source"].lstrip("/"))
    name, _, key = path.partition("/")
    source = _stored(get_bucket(buckets, name), key)
    _check_tag(request.headers.get("x-amz-copy-source-if-match"), source)
    byte_range = _RANGE.fullmatch(request.headers.get("x-amz-copy-source-range", ""))
    return (
        replace(source, data=source.data[int(byte_range[1]) : int(byte_range[2]) + 1])
        if byte_range
        else source
    )


def _put_part(bucket: BucketInMemory, request: Request, source: Stored | None) -> Answer:
    data = request.body if source is None else source.data
    _upload(bucket, request).parts[int(request.query["partNumber"])] = data
    return _stored_answer(_md5(data).hexdigest(), source)


def _list_parts(bucket: BucketInMemory, request: Request) -> Answer:
    stored = sorted(_upload(bucket, request).parts.items())
    found = [
        element("Part", PartNumber=str(number), ETag=f'"{_md5(data).hexdigest()}"', Size=str(len(data)))
        for number, data in stored
    ]
    return xml_answer(element("ListPartsResult", *found, IsTruncated="false"))


def _upload(bucket: BucketInMemory, request: Request) -> MultipartUpload:
    upload = bucket.uploads.get(request.query["uploadId"])
    if upload is None or upload.key != request.key:
        raise S3Error(404, "NoSuchUpload")
    return upload


def _post(buckets: Buckets, bucket: BucketInMemory, request: Request) -> Answer:
    if "uploads" in request.query:
        upload_id = get_random_string(32)
        bucket.uploads[upload_id] = MultipartUpload(request.key, _stored_headers(request.headers))
        return xml_answer(element("InitiateMultipartUploadResult", UploadId=upload_id))
    if "uploadId" not in request.query:
        not_implemented()
    upload = _upload(bucket, request)
    _check_conditions(bucket, request)
    numbers = [int(part.findtext("PartNumber") or 0) for part in parse(request.body).iter("Part")]
    if not set(numbers) <= upload.parts.keys():
        raise S3Error(400, "InvalidPart")
    parts = [upload.parts[number] for number in numbers]
    etag = f"{_md5(b''.join(_md5(part).digest() for part in parts)).hexdigest()}-{len(parts)}"
    bucket.objects[request.key] = Stored(b"".join(parts), upload.headers, etag)
    del bucket.uploads[request.query["uploadId"]]
    return xml_answer(element("CompleteMultipartUploadResult", ETag=f'"{etag}"'))


def _delete(buckets: Buckets, bucket: BucketInMemory, request: Request) -> Answer:
    if "uploadId" in request.query:
        _upload(bucket, request)
        del bucket.uploads[request.query["uploadId"]]
    else:
        _check_conditions(bucket, request)
        bucket.objects.pop(request.key, None)
    return Answer(204)


OBJECT_CALLS: dict[str, Callable[[Buckets, BucketInMemory, Request], Answer]] = {
    "GET": _get,
    "HEAD": _head,
    "PUT": _put,
    "POST": _post,
    "DELETE": _delete,
}


def _md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)
