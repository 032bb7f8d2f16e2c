"""What a signed link says beside its signature: how long it lives, and what browsers make of the file."""

from __future__ import annotations

import math
from datetime import timedelta
from urllib.parse import quote, urlencode

from django.utils.http import content_disposition_header

from ..exceptions import ConfigurationError
from .active_content import is_safe_to_show


def seconds_of(life: timedelta | float) -> int:
    """Return the life of a link in whole seconds. ``ConfigurationError`` if it is not a time."""
    try:
        return math.ceil(life.total_seconds() if isinstance(life, timedelta) else life)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"A link cannot live for {life!r}. Give 'expires' a timedelta or a number of seconds."
        ) from error


def response_query(filename: str | None, content_type: str | None, disposition: str | None) -> str:
    """Return the quoted, sorted ``response-…`` parameters."""
    if disposition not in (None, "inline", "attachment"):
        raise ValueError(f"The disposition is {disposition!r}. Use 'inline' or 'attachment'.")
    query = {}
    if filename is not None or disposition is not None:
        header = content_disposition_header(disposition != "inline", filename or "")
        query["response-content-disposition"] = header or "inline"
    if content_type is not None:
        query["response-content-type"] = content_type
    return urlencode(query, safe="", quote_via=quote)


_ATTACHMENT = response_query(None, None, "attachment")


def query_of_name(name: str) -> str:
    """Return what a link says that was asked for by its name alone, where active content is downloaded."""
    return "" if is_safe_to_show(name) else _ATTACHMENT
