"""What a server in memory holds, and how it is asked and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, NoReturn

from .xml import Element, document


def now() -> datetime:
    """Return the time as a server has it, whatever the project's ``USE_TZ`` is."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Stored:
    """An object: its bytes, its entity tag, and the headers that are kept with it."""

    data: bytes
    headers: Mapping[str, str]
    etag: str
    modified: Any = field(default_factory=now)


@dataclass
class Begun:
    """A multipart upload under way."""

    key: str
    headers: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class BucketInMemory:
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, Begun] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)

    def copy(self) -> BucketInMemory:
        uploads = {
            upload_id: replace(begun, parts={**begun.parts}) for upload_id, begun in self.uploads.items()
        }
        return BucketInMemory({**self.objects}, uploads, {**self.documents})


Buckets = dict[str, BucketInMemory]


class Refused(Exception):
    """An error as S3 answers it."""

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


def unknown() -> NoReturn:
    raise Refused(501, "NotImplemented", "Files in memory do not know this request.")


def bucket_of(buckets: Buckets, name: str) -> BucketInMemory:
    if name not in buckets:
        raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
    return buckets[name]


def xml_answer(root: Element, status: int = 200) -> Answer:
    return Answer(status, document(root), {"Content-Type": "application/xml"})


def iso(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
