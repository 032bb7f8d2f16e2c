"""Reading: a seekable binary file over range requests that stays with the object it was opened on."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from django.core.files import File
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from .clients import Client
from .exceptions import ServerError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FIRST_RANGE = 192 * 1024  # bytes; small files need one request, a glance at a large one costs no more
_BUFFER = 64 * 1024
_DRAIN = 64 * 1024  # bytes; reading so few to the end is cheaper than a new connection


class ObjectReader(io.RawIOBase):
    """The bytes of one object of one bucket, in one version.

    The first request fetches the beginning; later ones stream from where the reader stands, and only if
    the entity tag is still the same. A broken stream goes on by range from where it was.
    """

    def __init__(self, client: Client, bucket: str, name: str, path: str, headers: Mapping[str, str]) -> None:
        self._client, self._bucket, self._name, self._path = client, bucket, name, path
        self._headers = headers
        self._position = 0
        self._stream: BaseHTTPResponse | None = None
        self._stream_at = 0
        self._stream_end = 0
        self._process = os.getpid()
        first = self._request({"Range": f"bytes=0-{FIRST_RANGE - 1}"})
        if first.status == 416:  # the range of an empty object
            first.release_conn()
            self.size, self.etag = 0, first.headers.get("ETag", "")
        elif first.status in (200, 206):
            self.etag = first.headers.get("ETag", "")
            self._open_stream(first, 0)
            self.size = _total_size(first)
        else:
            self._fail(first)
        self.response_headers: Mapping[str, str] = first.headers

    def _request(self, headers: Mapping[str, str]) -> BaseHTTPResponse:
        return self._client.request("GET", self._path, headers={**self._headers, **headers}, stream=True)

    def _fail(self, response: BaseHTTPResponse) -> None:
        response.data  # noqa: B018  reads the error, and so gives the connection back
        if response.status == 412:
            raise ServerError(
                f"{self._name!r} in the bucket {self._bucket!r} was replaced while it was being read. "
                "Open it again.",
                status=412,
                code="PreconditionFailed",
            )
        self._client.refuse(response, self._bucket, self._name)

    def _open_stream(self, response: BaseHTTPResponse, start: int) -> None:
        self._stream = response
        self._stream_at = start
        self._stream_end = start + int(response.headers["Content-Length"])

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

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._position >= self.size:
            return 0
        view = memoryview(buffer).cast("B")
        for attempt in range(self._client.server.retries + 1):
            try:
                data = self._read(len(view))
            except (HTTPError, OSError) as error:
                self._drop_stream()
                if isinstance(error, ServerError | FileNotFoundError):
                    raise
                if attempt == self._client.server.retries:
                    raise self._client.unreachable(error) from error
                continue
            view[: len(data)] = data
            self._position += len(data)
            return len(data)
        raise AssertionError  # the loop returns or raises

    def _read(self, size: int) -> bytes:
        stream = self._stream_here()
        data = stream.read(min(size, self._stream_end - self._stream_at))
        if not data:
            raise HTTPError(f"the body ended at byte {self._stream_at} of {self.size}")
        self._stream_at += len(data)
        if self._stream_at == self._stream_end:
            self._close_stream()
        return data

    def _stream_here(self) -> BaseHTTPResponse:
        """Return a stream that stands at the position; ask for a new one if the last stands elsewhere."""
        if self._process != os.getpid():
            self._stream = None  # the parent reads from that socket
            self._process = os.getpid()
        if self._stream is not None and self._stream_at == self._position:
            return self._stream
        self._close_stream()
        headers = {"Range": f"bytes={self._position}-"}
        if self.etag:
            headers["If-Match"] = self.etag
        response = self._request(headers)
        if response.status != 206 or not _starts_at(response, self._position):
            self._fail(response)
        self._open_stream(response, self._position)
        return response

    def _close_stream(self) -> None:
        """Give the connection back, ready for use if little is left unread."""
        stream, self._stream = self._stream, None
        if stream is None or self._process != os.getpid():
            return
        if self._stream_end - self._stream_at > _DRAIN:
            stream.close()
        else:
            try:
                stream.drain_conn()
            except (HTTPError, OSError):
                stream.close()
        stream.release_conn()

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            stream.release_conn()

    def close(self) -> None:
        if not self.closed:
            self._close_stream()
        super().close()


class ObjectFile(File):  # type: ignore[type-arg]
    """An object opened for reading; Django's ``File``, on the bucket that opened it.

    ``size`` is in bytes; it and the content type come with the first request.
    """

    def __init__(self, reader: ObjectReader, name: str, reopen: Any) -> None:
        super().__init__(io.BufferedReader(reader, _BUFFER), name)
        self.mode = "rb"
        self._size = reader.size
        self._reopen = reopen
        self.content_type = reader.response_headers.get("Content-Type", "")
        self.etag = reader.etag

    @property
    def size(self) -> int:
        return self._size

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> ObjectFile:
        """Go back to the start; after ``close()`` open the same object of the same bucket anew."""
        if mode not in (None, "rb", "r"):
            raise ValueError(f"{self.name!r} is open for reading; the mode {mode!r} is not possible.")
        if self.closed:
            fresh = self._reopen()
            self.file, self._size = fresh.file, fresh.size
        self.seek(0)
        return self


def _total_size(response: BaseHTTPResponse) -> int:
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdigit() else int(response.headers["Content-Length"])


def _starts_at(response: BaseHTTPResponse, position: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {position}-")


def modified_time(headers: Mapping[str, str]) -> datetime:
    """Return the aware time of a ``Last-Modified`` header."""
    return parsedate_to_datetime(headers["Last-Modified"])
