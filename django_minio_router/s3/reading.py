"""Reading: a seekable binary file over range requests that stays with the object it was opened on."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from django.core.files import File

from ..exceptions import ServerError
from .client import Client, get_client
from .late import connections
from .limits import limited
from .modes import as_mode, is_writing, text_options

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from urllib3.response import BaseHTTPResponse

FIRST_RANGE = 192 * 1024  # bytes; small files need one request, a glance at a large one costs no more
_BLOCK = 1024 * 1024  # bytes taken from the network at once, and lost when it breaks
_WHOLE = 1 << 62
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

# What open files read from. Nothing else holds it but the file, and of a file that nobody closed, in a cycle
# of references, the garbage collector would close the socket first and let the file give it back then.
_streams: set[BaseHTTPResponse] = set()


class Span(NamedTuple):
    """Which bytes of an object an answer holds: from ``start`` up to but without ``end``, of ``total``."""

    start: int
    end: int
    total: int
    tag: str


class ObjectReader(io.RawIOBase):
    """The bytes of one object of one bucket, in one version.

    The first request fetches the beginning; reading on streams the rest. After a jump as little is fetched,
    and four times as much each time that reading goes on. What the first request can hold whole is kept, so
    jumping about in it fetches nothing. Each answer must carry the same entity tag. A broken stream goes on
    by range from where it was, ``MINIO_RETRIES`` times without progress.
    """

    def __init__(self, client: Client, bucket: str, name: str, path: str, headers: Mapping[str, str]) -> None:
        self._client, self._bucket, self._name, self._path = client, bucket, name, path
        self._headers = headers
        self._position = 0
        self._stream: BaseHTTPResponse | None = None
        self._stream_at = 0
        self._stream_end = 0
        self._ahead = _WHOLE  # bytes that the next request asks for, if it reads on
        self._until = 0  # where whoever reads is known to stop
        self._kept = b""  # the bytes of a small object, as far as they were read
        self._interrupted = False
        self._process = os.getpid()
        first = self._request({"Range": f"bytes=0-{FIRST_RANGE - 1}"})
        if first.status == 416:  # an empty object has no such range
            _give_back(first)
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
            _give_back(response)

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
            raise self._client.not_s3(place, "it does not say what it sends") from None
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
        """Go to ``start``, and ask for what lies from there up to ``end`` in one request."""
        self._position, self._until = start, end

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
        """Return at most ``size`` bytes from the position on, none only at the end."""
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
        while len(self._kept) < self.size:
            self._kept += self._read_at(len(self._kept), self.size)
        return self._kept[self._position : self._position + size]

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
        """Return a stream that stands at this byte; ask for a new one if the last stands elsewhere."""
        self._leave_parent()
        if self._stream is not None and self._stream_at == place:
            return self._stream
        self._close_stream()
        return self._ask_for_rest(place)

    def _ask_for_rest(self, place: int) -> BaseHTTPResponse:
        reads_on = place == self._stream_at
        self._ahead = min(self._ahead * 4, _WHOLE) if reads_on else FIRST_RANGE
        end = min(self._until if place < self._until else place + self._ahead, self.size)
        response = self._request({"Range": f"bytes={place}-{end - 1}", "If-Match": self.etag})
        if response.status in (412, 416):
            _give_back(response)
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
        """Read over what comes before this byte: a proxy may not keep ranges and send all."""
        while self._stream_at < place:
            ahead = response.read(min(_BLOCK, place - self._stream_at))
            if not ahead:
                raise ConnectionError(f"the body ended at byte {self._stream_at} of {self.size}")
            self._stream_at += len(ahead)
        if self._stream_at != place:
            self._drop_stream()
            where = f"{self._bucket}/{self._name}"
            raise self._client.not_s3(where, f"it sent bytes from {self._stream_at} on, not as asked")

    def _close_stream(self) -> None:
        """Give the connection back, ready for use if little is left unread; not one of a parent process."""
        stream = self._let_go()
        if stream is not None and self._process == os.getpid():
            if self._stream_end - self._stream_at > FIRST_RANGE:
                stream.close()
            _give_back(stream)

    def _drop_stream(self) -> None:
        stream = self._let_go()
        if stream is not None:
            stream.close()
            stream.release_conn()

    def interrupt(self) -> None:
        """Let a read that another thread waits in end with an error."""
        self._interrupted, stream = True, self._stream
        shutdown = getattr(stream, "shutdown", None)  # urllib3 has it from 2.3 on
        if shutdown is not None:
            with suppress(ValueError, RuntimeError, OSError):  # the read is just done
                shutdown()

    def _let_go(self) -> BaseHTTPResponse | None:
        stream, self._stream = self._stream, None
        if stream is not None:
            _streams.discard(stream)
        return stream

    def _leave_parent(self) -> None:
        """In a forked child let go of the connection, from which the parent reads, and of its client."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._client = get_client(self._client.server)
            self._let_go()

    def close(self) -> None:
        if not self.closed:
            self._close_stream()
        super().close()


class ObjectFile(File):  # type: ignore[type-arg]
    """An object opened for reading; Django's ``File``, on the bucket that opened it.

    ``place`` is the bucket and the object. ``size`` is in bytes; it and the ``headers`` of the server's
    answer, with content type and entity tag, come with the first request.
    """

    # What ``chunks()`` yields: more than the buffer holds, so that it comes without a copy in between.
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
        # As much as a request fetches, so that its connection is free again after the first read. What is
        # small the reader keeps itself.
        ahead = FIRST_RANGE if reader.size > FIRST_RANGE else io.DEFAULT_BUFFER_SIZE
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
        """Return what gives the next bytes from ``start`` on, at most so many, in one request up to ``end``.

        Past the buffer, in which each byte would be copied. Read nothing else of the file beside that.
        """
        self._reader.read_between(start, end)
        return self._reader.next_piece

    def interrupt(self) -> None:
        """Let a read that another thread waits in end with an error, before the file is closed."""
        self._reader.interrupt()

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> ObjectFile:
        """Go back to the start; after ``close()``, or in another mode, open the same name of the same bucket
        anew. Text takes ``encoding``, ``errors`` and ``newline``."""
        mode, text = mode or self.mode, text_options(*args, **kwargs) or self._text
        if is_writing(self.name, mode):
            raise ValueError(f"{self.name!r} is open for reading. Open it with its storage to write.")
        if self.closed or (mode, text) != (self.mode, self._text):
            self.close()
            self.mode, self._text = mode, text
            self._start()
        self.seek(0)
        return self


def _give_back(response: BaseHTTPResponse) -> None:
    """Let the pool have the connection, read to the end of the answer."""
    response.drain_conn()
    response.release_conn()


def _span(response: BaseHTTPResponse) -> Span:
    """Raise ``KeyError`` or ``ValueError`` where the answer does not say it, nor of which version."""
    tag = response.headers["ETag"]
    if response.status == 200:
        length = int(response.headers["Content-Length"])
        return Span(0, length, length, tag)
    match = _CONTENT_RANGE.fullmatch(response.headers["Content-Range"])
    if match is None:
        raise ValueError(response.headers["Content-Range"])
    start, last, total = map(int, match.groups())
    return Span(start, last + 1, total, tag)


def modified_time(headers: Mapping[str, str]) -> datetime:
    """Return the aware time of a ``Last-Modified`` header."""
    return parsedate_to_datetime(headers["Last-Modified"])
