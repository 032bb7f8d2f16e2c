"""The content of a save: one block per request, each in small pieces."""

from __future__ import annotations

import base64
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from django.core.files import File

from ..exceptions import ConfigurationError, ServerError
from .limits import cancelled

Body: TypeAlias = "bytes | Sequence[bytes | memoryview]"

PIECE = 256 * 1024  # bytes sent at once; the 16 KiB of http.client cost a third of the speed
MAX_PARTS = 10_000
MIN_PART_SIZE = 5 * 1024 * 1024  # bytes; S3 refuses smaller parts, except for the last


def pieces(body: Body) -> Iterator[memoryview]:
    for part in [body] if isinstance(body, bytes) else body:
        view = memoryview(part)
        yield from (view[at : at + PIECE] for at in range(0, len(view), PIECE))


class Block:
    """The body of one request; ``len()`` is in bytes.

    Its pieces are so small that they are still in the CPU cache for the checksum and for sending.
    """

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
        """The CRC32, encoded for the header."""
        return base64.b64encode(self._crc32.to_bytes(4, "big")).decode()


class Source:
    """The content of a save in blocks, from its start; content of one block goes in one request.

    Call ``start()`` before each name that is tried. Content that cannot be rewound can be tried again only as
    long as no more than its first two blocks, which are kept in memory, were read.
    """

    def __init__(self, content: File[Any], part_size: int, threshold: int = 0) -> None:
        if part_size < MIN_PART_SIZE:
            raise ConfigurationError(
                f"MINIO_MULTIPART_PART_SIZE is {part_size}, but S3 requires at least {MIN_PART_SIZE} bytes. "
                "Raise it."
            )
        self._content = content
        self.size = size_of(content)
        self.sent = 0
        """Bytes yielded since the last ``start()``: the size, once the content is stored."""
        self._block_size = max(part_size, -(-self.size // MAX_PARTS))
        if self.size <= threshold:
            self._block_size = max(self._block_size, self.size)
        self._head: deque[Block] = deque()
        self._rest: Iterator[Block] | None = None
        self._started = False

    def start(self) -> None:
        """Prepare for the next name. ``ServerError`` if the content cannot be read again."""
        if self._started and _rewind(self._content):
            self._head.clear()
            self._rest = None
        elif self._started and self._rest is None:
            raise ServerError(
                "The name was taken during the upload, and the content cannot be read a second time. Save it "
                "again from the start."
            )
        self._started, self.sent = True, 0

    def only_block(self) -> Block | None:
        """Return the whole content, or None if it needs more than one block."""
        self._read_head()
        if len(self._head) > 1:
            return None
        self.sent = len(self._head[0])
        return self._head[0]

    def blocks(self) -> Iterator[Block]:
        """Yield each block, without keeping it."""
        rest = self._read_head()
        self._rest = None
        while self._head:
            block = self._head.popleft()
            self.sent += len(block)
            yield block
        for block in rest:
            self.sent += len(block)
            yield block

    def _read_head(self) -> Iterator[Block]:
        if self._rest is None:
            self._rest = _blocks(self._content, self._block_size)
            self._head.extend(islice(self._rest, 2))
        return self._rest


def size_of(content: File[Any]) -> int:
    """Return the size in bytes, or 0 if the content does not know it."""
    try:
        return max(0, int(content.size or 0))
    except Exception:  # content classes of other packages may raise anything
        return 0


def _rewind(content: File[Any]) -> bool:
    try:
        content.seek(0)
    except (AttributeError, OSError):
        return False
    return True


def _blocks(content: File[Any], size: int) -> Iterator[Block]:
    """Yield the content in blocks of ``size`` bytes. Only the last may be shorter, or empty if there is no
    content."""
    block, stop = Block(), cancelled.get()
    for chunk in _chunks(content):
        if stop is not None and stop.is_set():
            raise ServerError("The save was cancelled, together with the task that waited for it.")
        data = _view(chunk)
        while len(block) + len(data) > size:
            room = size - len(block)
            block.add(data[:room])
            yield block
            block, data = Block(), data[room:]
        block.add(data)
    yield block


def _chunks(content: File[Any]) -> Iterable[Any]:
    try:
        return content.chunks(chunk_size=PIECE)
    except TypeError:  # chunks() without the argument
        return content.chunks()


def _view(chunk: Any) -> memoryview:
    """Return an immutable view. ``TypeError`` for a number, since ``bytes(5)`` would be five zeros."""
    if isinstance(chunk, str):
        chunk = chunk.encode()
    return memoryview(chunk if isinstance(chunk, bytes) else bytes(memoryview(chunk)))
