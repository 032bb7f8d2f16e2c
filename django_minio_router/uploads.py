"""Saving: one conditional request for what fits into a part, parallel parts for what does not.

Nothing is visible before it is whole: a part that fails aborts the upload, and the last step carries the
condition too. Memory stays at the parts under way, whatever the size of the file.
"""

from __future__ import annotations

import base64
import secrets
import xml.etree.ElementTree as ElementTree
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from django.core.files import File
from urllib3.response import BaseHTTPResponse

from .clients import Client
from .exceptions import ServerError

PARALLEL_PARTS = 2
MAX_PARTS = 10_000
TOKEN_HEADER = "x-amz-meta-upload-token"  # noqa: S105


@dataclass(frozen=True)
class Upload:
    """One save of one object. ``replace`` is False where an object of that name must not be there yet."""

    client: Client
    bucket: str
    name: str
    path: str
    headers: Mapping[str, str]
    replace: bool
    part_size: int
    progress: Any = None

    def run(self, content: File[Any]) -> None:
        """Send the content. Raise ``FileExistsError`` when the name is taken; nothing is stored then."""
        parts = _parts(content, self._fitting_part_size(content))
        first = next(parts, b"")
        second = next(parts, None)
        self._announce(content)
        if second is None:
            self._put(first)
        else:
            self._put_parts(chain((first, second), parts))

    def _fitting_part_size(self, content: File[Any]) -> int:
        try:
            size = content.size
        except (AttributeError, OSError):
            size = 0  # a stream of unknown length
        return max(self.part_size, -(-(size or 0) // MAX_PARTS))

    def _put(self, body: bytes) -> None:
        token = secrets.token_hex(16)
        response = self.client.request(
            "PUT",
            self.path,
            headers={
                **self.headers,
                TOKEN_HEADER: token,
                **self._condition(),
                "x-amz-checksum-crc32": _crc32(body),
            },
            body=body,
        )
        self._settle(response, token)
        self._advance(len(body))

    def _put_parts(self, parts: Iterator[bytes]) -> None:
        token = secrets.token_hex(16)
        upload_id = self._begin(token)
        try:
            with ThreadPoolExecutor(PARALLEL_PARTS) as threads:
                done = list(self._send_parts(threads, upload_id, parts))
            self._complete(upload_id, done, token)
        except BaseException:
            self._abort(upload_id)
            raise

    def _begin(self, token: str) -> str:
        headers = {**self.headers, TOKEN_HEADER: token, "x-amz-checksum-algorithm": "CRC32"}
        response = self.client.request("POST", self.path, "uploads=", headers=headers)
        if response.status != 200:
            self.client.refuse(response, self.bucket, self.name)
        return quote(_text_of(response, "UploadId"), safe="")

    def _send_parts(
        self, threads: ThreadPoolExecutor, upload_id: str, parts: Iterator[bytes]
    ) -> Iterator[tuple[str, str]]:
        """Send each part, at most ``PARALLEL_PARTS`` at a time; yield entity tag and checksum in order."""
        under_way: deque[Future[tuple[str, str]]] = deque()
        for number, part in enumerate(parts, 1):
            if number > MAX_PARTS:
                raise ServerError(
                    f"{self.name!r} has more than {MAX_PARTS} parts of {self.part_size} bytes. "
                    "Raise MINIO_MULTIPART_PART_SIZE, or give the file a size."
                )
            under_way.append(threads.submit(self._send_part, upload_id, number, part))
            del part
            if len(under_way) == PARALLEL_PARTS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()

    def _send_part(self, upload_id: str, number: int, part: bytes) -> tuple[str, str]:
        checksum = _crc32(part)
        response = self.client.request(
            "PUT",
            self.path,
            f"partNumber={number}&uploadId={upload_id}",
            headers={"x-amz-checksum-crc32": checksum},
            body=part,
        )
        if response.status != 200:
            self.client.refuse(response, self.bucket, self.name)
        self._advance(len(part))
        return response.headers["ETag"], checksum

    def _complete(self, upload_id: str, done: list[tuple[str, str]], token: str) -> None:
        items = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag>"
            f"<ChecksumCRC32>{checksum}</ChecksumCRC32></Part>"
            for number, (etag, checksum) in enumerate(done, 1)
        )
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        response = self.client.request(
            "POST", self.path, f"uploadId={upload_id}", headers=self._condition(), body=body
        )
        self._settle(response, token)

    def _abort(self, upload_id: str) -> None:
        self.client.request("DELETE", self.path, f"uploadId={upload_id}")

    def _condition(self) -> dict[str, str]:
        return {} if self.replace else {"If-None-Match": "*"}

    def _settle(self, response: BaseHTTPResponse, token: str) -> None:
        """Turn the answer to the last request into success, ``FileExistsError`` or ``ServerError``.

        When a request was repeated, its first answer was lost: it may have stored the object, which makes
        the repeat fail. The token in the stored object tells whose it is.
        """
        # A completed upload answers 200 before the work is done, and then an error in the body.
        failed = response.status != 200 or b"<Error" in response.data
        if not failed:
            self.client.known_buckets.add(self.bucket)
            return
        repeated = response.retries is not None and response.retries.history
        if repeated and self._stored_token() == token:
            return
        if response.status == 412 or (response.status == 409 and not self.replace):
            raise FileExistsError(f"{self.name!r} is taken in the bucket {self.bucket!r}.")
        self.client.refuse(response, self.bucket, self.name)

    def _stored_token(self) -> str | None:
        return self.client.request("HEAD", self.path).headers.get(TOKEN_HEADER)

    def _announce(self, content: File[Any]) -> None:
        if self.progress is not None:
            self.progress.set_meta(object_name=self.name, total_length=content.size)

    def _advance(self, length: int) -> None:
        if self.progress is not None:
            self.progress.update(length)


def _parts(content: File[Any], size: int) -> Iterator[bytes]:
    """Yield the content from its start in blocks of ``size`` bytes; only the last may be shorter."""
    pending: list[bytes] = []
    length = 0
    for chunk in content.chunks(chunk_size=size):
        data = chunk.encode() if isinstance(chunk, str) else bytes(chunk)
        while length + len(data) >= size:
            cut = size - length
            yield b"".join((*pending, data[:cut])) if pending else data[:cut]
            pending, length, data = [], 0, data[cut:]
        if data:
            pending.append(data)
            length += len(data)
    if pending:
        yield b"".join(pending)


def _crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def _text_of(response: BaseHTTPResponse, tag: str) -> str:
    root = ElementTree.fromstring(response.data)  # noqa: S314
    return next((e.text or "" for e in root.iter() if e.tag.rpartition("}")[2] == tag), "")
