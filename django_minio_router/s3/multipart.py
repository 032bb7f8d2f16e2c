"""The requests of a multipart upload that saves, copies and browsers have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from .errors import place_of
from .xml import document, element, parsed

if TYPE_CHECKING:
    from .client import Client


def begin(client: Client, bucket: str, name: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """Begin an upload; return its id and the ``Server`` header of the response."""
    response = client.call("POST", bucket, name, "uploads=", headers=headers)
    place = place_of(bucket, name)
    upload_id = parsed(client, place, response.data).findtext("UploadId")
    if not upload_id:
        raise client.not_s3(place, "its response has no UploadId")
    return upload_id, response.headers.get("Server", "")


def query_of(upload_id: str, part: int | None = None) -> str:
    """Return the query of a request about an upload, or about one of its parts."""
    query = f"uploadId={quote(upload_id, safe='')}"
    return query if part is None else f"partNumber={part}&{query}"


def completion(parts: Iterable[tuple[str, str]]) -> bytes:
    """Return the body that combines the parts, in order; each is an entity tag and a checksum, or ``""``."""
    root = element("CompleteMultipartUpload")
    for number, (etag, checksum) in enumerate(parts, 1):
        checksums = {"ChecksumCRC32": checksum} if checksum else {}
        root.append(element("Part", PartNumber=str(number), ETag=etag, **checksums))
    return document(root)
