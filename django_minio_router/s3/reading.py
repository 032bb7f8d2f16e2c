"""Reading: a seekable binary file over range requests, bound to one version of an object."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from django.core.files import File

from ..exceptions import ServerError
from ..naming import path_of
from .client import Client, get_client
from .late import connections
from .limits import limited
from .modes import as_mode, is_writing, text_options

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3.response import BaseHTTPResponse

FIRST_RANGE = 192 * 1024  # bytes; enough for a small file, and little for the start of a large one
_BLOCK = 1024 * 1024  # bytes read from the network at once, and lost if the connection breaks
_SMALL_BUFFER = 8 * 1024  # bytes; Python 3.14's default would hold a small file almost twice
_WHOLE = 1 << 62
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

_reads_all: ContextVar[bool] = ContextVar("minio_router_reads_all", default=False)

# The streams of open files. Without this reference, for a file that was not closed and is in a reference
# cycle, the garbage collector could close the socket before the file returns it to the pool.
_streams: set[BaseHTTPResponse] = set()


@contextmanager
def reading_all(expected: bool = True) -> Iterator[None]:
    """Fetch each file that is opened within the block in one request, as all of it is expected to be read."""
    token = _reads_all.set(expected)
    try:
        yield
    finally:
        _reads_all.reset(token)


class Span(NamedTuple):
    """The bytes of an object in a response: from ``start`` up to, but excluding, ``end``, of ``total``."""

    start: int
    end: int
    total: int
    tag: str


class ObjectReader(io.RawIOBase):
    """The bytes of one version of one object.

    The first request fetches the beginning, or within ``reading_all`` everything; sequential reading streams
    the rest. After a seek, as little is fetched again, and four times as much with each request that
    continues. An object that fits in the first request is buffered, so seeking in it sends no request. Every
    response must have the same entity tag. A broken stream is resumed by a range request, ``MINIO_RETRIES``
    times without progress.
    """

    def __init__(self, client: Client, bucket: str, name: str, headers: Mapping[str, str]) -> None:
        self._client, self._bucket, self._name, self._path = client, bucket, name, path_of(bucket, name)
        self._headers = headers
        self._position = 0
        self._stream: BaseHTTPResponse | None = None
        self._stream_at = 0
        self._stream_end = 0
        self._ahead = _WHOLE  # bytes to request next when reading sequentially
        self._read_end = 0  # the position at which the caller will stop
        self._buffered = b""  # the bytes of a small object that were read so far
        self._interrupted = False
        self._process = os.getpid()
        end = "" if _reads_all.get() else FIRST_RANGE - 1
        first = self._request({"Range": f"bytes=0-{end}"})
        if first.status == 416:  # an empty object has no range
            _release(first)
            first = self._request({})
        if first.status not in (200, 206):
            self._fail(first)
        self.response_headers: Mapping[str, str] = first.headers
        _, _, self.size, self.etag = self._open_stream(first)

    def _request(self, headers: Mapping[str, str]) -> BaseHTTPResponse:
        return self._client.request("GET", self._path, headers={**self._headers, **headers}, stream=True)

    def _fail(self, response: BaseHTTPResponse) -> NoReturn:
        try:
            self._client.refuse(response, self._bucket, self._name)
        finally:
            _release(response)

    def _replaced(self) -> ServerError:
        return ServerError(
            f"{self._name!r} in the bucket {self._bucket!r} was replaced while it was being read. "
            "Open it again.",
            status=412,
            code="PreconditionFailed",
        )

    def _open_stream(self, response: BaseHTTPResponse) -> Span:
        self._stream = response
        _streams.add(response)
        try:
            span = _span(response)
        except (KeyError, ValueError):
            self._drop_stream()
            place = f"{self._bucket}/{self._name}"
            raise self._client.not_s3(place, "its response has no valid range and entity tag") from None
        self._stream_at, self._stream_end = span.start, span.end
        return span

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"Cannot seek to {base + offset}, before the start of {self._name!r}.")
        self._position = base + offset
        return self._position

    def read_between(self, start: int, end: int) -> None:
        """Seek to ``start``, and request everything up to ``end`` at once."""
        self._position, self._read_end = start, end

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.next_piece(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        data = self.next_piece(_BLOCK)
        if self._position >= self.size:
            return data
        whole = io.BytesIO()
        while data:
            whole.write(data)
            data = self.next_piece(_BLOCK)
        return whole.getvalue()

    @limited
    def next_piece(self, size: int) -> bytes:
        """Return at most ``size`` bytes from the current position; empty only at the end."""
        if self._position >= self.size:
            return b""
        for left in reversed(range(self._client.server.retries + 1)):
            try:
                data = self._read(size)
            except (ServerError, FileNotFoundError):
                raise
            except connections().BROKEN as error:
                self._drop_stream()
                if not left or self._interrupted:
                    raise self._client.unreachable(error) from error
            else:
                self._position += len(data)
                return data
        raise AssertionError  # the loop returns or raises

    def _read(self, size: int) -> bytes:
        if self.size > FIRST_RANGE:
            return self._read_at(self._position, size)
        while len(self._buffered) < self.size:
            self._buffered += self._read_at(len(self._buffered), self.size)
        return self._buffered[self._position : self._position + size]

    def _read_at(self, place: int, size: int) -> bytes:
        stream = self._stream_from(place)
        data: bytes = stream.read(min(size, _BLOCK, self._stream_end - self._stream_at))
        if not data:
            raise ConnectionError(f"the body ended at byte {self._stream_at} of {self.size}")
        self._stream_at += len(data)
        if self._stream_at == self._stream_end:
            self._close_stream()
        return data

    def _stream_from(self, place: int) -> BaseHTTPResponse:
        """Return a stream at this position: the current one if possible, else from a new request."""
        self._detach_from_parent()
        if self._stream is not None and self._stream_at == place:
            return self._stream
        self._close_stream()
        return self._ask_for_rest(place)

    def _ask_for_rest(self, place: int) -> BaseHTTPResponse:
        reads_on = place == self._stream_at
        self._ahead = min(self._ahead * 4, _WHOLE) if reads_on else FIRST_RANGE
        end = min(self._read_end if place < self._read_end else place + self._ahead, self.size)
        response = self._request({"Range": f"bytes={place}-{end - 1}", "If-Match": self.etag})
        if response.status in (412, 416):
            _release(response)
            raise self._replaced()
        if response.status not in (200, 206):
            self._fail(response)
        span = self._open_stream(response)
        if (span.tag, span.total) != (self.etag, self.size):
            self._drop_stream()
            raise self._replaced()
        self._skip_to(place, response)
        return response

    def _skip_to(self, place: int, response: BaseHTTPResponse) -> None:
        """Skip what precedes this position: a proxy may ignore ranges and send everything."""
        while self._stream_at < place:
            ahead = response.read(min(_BLOCK, place - self._stream_at))
            if not ahead:
                raise ConnectionError(f"the body ended at byte {self._stream_at} of {self.size}")
            self._stream_at += len(ahead)
        if self._stream_at != place:
            self._drop_stream()
            where = f"{self._bucket}/{self._name}"
            raise self._client.not_s3(where, f"it sent bytes from {self._stream_at}, not from {place}")

    def _close_stream(self) -> None:
        """Return the connection to the pool, reusable if little is left unread, unless it is the parent's."""
        stream = self._detach_stream()
        if stream is not None and self._process == os.getpid():
            if self._stream_end - self._stream_at > FIRST_RANGE:
                stream.close()
            _release(stream)

    def _drop_stream(self) -> None:
        stream = self._detach_stream()
        if stream is not None:
            stream.close()
            stream.release_conn()

    def interrupt(self) -> None:
        """Make a read in another thread fail."""
        self._interrupted, stream = True, self._stream
        shutdown = getattr(stream, "shutdown", None)  # urllib3 has it from 2.3 on
        if shutdown is not None:
            with suppress(ValueError, RuntimeError, OSError):  # the read has just ended
                shutdown()

    def _detach_stream(self) -> BaseHTTPResponse | None:
        stream, self._stream = self._stream, None
        if stream is not None:
            _streams.discard(stream)
        return stream

    def _detach_from_parent(self) -> None:
        """In a forked child, drop the parent's connection and client."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._client = get_client(self._client.server)
            self._detach_stream()

    def close(self) -> None:
        if not self.closed:
            self._close_stream()
        super().close()


class ObjectFile(File):  # type: ignore[type-arg]
    """An object opened for reading: a Django ``File`` bound to the bucket that opened it.

    ``place`` is the bucket and the object. ``size`` (in bytes) and the ``headers`` of the response, such as
    content type and entity tag, come with the first request.
    """

    # The size for chunks(): larger than the buffer, which avoids a copy.
    DEFAULT_CHUNK_SIZE = 2 * FIRST_RANGE

    def __init__(
        self, open_reader: Callable[[], ObjectReader], name: str, mode: str = "rb", **text: Any
    ) -> None:
        super().__init__(None, name)
        self.mode = mode
        self._text = text
        self._open_reader = open_reader
        self._start()

    def _start(self) -> None:
        reader = self._open_reader()
        # As much as one request fetches, so that its connection is free after the first read. The reader
        # itself buffers small objects.
        ahead = FIRST_RANGE if reader.size > FIRST_RANGE else _SMALL_BUFFER
        self.file = as_mode(io.BufferedReader(reader, ahead), self.mode, self._text)
        self._size = reader.size
        self._reader = reader
        self.place = f"{reader._bucket}/{reader._name}"
        self.headers = reader.response_headers
        self.content_type = self.headers.get("Content-Type", "")
        self.etag = reader.etag

    @property
    def size(self) -> int:
        return self._size

    def pieces_between(self, start: int, end: int) -> Callable[[int], bytes]:
        """Return a function that returns at most that many bytes, in one request from ``start`` to ``end``.

        It bypasses the buffer, which would copy each byte. Do not read from the file in any other way
        meanwhile.
        """
        self._reader.read_between(start, end)
        return self._reader.next_piece

    def interrupt(self) -> None:
        """Make a read in another thread fail, so that the file can be closed."""
        self._reader.interrupt()

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> ObjectFile:
        """Seek to the start; after ``close()``, or in another mode, open the same object again.

        Text modes accept ``encoding``, ``errors`` and ``newline``.
        """
        mode, text = mode or self.mode, text_options(*args, **kwargs) or self._text
        if is_writing(self.name, mode):
            raise ValueError(f"{self.name!r} is open for reading. To write, open it with its storage.")
        if self.closed or (mode, text) != (self.mode, self._text):
            self.close()
            self.mode, self._text = mode, text
            self._start()
        self.seek(0)
        return self


def _release(response: BaseHTTPResponse) -> None:
    """Read the rest of the response, and return the connection to the pool."""
    response.drain_conn()
    response.release_conn()


def _span(response: BaseHTTPResponse) -> Span:
    """Return the span of a response. ``KeyError`` or ``ValueError`` if its headers are missing or invalid."""
    tag = response.headers["ETag"]
    if response.status == 200:
        length = int(response.headers["Content-Length"])
        return Span(0, length, length, tag)
    match = _CONTENT_RANGE.fullmatch(response.headers["Content-Range"])
    if match is None:
        raise ValueError(response.headers["Content-Range"])
    start, last, total = map(int, match.groups())
    return Span(start, last + 1, total, tag)
