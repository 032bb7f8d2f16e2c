"""Date folders for ``upload_to``."""

from __future__ import annotations

from datetime import datetime, timezone


def get_iso_date() -> str:
    """Return today's date in UTC as ``YYYY-MM-DD``."""
    return datetime.now(timezone.utc).date().isoformat()


def iso_date_prefix(instance: object, filename: str) -> str:
    """Return ``YYYY-MM-DD/filename``, for use as a field's ``upload_to``."""
    return f"{get_iso_date()}/{filename}"
