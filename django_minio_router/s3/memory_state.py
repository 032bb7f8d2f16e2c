"""The state of a server in memory, its requests and its responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, NoReturn

from .xml import Element, document


def now() -> datetime:
    """Return the current time in UTC, regardless of ``USE_TZ``."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Stored:
    """An object: its bytes, its entity tag, and the headers stored with it."""

    data: bytes
    headers: Mapping[str, str]
    etag: str
    modified: Any = field(default_factory=now)


@dataclass
class MultipartUpload:
    """A multipart upload in progress."""

    key: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class BucketInMemory:
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, MultipartUpload] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> BucketInMemory:
        uploads = {
            upload_id: replace(upload, parts={**upload.parts}) for upload_id, upload in self.uploads.items()
        }
        return BucketInMemory({**self.objects}, uploads, {**self.documents})


Buckets = dict[str, BucketInMemory]


class S3Error(Exception):
    """An S3 error response."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code


@dataclass(frozen=True)
class Request:
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def not_implemented() -> NoReturn:
    raise S3Error(501, "NotImplemented", "The server in memory does not implement this request.")


def get_bucket(buckets: Buckets, name: str) -> BucketInMemory:
    if name not in buckets:
        raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
    return buckets[name]


def xml_answer(root: Element, status: int = 200) -> Answer:
    return Answer(status, document(root), {"Content-Type": "application/xml"})


def iso(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
