"""Direct upload by a browser: requests signed for exactly one size, content type and key.

A link carries the rights of our keys, so it is signed for everything that it allows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from . import multipart
from .bucket import NO_COPY
from .errors import place_of
from .limits import limited
from .listing import abort
from .xml import fetch, parsed

if TYPE_CHECKING:
    from .bucket import Bucket

_PARTS_PAGE = 1000


class SignedRequest(NamedTuple):
    """A PUT that a browser may send to this URL with exactly these headers."""

    url: str
    headers: dict[str, str]


class Part(NamedTuple):
    """A stored part; ``size`` in bytes."""

    number: int
    size: int
    etag: str


@dataclass(frozen=True)
class BrowserUpload:
    """One object that a browser stores in one request or in parts.

    Every method that sends a request raises ``ServerError`` if the server cannot be reached or refuses it.
    """

    bucket: Bucket
    key: str

    def link(self, size: int, content_type: str, life: int) -> SignedRequest:
        """Return a request that stores ``size`` bytes of this content type, valid for ``life`` seconds."""
        return self._signed(size, life, headers=_object_headers(content_type))

    def part_link(self, upload_id: str, number: int, size: int, life: int) -> SignedRequest:
        """Return a request that stores ``size`` bytes as this part, valid for ``life`` seconds."""
        return self._signed(size, life, multipart.query_of(upload_id, number))

    def _signed(
        self, size: int, life: int, query: str = "", headers: Mapping[str, str] | None = None
    ) -> SignedRequest:
        sent = {**(headers or {}), **NO_COPY}
        signed = {**sent, "content-length": str(size)}  # browsers set it, and scripts cannot change it
        now = int(time.time())
        url = self.bucket.links.signed_put(self.bucket.name, self.key, signed, life, now, query)
        return SignedRequest(url, sent)

    @limited
    def begin(self, content_type: str) -> str:
        """Start a multipart upload and return its id."""
        headers = _object_headers(content_type)
        return multipart.begin(self.bucket.client, self.bucket.name, self.key, headers)[0]

    @limited
    def parts(self, upload_id: str) -> list[Part]:
        """Return the stored parts. ``ServerError`` if the key has no such upload."""
        found: list[Part] = []
        after = "0"
        while True:
            query = f"max-parts={_PARTS_PAGE}&part-number-marker={after}&{multipart.query_of(upload_id)}"
            root = fetch(self.bucket.client, self.bucket.name, query, self.key)
            for part in root.iter("Part"):
                etag = (part.findtext("ETag") or "").strip('"')
                number, size = part.findtext("PartNumber") or 0, part.findtext("Size") or 0
                found.append(Part(int(number), int(size), etag))
            last, after = after, root.findtext("NextPartNumberMarker") or ""
            if root.findtext("IsTruncated") != "true" or after in {"", last}:
                return found

    @limited
    def complete(self, upload_id: str, etags: list[str]) -> str:
        """Combine these parts, in order, and return the object's entity tag; Ceph 16 leaves it empty."""
        client, bucket = self.bucket.client, self.bucket.name
        body = multipart.completion((f'"{etag}"', "") for etag in etags)
        query = multipart.query_of(upload_id)
        response = client.call("POST", bucket, self.key, query, body=body, takes_long=True)
        result = parsed(client, place_of(bucket, self.key), response.data)
        if result.tag != "CompleteMultipartUploadResult":  # an error, in spite of the status
            client.refuse(response, bucket, self.key)
        return (result.findtext("ETag") or "").strip('"')

    @limited
    def discard(self, upload_id: str = "") -> None:
        """Remove the object and the parts of the upload. Missing ones are not an error."""
        if upload_id:
            abort(self.bucket.client, self.bucket.name, self.key, upload_id)
        self.bucket.delete(self.key)


def _object_headers(content_type: str) -> dict[str, str]:
    """Store as an attachment, since nothing has checked the content yet."""
    return {"content-type": content_type, "content-disposition": "attachment"}
