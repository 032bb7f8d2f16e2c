"""Saving: one conditional request for what fits into a part, parallel parts for what does not.

Nothing is visible before it is whole: a part that fails aborts the upload, and the last step carries the
condition too. Where a server does not check and store in one, the name is claimed first, by an empty object
that the parts replace at once. Memory stays at the parts under way, whatever the size of the file.
"""

from __future__ import annotations

import base64
import logging
import secrets
import xml.etree.ElementTree as ElementTree
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from django.core.files import File
from django.utils.functional import cached_property
from urllib3.response import BaseHTTPResponse

from ..exceptions import ConfigurationError, ServerError
from .client import PIECE, Body, Client

logger = logging.getLogger(__name__)

PARALLEL_PARTS = 2
MAX_PARTS = 10_000
MIN_PART_SIZE = 5 * 1024 * 1024  # S3 refuses smaller ones, but for the last
TOKEN_HEADER = "x-amz-meta-upload-token"  # noqa: S105
CHECKSUM_HEADER = "x-amz-checksum-crc32"
KEPT_HEADERS = frozenset(  # those that S3 keeps with an object and answers with, beside user metadata
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    }
)

# The servers whose last step looks for the name and stores under one lock. SeaweedFS 4.48 does one after
# the other: of 8 uploads completed at the same moment up to 8 succeeded, and one was left.
_SAFE_LAST_STEP = ("AmazonS3", "MinIO")

_TAKEN = {"ConditionalRequestConflict", "PreconditionFailed"}  # also within a 200


class Block:
    """What goes in one request, in pieces so small that they are still in the processor's cache when the
    checksum is computed and when they are sent; ``len()`` is in bytes."""

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        self._size = 0
        self._crc32 = 0

    def __len__(self) -> int:
        return self._size

    def add(self, piece: bytes | memoryview) -> None:
        self.pieces.append(piece)
        self._size += len(piece)
        self._crc32 = zlib.crc32(piece, self._crc32)

    @property
    def checksum(self) -> str:
        """The CRC32 in the form of the header."""
        return base64.b64encode(self._crc32.to_bytes(4, "big")).decode()


def checksum_of(block: Block, client: Client) -> dict[str, str]:
    """Return the header by which the server refuses what changed on the way.

    Even for nothing at all: a bucket of AWS that keeps objects for some time refuses all without it.
    """
    return {CHECKSUM_HEADER: block.checksum} if client.server.checksums else {}


