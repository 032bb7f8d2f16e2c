"""``ObjectResponse``: stream a file of a storage, or a part of it."""

from __future__ import annotations

import logging
import posixpath
import re
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.files import File
from django.core.files.storage import Storage
from django.db.models.fields.files import FieldFile
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import parse_http_date_safe

from ..exceptions import ServerError
from ..s3.reading import FIRST_RANGE, ObjectFile, reading_all
from .active_content import disposition_header, is_safe_to_display
from .asynchronous import PIECE, AsyncMethods, in_background, in_thread, read_ahead
from .headers import content_type_of

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

_FORWARDED_HEADERS = ("Cache-Control", "Content-Encoding", "Content-Language", "Expires")
# The headers of a request that may get less than the whole file.
_PARTIAL = {"Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"}
_NUMBER = "([0-9]{1,1000})"
_RANGE = re.compile(rf"bytes=[ \t]*(?:{_NUMBER}-{_NUMBER}?|-{_NUMBER})[ \t]*", re.IGNORECASE)


class ObjectResponse(StreamingHttpResponse):
    """Send a file to a visitor, from the bucket and in the version that is opened here.

    ``file`` is the file of a row, an open file, or a storage together with a ``name``. Conditional requests
    and a single range follow RFC 9110; several ranges get the whole file. If the file is replaced, or the
    server fails, the response breaks off. ``filename`` is the name under which browsers save it, by default
    the last part of its name. ``as_attachment`` says whether browsers save or display it; by default, they
    save content that may run scripts, and display the rest. Raise ``FileNotFoundError`` if it is missing.
    """

    def __init__(
        self,
        file: FieldFile | File[Any] | Storage,
        name: str | None = None,
        *,
        request: HttpRequest,
        filename: str | None = None,
        as_attachment: bool | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        with reading_all(request.method == "GET" and _PARTIAL.isdisjoint(request.headers)):
            opened = _opened(file, name)
        info = _FileInfo.of(opened)
        content = _Content(opened, _answer(request, info))
        content_type = content_type or info.content_type
        super().__init__(
            content.ahead() if hasattr(request, "scope") else iter(content),
            status=content.answer.status,
            content_type=content_type,
            headers={**info.headers, **content.answer.headers},
        )
        self._close_content = content.close
        self._resource_closers.append(content.close)  # type: ignore[attr-defined]  # django-stubs lacks it
        if as_attachment is None:
            as_attachment = info.is_attachment or not is_safe_to_display(info.name, content_type)
        filename = filename or posixpath.basename(info.name)
        self.headers["Content-Disposition"] = disposition_header(as_attachment, filename)
        for header, value in (headers or {}).items():
            self.headers[header] = value

    @classmethod
    def acreate(
        cls, file: FieldFile | File[Any] | Storage, name: str | None = None, **options: Any
    ) -> Coroutine[Any, Any, Self]:
        """Create the response in async code: the bucket is decided now, and a thread opens the file."""
        if isinstance(file, FieldFile):
            name, file = file.name, file.storage
        if isinstance(file, AsyncMethods):
            file = file.settled()
        return in_thread(partial(cls, file, name, **options), lambda response: response._close_content())


def _opened(file: FieldFile | File[Any] | Storage, name: str | None) -> File[Any]:
    """Return the file, opened for this response."""
    if isinstance(file, FieldFile):
        name, file = file.name, file.storage
    if not isinstance(file, Storage):
        return file
    if not name:
        raise FileNotFoundError("The row has no file.")
    opened: File[Any] = file.open(name)
    # Django 4.2 does not name files in its memory.
    return opened if getattr(opened, "name", None) else File(opened, name)


class _FileInfo(NamedTuple):
    """What a response needs to know about the file."""

    name: str
    size: int
    etag: str
    modified: int | None
    content_type: str
    is_attachment: bool
    headers: dict[str, str]

    @classmethod
    def of(cls, file: File[Any]) -> Self:
        stored: Mapping[str, str] = getattr(file, "headers", {})
        name, etag, modified = str(file.name or ""), stored.get("ETag", ""), stored.get("Last-Modified", "")
        headers = {header: stored[header] for header in _FORWARDED_HEADERS if header in stored}
        headers |= {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
        headers |= {key: value for key, value in (("ETag", etag), ("Last-Modified", modified)) if value}
        return cls(
            name,
            file.size,
            etag,
            parse_http_date_safe(modified) if modified else None,
            content_type_of(name, file),
            stored.get("Content-Disposition", "").lower().startswith("attachment"),
            headers,
        )


class _Answer(NamedTuple):
    """The status and headers of a response, and the bytes of the file that it sends."""

    status: int
    start: int
    end: int
    headers: dict[str, str]


def _answer(request: HttpRequest, info: _FileInfo) -> _Answer:
    conditional = get_conditional_response(request, info.etag or None, info.modified)
    if conditional is not None:
        return _Answer(conditional.status_code, 0, 0, {})
    size = info.size
    requested = _requested_range(request, info)
    if requested is None:
        return _Answer(200, 0, 0 if request.method == "HEAD" else size, {"Content-Length": str(size)})
    start, end = requested
    if start >= end:
        return _Answer(416, 0, 0, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)}
    # Without it, Django's GZipMiddleware would compress the part as if it were the whole file.
    headers["Content-Encoding"] = info.headers.get("Content-Encoding", "identity")
    return _Answer(206, start, end, headers)


def _requested_range(request: HttpRequest, info: _FileInfo) -> tuple[int, int] | None:
    """Return the requested range as start and end; empty if start is not below end.

    None means the whole file: without a range, with several, with a malformed one, and if the client's part
    is from another version.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or found is None or not _is_same_version(request, info):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), info.size)
        return None if not info.size and int(suffix) else (info.size - length, info.size)
    start, end = int(first), info.size if last is None else int(last) + 1
    return None if end <= start and last is not None else (start, min(end, info.size))


def _is_same_version(request: HttpRequest, info: _FileInfo) -> bool:
    condition = request.headers.get("If-Range", "")
    if not condition or condition.startswith(('"', "W/")):
        return condition in {"", info.etag}  # S3 has strong entity tags only
    return info.modified is not None and parse_http_date_safe(condition) == info.modified


class _Content:
    """The bytes of a response, read piece by piece, by one thread at a time."""

    def __init__(self, file: File[Any], answer: _Answer) -> None:
        self.answer = answer
        self._file = file
        self._remaining = answer.end - answer.start
        self._lock = threading.Lock()
        self._is_closed = False
        self._piece = FIRST_RANGE  # little, so that the visitor's first byte does not wait for much
        self._read: Callable[[int], bytes] = file.read
        if not self._remaining:
            self.close()
        elif isinstance(file, ObjectFile):
            self._read = file.pieces_between(answer.start, answer.end)
        else:
            file.seek(answer.start)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.take, b"")

    async def ahead(self) -> AsyncGenerator[bytes, None]:
        """Yield the pieces, reading one ahead. The file is closed as soon as the consumer stops."""
        pieces = read_ahead(self.take)
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()
            in_background(self.close)

    def take(self) -> bytes:
        """Return the next piece; empty only at the end or after ``close()``."""
        with self._lock:
            if self._is_closed or not self._remaining:
                return b""
            try:
                piece = self._read(min(self._piece, self._remaining))
                if not piece:
                    raise ServerError(f"{self._file.name!r} ended {self._remaining} bytes early.")
            except Exception as error:
                if not self._is_closed:
                    logger.error("The response with %s broke off: %s", self._place, error)
                raise
            self._remaining, self._piece = self._remaining - len(piece), PIECE
            return piece

    @property
    def _place(self) -> str:
        return getattr(self._file, "place", "") or repr(self._file.name)

    def close(self) -> None:
        """Close the file, interrupting a read in another thread."""
        self._is_closed = True
        if self._lock.locked() and isinstance(self._file, ObjectFile):
            self._file.interrupt()
        with self._lock:
            self._file.close()
