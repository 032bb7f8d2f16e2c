"""The options of a signed link: its lifetime, and the response headers that it overrides."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from urllib.parse import quote, urlencode

from ..exceptions import ConfigurationError
from .active_content import disposition_header, is_safe_to_display, link_disposition

if TYPE_CHECKING:
    from ..s3.bucket import Bucket
    from ..s3.client import Query
    from ..settings.config import Config


def seconds_of(life: timedelta | float) -> int:
    """Return the lifetime of a link in whole seconds. ``ConfigurationError`` if it is not a duration."""
    try:
        return math.ceil(life.total_seconds() if isinstance(life, timedelta) else life)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"A link cannot live for {life!r}. Set 'expires' to a timedelta or a number of seconds."
        ) from error


class LinkOptions(TypedDict, total=False):
    """The options of ``url()``: see ``MinioBackend.url``."""

    expires: timedelta | int | None
    filename: str | None
    content_type: str | None
    disposition: str | None
    cache_control: str | None
    content_encoding: str | None
    content_language: str | None
    method: str


class ResponseOverrides(NamedTuple):
    """The response headers that a link overrides."""

    filename: str | None = None
    content_type: str | None = None
    disposition: str | None = None
    cache_control: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None

    def query(self, name: str, downloads_active: bool) -> str:
        """Return the quoted, sorted ``response-…`` parameters. Active content may become an attachment."""
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
            query["content-disposition"] = disposition_header(disposition != "inline", filename or "")
        parameters = {f"response-{name}": value for name, value in sorted(query.items()) if value is not None}
        return urlencode(parameters, safe="", quote_via=quote)


NO_OVERRIDES = ResponseOverrides()
_ATTACHMENT = ResponseOverrides(disposition="attachment").query("", False)


def default_query(name: str) -> str:
    """Return the query of a link without options, where active content is downloaded."""
    return "" if is_safe_to_display(name) else _ATTACHMENT


def check_put_link(method: str, overrides: ResponseOverrides) -> None:
    """Raise ``ValueError`` for an unknown method, or for a PUT link with response headers."""
    if method != "PUT":
        raise ValueError(f"The method of a link is {method!r}. Use 'GET' or 'PUT'.")
    if overrides != NO_OVERRIDES:
        raise ValueError("A link for PUT has no response headers. Leave them out.")


def signed_links(sign: Callable[..., str], config: Config, query: Query) -> Callable[[str], str]:
    """Return the function that signs links, of a key, that live as long as the settings say."""

    def link(key: str) -> str:
        life, window = config.url_expiry
        return sign(key, life, window_start(window), query)

    return link


def window_start(window: int) -> int:
    """Return when the current window of so many seconds started, as Unix time: links are signed for that."""
    now = int(time.time())
    return now - now % window if window else now


def sign_with(
    signer: Callable[[str, datetime], str], bucket: Bucket, key: str, life: int, at: int, query: Query
) -> str:
    """Return the link that ``MINIO_URL_SIGNER`` makes; the arguments are those of ``Bucket.link``."""
    url, parameters = bucket.plain_link(key), query if isinstance(query, str) else query(key)
    ends = datetime.fromtimestamp(at + life, timezone.utc)
    return signer(f"{url}?{parameters}" if parameters else url, ends)