class Source:
    """The content of a save in blocks, from its start; what fits into one block goes in one request.

    Several names may have to be tried, each after ``start()``. Content that cannot be rewound is kept in
    memory as long as no more than its first two blocks were read.
    """

    def __init__(self, content: File[Any], part_size: int, threshold: int = 0) -> None:
        if part_size < MIN_PART_SIZE:
            raise ConfigurationError(
                f"MINIO_MULTIPART_PART_SIZE is {part_size}; the smallest part that S3 takes has "
                f"{MIN_PART_SIZE} bytes. Raise it."
            )
        self._content = content
        self.size = size_of(content)
        self._block_size = max(part_size, -(-self.size // MAX_PARTS))
        if self.size <= threshold:
            self._block_size = max(self._block_size, self.size)
        self._head: deque[Block] = deque()
        self._rest: Iterator[Block] | None = None
        self._started = False

    def start(self) -> None:
        """Be ready for the next name. ``ServerError`` if the content is gone with the last one."""
        if self._started and _rewind(self._content):
            self._head.clear()
            self._rest = None
        elif self._started and self._rest is None:
            raise ServerError(
                "The name was taken while the content was on its way, or its parts were removed, and the "
                "content cannot be read a second time. Save it again from the start."
            )
        self._started = True

    def only_block(self) -> Block | None:
        """Return the whole content, or None if it takes more than one block."""
        self._read_head()
        return self._head[0] if len(self._head) < 2 else None

    def blocks(self) -> Iterator[Block]:
        """Yield each block, and keep none."""
        rest = self._read_head()
        self._rest = None
        while self._head:
            yield self._head.popleft()
        yield from rest

    def _read_head(self) -> Iterator[Block]:
        if self._rest is None:
            self._rest = _blocks(self._content, self._block_size)
            self._head.extend(islice(self._rest, 2))
        return self._rest


class Begun(NamedTuple):
    """What the server said when an upload in parts began.

    ``strays`` are other uploads of the name, among them one of ours if an answer was lost. The uploads of
    other writers have parts, at least when ours is through.
    """

    upload_id: str
    server: str
    strays: set[str]


@dataclass(frozen=True)
class Upload:
    """One save of one object. With ``only_new`` an object of that name must not be there yet.

    ``claim_headers`` tell the empty object that holds the name for a moment from an empty file.
    """

    client: Client
    bucket: str
    name: str
    path: str
    headers: Mapping[str, str]
    only_new: bool
    progress: Any = None
    claim_headers: Mapping[str, str] = field(default_factory=dict)

    def run(self, source: Source) -> None:
        """Send the content. Raise ``FileExistsError`` when the name is taken; nothing is stored then."""
        if self.progress is not None:
            self.progress.set_meta(object_name=self.name, total_length=source.size)
        block = source.only_block()
        if block is not None:
            self._put(block)
        else:
            self._put_parts(source)

    def _put(self, block: Block) -> None:
        token = secrets.token_hex(16)
        headers = {**self.headers, TOKEN_HEADER: token, **checksum_of(block, self.client)}
        self._store("PUT", "", headers, block.pieces, token, only_new=self.only_new)
        self._advance(len(block))

    def _put_parts(self, source: Source) -> None:
        if self.only_new and self._head().status == 200:
            raise self._taken()  # the last step would say so too, after all parts were sent
        token = secrets.token_hex(16)
        begun = self._begin(token)
        try:
            with ThreadPoolExecutor(PARALLEL_PARTS) as threads:
                done = list(self._send_parts(threads, begun.upload_id, source.blocks()))
            if self.only_new and not begun.server.startswith(_SAFE_LAST_STEP):
                with self._claimed():
                    self._complete(begun.upload_id, done, token, only_new=False)
            else:
                self._complete(begun.upload_id, done, token, only_new=self.only_new)
        except BaseException:
            self._abort(begun.upload_id)
            raise
        finally:
            self._abort_partless(begun.strays)

    def _begin(self, token: str) -> Begun:
        headers = {**self.headers, TOKEN_HEADER: token}
        if self.client.server.checksums:
            headers["x-amz-checksum-algorithm"] = "CRC32"
        try:
            response = self.client.request("POST", self.path, "uploads=", headers=headers)
            if response.status != 200:
                self.client.refuse(response, self.bucket, self.name)
            upload_id = self._text_in(response, "UploadId")
        except BaseException as error:  # such as KeyboardInterrupt, and a time limit that Celery raises
            if not isinstance(error, ServerError) or error.status is None or error.status >= 500:
                self._abort_partless(self._uploads())
            raise
        strays = self._uploads() - {upload_id} if _was_repeated(response) else set()
        return Begun(upload_id, response.headers.get("Server", ""), strays)

    def _send_parts(
        self, threads: ThreadPoolExecutor, upload_id: str, parts: Iterator[Block]
    ) -> Iterator[tuple[str, str]]:
        """Send each part, at most ``PARALLEL_PARTS`` at a time; yield entity tag and checksum in order."""
        under_way: deque[tuple[int, Future[tuple[str, str]]]] = deque()
        for number, part in enumerate(parts, 1):
            if number > MAX_PARTS:
                raise ServerError(
                    f"{self.name!r} has more than {MAX_PARTS} parts of {len(part)} bytes. "
                    "Raise MINIO_MULTIPART_PART_SIZE, or give the file a size."
                )
            under_way.append((len(part), threads.submit(self._send_part, upload_id, number, part)))
            del part
            if len(under_way) == PARALLEL_PARTS:
                yield self._finish(*under_way.popleft())
        while under_way:
            yield self._finish(*under_way.popleft())

    def _send_part(self, upload_id: str, number: int, part: Block) -> tuple[str, str]:
        headers = {**self._key_headers, **checksum_of(part, self.client)}
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
        response = self.client.request("PUT", self.path, query, headers=headers, body=part.pieces)
        if response.status != 200:
            self.client.refuse(response, self.bucket, self.name)
        self._compare(response, headers)
        return response.headers.get("ETag", ""), headers.get(CHECKSUM_HEADER, "")

    def _compare(self, response: BaseHTTPResponse, sent: Mapping[str, str]) -> None:
        """Raise ``ServerError`` if the server says that it stored other bytes than were sent."""
        stored = response.headers.get(CHECKSUM_HEADER)
        if stored and stored != sent.get(CHECKSUM_HEADER, stored):
            raise ServerError(
                f"{self.name!r} in the bucket {self.bucket!r} has the checksum {stored} at "
                f"{self.client.server.endpoint}, and {sent[CHECKSUM_HEADER]} was sent: the content changed "
                "on the way. Save it again."
            )

    def _finish(self, length: int, part: Future[tuple[str, str]]) -> tuple[str, str]:
        result = part.result()
        self._advance(length)
        return result

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Hold the name with an empty object of our own, which goes when the block fails."""
        token = secrets.token_hex(16)
        headers = {**self.headers, **self.claim_headers, TOKEN_HEADER: token}
        headers |= checksum_of(Block(), self.client)
        self._store("PUT", "", headers, b"", token, only_new=True)
        try:
            yield
        except BaseException:
            if self._is_stored(token):
                self._remove()
            raise

    def _complete(self, upload_id: str, done: list[tuple[str, str]], token: str, *, only_new: bool) -> None:
        items = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag>"
            + (f"<ChecksumCRC32>{checksum}</ChecksumCRC32></Part>" if checksum else "</Part>")
            for number, (etag, checksum) in enumerate(done, 1)
        )
        body = f"<CompleteMultipartUpload>{items}</CompleteMultipartUpload>".encode()
        query = f"uploadId={quote(upload_id, safe='')}"
        self._store("POST", query, self._key_headers, body, token, only_new=only_new)

    def _store(
        self,
        method: str,
        query: str,
        headers: Mapping[str, str],
        body: Body,
        token: str,
        *,
        only_new: bool,
    ) -> None:
        """Send the request that makes the object visible; settle what a lost answer leaves open.

        An object may be stored although the answer was lost, or was an error of a proxy on the way, and
        then a repeat of the request finds the name taken. The token in the object tells whose it is.
        """
        if only_new:
            headers = {**headers, "If-None-Match": "*"}
        try:
            response = self.client.request(method, self.path, query, headers=headers, body=body)
        except ServerError:
            if self._is_stored(token):
                return
            raise
        if _says_stored(response):
            self._compare(response, headers)
            self.client.known_buckets.set(self.bucket, True)
            return
        in_doubt = _was_repeated(response) or response.status == 200 or response.status >= 500
        if in_doubt and self._is_stored(token):
            return
        try:
            self.client.refuse(response, self.bucket, self.name)
        except ServerError as error:
            if only_new and (error.status in (409, 412) or error.code in _TAKEN):
                raise self._taken() from error
            raise

    def _is_stored(self, token: str) -> bool:
        try:
            return self._head(repeat=False).headers.get(TOKEN_HEADER) == token
        except ServerError:
            return False

    def _head(self, *, repeat: bool = True) -> BaseHTTPResponse:
        return self.client.request("HEAD", self.path, headers=self._key_headers, repeat=repeat)

    def _abort(self, upload_id: str) -> None:
        self._remove(f"uploadId={quote(upload_id, safe='')}")

    def _remove(self, query: str = "") -> None:
        """Remove what was begun. A failure is only logged: it must not hide the one that led here."""
        try:
            response = self.client.request("DELETE", self.path, query)
            if response.status not in (200, 204, 404):
                self.client.refuse(response, self.bucket, self.name)
        except OSError as error:
            what = "parts" if query else "empty claim"
            logger.warning("The %s of %r in %r stay on the server: %s", what, self.name, self.bucket, error)

    def _uploads(self) -> set[str]:
        """Return the ids of the uploads of this name; none if the server does not tell."""
        key = unquote(self.path.removeprefix(f"/{self.bucket}/"))
        try:
            listing = self._query(f"/{self.bucket}", f"prefix={quote(key, safe='')}&uploads=")
        except (OSError, ElementTree.ParseError) as error:
            logger.warning("Uploads of %r in %r may be left: %s", self.name, self.bucket, error)
            return set()
        uploads = _elements(listing, "Upload")
        return {_child(upload, "UploadId") for upload in uploads if _child(upload, "Key") == key}

    def _abort_partless(self, upload_ids: set[str]) -> None:
        """Remove those of the uploads that have no part: nobody heard that they were begun."""
        for upload_id in upload_ids:
            with suppress(OSError, ElementTree.ParseError):  # it may be complete by now
                if not self._has_parts(upload_id):
                    self._abort(upload_id)

    def _has_parts(self, upload_id: str) -> bool:
        return bool(_elements(self._query(self.path, f"uploadId={quote(upload_id, safe='')}"), "Part"))

    def _query(self, path: str, query: str) -> ElementTree.Element:
        response = self.client.request("GET", path, query)
        if response.status != 200:
            self.client.refuse(response, self.bucket)
        return ElementTree.fromstring(response.data)  # noqa: S314

    def _text_in(self, response: BaseHTTPResponse, tag: str) -> str:
        try:
            texts = [e.text for e in _elements(ElementTree.fromstring(response.data), tag)]  # noqa: S314
        except ElementTree.ParseError:
            texts = []
        if not texts or not texts[0]:
            raise self.client.nonsense(f"{self.bucket}/{self.name}", f"there is no {tag} in its answer")
        return texts[0]

    def _taken(self) -> FileExistsError:
        return FileExistsError(f"{self.name!r} is taken in the bucket {self.bucket!r}.")

    @cached_property
    def _key_headers(self) -> dict[str, str]:
        """A key of the customer's own goes with every request for the object."""
        return {k: v for k, v in self.headers.items() if "-customer-" in k.lower()}

    def _advance(self, length: int) -> None:
        if self.progress is not None:
            self.progress.update(length)


def _says_stored(response: BaseHTTPResponse) -> bool:
    """Tell whether the answer names the object. A completed upload says 200 before the work is done, and
    then perhaps an error, with the entity tag of a part; a page of something else says 200 too."""
    if response.status != 200 or b"<Error" in response.data:
        return False
    return "ETag" in response.headers or b"<ETag>" in response.data


def _was_repeated(response: BaseHTTPResponse) -> bool:
    return response.retries is not None and bool(response.retries.history)


def size_of(content: File[Any]) -> int:
    """Return the size in bytes as far as the content knows it, 0 for a stream of unknown length."""
    try:
        return int(content.size or 0)
    except (AttributeError, OSError, TypeError):
        return 0


def _rewind(content: File[Any]) -> bool:
    try:
        content.seek(0)
    except (AttributeError, OSError):
        return False
    return True


def _blocks(content: File[Any], size: int) -> Iterator[Block]:
    """Yield the content from its start in blocks of ``size`` bytes; only the last may be shorter, or empty
    where there is nothing at all."""
    block = Block()
    for chunk in content.chunks(chunk_size=PIECE):
        data = _view(chunk)
        while len(block) + len(data) > size:
            room = size - len(block)
            block.add(data[:room])
            yield block
            block, data = Block(), data[room:]
        block.add(data)
    yield block


def _view(chunk: Any) -> memoryview:
    """Return what nobody changes while it is sent. ``TypeError`` for a number: ``bytes(5)`` is five zeros."""
    if isinstance(chunk, str):
        chunk = chunk.encode()
    return memoryview(chunk if isinstance(chunk, bytes) else bytes(memoryview(chunk)))


def _elements(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == tag]


def _child(element: ElementTree.Element, tag: str) -> str:
    return next((child.text or "" for child in _elements(element, tag)), "")
