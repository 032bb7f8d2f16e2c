"""``ObjectResponse``: a file of a storage as an answer, whole or in part, that is never in memory whole."""

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
from django.http import StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, parse_http_date_safe

from ..exceptions import ServerError
from ..s3.reading import ObjectFile
from .active_content import is_safe_to_show
from .asynchronous import PIECE, AsyncMethods, in_background, in_thread, one_ahead
from .headers import content_type_of

if TYPE_CHECKING:
    from django.http import HttpRequest
    from typing_extensions import Self

logger = logging.getLogger(__name__)

_PASSED_ON = ("Cache-Control", "Content-Encoding", "Content-Language", "Expires")
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
        opened = _opened(file, name)
        about = _About.of(opened)
        content = _Content(opened, _answer_to(request, about))
        content_type = content_type or about.content_type
        super().__init__(
            content.ahead() if hasattr(request, "scope") else iter(content),
            status=content.answer.status,
            content_type=content_type,
            headers={**about.headers, **content.answer.headers},
        )
        self._let_go = content.close
        self._resource_closers.append(content.close)  # type: ignore[attr-defined]  # django-stubs lacks it
        if as_attachment is None:
            as_attachment = about.is_attachment or not is_safe_to_show(about.name, content_type)
        filename = filename or posixpath.basename(about.name)
        self.headers["Content-Disposition"] = content_disposition_header(as_attachment, filename) or "inline"
        for header, value in (headers or {}).items():
            self.headers[header] = value

    @classmethod
    def acreate(
        cls, file: FieldFile | File[Any] | Storage, name: str | None = None, **options: Any
    ) -> Coroutine[Any, Any, Self]:
        """Do the same in async code: the bucket is decided now, and a thread opens the file."""
        if isinstance(file, FieldFile):
            name, file = file.name, file.storage
        if isinstance(file, AsyncMethods):
            file = file.settled()
        return in_thread(partial(cls, file, name, **options), lambda response: response._let_go())


def _opened(file: FieldFile | File[Any] | Storage, name: str | None) -> File[Any]:
    """Return the file, opened for this answer alone."""
    if isinstance(file, FieldFile):
        name, file = file.name, file.storage
    if not isinstance(file, Storage):
        return file
    if not name:
        raise FileNotFoundError("The row has no file.")
    opened: File[Any] = file.open(name)
    return opened


class _About(NamedTuple):
    """What an answer says of a file, whichever part of it is sent."""

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
        headers = {header: stored[header] for header in _PASSED_ON if header in stored}
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
    """A status with its headers, and which bytes of the file come with it."""

    status: int
    start: int
    end: int
    headers: dict[str, str]


def _answer_to(request: HttpRequest, about: _About) -> _Answer:
    conditional = get_conditional_response(request, about.etag or None, about.modified)
    if conditional is not None:
        return _Answer(conditional.status_code, 0, 0, {})
    size = about.size
    wanted = _wanted(request, about)
    if wanted is None:
        return _Answer(200, 0, 0 if request.method == "HEAD" else size, {"Content-Length": str(size)})
    start, end = wanted
    if start >= end:
        return _Answer(416, 0, 0, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{size}", "Content-Length": str(end - start)}
    # Else Django's GZipMiddleware packs the part as if it were the whole.
    headers["Content-Encoding"] = about.headers.get("Content-Encoding", "identity")
    return _Answer(206, start, end, headers)


def _wanted(request: HttpRequest, about: _About) -> tuple[int, int] | None:
    """Return the bytes that the request asks for: none are there if the first is not below the second.

    None means the whole: without a range, with several or one that is malformed, and if the visitor's part is
    of another version.
    """
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or found is None or not _is_same_version(request, about):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), about.size)
        return None if not about.size and int(suffix) else (about.size - length, about.size)
    start, end = int(first), about.size if last is None else int(last) + 1
    return None if end <= start and last is not None else (start, min(end, about.size))


def _is_same_version(request: HttpRequest, about: _About) -> bool:
    condition = request.headers.get("If-Range", "")
    if not condition or condition.startswith(('"', "W/")):
        return condition in {"", about.etag}  # which S3 never makes a weak one
    return about.modified is not None and parse_http_date_safe(condition) == about.modified


class _Content:
    """The bytes of an answer, which one thread at a time takes piece by piece."""

    def __init__(self, file: File[Any], answer: _Answer) -> None:
        self.answer = answer
        self._file = file
        self._left = answer.end - answer.start
        self._lock = threading.Lock()
        self._is_closed = False
        self._read: Callable[[int], bytes] = file.read
        if not self._left:
            self.close()
        elif isinstance(file, ObjectFile):
            self._read = file.pieces_between(answer.start, answer.end)
        else:
            file.seek(answer.start)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.take, b"")

    async def ahead(self) -> AsyncGenerator[bytes, None]:
        """Yield the pieces, and read one ahead. Whoever stops lets go of the file at once."""
        pieces = one_ahead(self.take)
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()
            in_background(self.close)

    def take(self) -> bytes:
        """Return the next piece, none only at the end or after ``close()``."""
        with self._lock:
            if self._is_closed or not self._left:
                return b""
            try:
                piece = self._read(min(PIECE, self._left))
                if not piece:
                    raise ServerError(f"{self._file.name!r} ended {self._left} bytes early.")
            except Exception as error:
                if not self._is_closed:
                    logger.error("The response with %s broke off: %s", self._place, error)
                raise
            self._left -= len(piece)
            return piece

    @property
    def _place(self) -> str:
        return getattr(self._file, "place", "") or repr(self._file.name)

    def close(self) -> None:
        """Close the file; a read that is under way in another thread ends."""
        self._is_closed = True
        if self._lock.locked() and isinstance(self._file, ObjectFile):
            self._file.interrupt()
        with self._lock:
            self._file.close()
