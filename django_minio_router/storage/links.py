"""What a signed link says beside its signature: how long it lives, and what browsers make of the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

from django.utils.http import content_disposition_header

from ..exceptions import ConfigurationError
from .active_content import is_safe_to_show, link_disposition

if TYPE_CHECKING:
    from ..s3.client import Query


def seconds_of(life: timedelta | float) -> int:
    """Return the life of a link in whole seconds. ``ConfigurationError`` if it is not a time."""
    try:
        return math.ceil(life.total_seconds() if isinstance(life, timedelta) else life)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"A link cannot live for {life!r}. Give 'expires' a timedelta or a number of seconds."
        ) from error


class Told(NamedTuple):
    """What a link lets the server say of the file, instead of what it was stored with."""

    filename: str | None = None
    content_type: str | None = None
    disposition: str | None = None
    cache_control: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None

    def query(self, name: str, downloads_active: bool) -> str:
        """Return the quoted, sorted ``response-…`` parameters; active content may have to be downloaded."""
        disposition, filename = self.disposition, self.filename
        if disposition not in (None, "inline", "attachment"):
            raise ValueError(f"The disposition is {disposition!r}. Use 'inline' or 'attachment'.")
        if downloads_active:
            disposition = link_disposition(
                name, disposition=disposition, filename=filename, content_type=self.content_type
            )
        query = {
            "cache-control": self.cache_control,
            "content-encoding": self.content_encoding,
            "content-language": self.content_language,
            "content-type": self.content_type,
        }
        if filename is not None or disposition is not None:
            header = content_disposition_header(disposition != "inline", filename or "")
            query["content-disposition"] = header or "inline"
        said = {f"response-{name}": value for name, value in sorted(query.items()) if value is not None}
        return urlencode(said, safe="", quote_via=quote)


NOTHING = Told()
_ATTACHMENT = Told(disposition="attachment").query("", False)


def query_of_name(name: str) -> str:
    """Return what a link says that was asked for by its name alone, where active content is downloaded."""
    return "" if is_safe_to_show(name) else _ATTACHMENT


def check_writing(method: str, told: Told) -> None:
    """Raise ``ValueError`` if there is no link with this method, or if it cannot tell what it is told."""
    if method != "PUT":
        raise ValueError(f"The method of a link is {method!r}. Use 'GET' or 'PUT'.")
    if told != NOTHING:
        raise ValueError("A link for PUT shows nothing, so it takes no header for an answer. Leave them out.")


def signed_by(signer: Callable[[str, datetime], str], url: str, key: str, query: Query, ends: int) -> str:
    """Return the link that ``MINIO_URL_SIGNER`` makes of a plain one; ``ends`` is Unix time."""
    said = query if isinstance(query, str) else query(key)
    return signer(f"{url}?{said}" if said else url, datetime.fromtimestamp(ends, timezone.utc))
