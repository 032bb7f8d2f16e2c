"""Log each request to ``django_minio_router.requests``, without names, queries and keys."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .errors import active_key

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

logger = logging.getLogger("django_minio_router.requests")

_TEXT = (
    "%(method)s %(bucket)s tenant=%(tenant)s status=%(status)s bytes=%(bytes)s ms=%(milliseconds).1f "
    "attempt=%(attempt)s"
)


class SentRequest:
    """A request in progress; ``sent`` is the size of its body in bytes."""

    def __init__(self, method: str, path: str, sent: int, retries: Any) -> None:
        self.method, self.path, self.sent, self.retries = method, path, sent, retries
        self.started = perf_counter()

    @property
    def limit(self) -> int:
        """The number of retries."""
        return int(getattr(self.retries, "total", self.retries) or 0)  # a project's own pool may use a number

    def answered(self, response: BaseHTTPResponse) -> None:
        retries = response.retries
        repeats = len(retries.history) if retries else 0
        if repeats or logger.isEnabledFor(logging.DEBUG):  # mostly neither
            self._log(response.status, repeats, response.headers)

    def failed(self, error: Exception, *, last: bool) -> None:
        """Log that there was no response; ``last`` after all retries."""
        self._log(type(error).__name__, self.limit if last else 0, {})

    def _log(self, status: int | str, repeats: int, headers: Mapping[str, str]) -> None:
        """Log a request: as a warning if it needed more than half of its retries."""
        level = logging.WARNING if repeats * 2 > self.limit else logging.DEBUG
        if not logger.isEnabledFor(level):
            return
        length = headers.get("Content-Length", "")
        received = int(length) if length.isdecimal() and self.method != "HEAD" else 0
        record: Mapping[str, Any] = {
            "method": self.method,
            "bucket": self.path.lstrip("/").partition("/")[0] or "-",
            "tenant": active_key(),
            "status": status,
            "bytes": self.sent or received,
            "milliseconds": (perf_counter() - self.started) * 1000,
            "attempt": repeats + 1,
        }
        logger.log(level, _TEXT, record, extra=dict(record))
