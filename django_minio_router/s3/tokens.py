"""Tokens that identify a save: each object has one, and this process remembers those it stored."""

from __future__ import annotations

import secrets
import time

from ..caches import BoundedCache

TOKEN_HEADER = "x-amz-meta-upload-token"  # noqa: S105

_stored_at: BoundedCache[str, float] = BoundedCache(4096)


def new_token() -> str:
    return secrets.token_hex(16)


def remember(token: str) -> None:
    """Remember that the server has just acknowledged the object with this token."""
    _stored_at.set(token, time.monotonic())


def stored_at(token: str) -> float | None:
    """Return when the server acknowledged it, on the monotonic clock; None if unknown."""
    return _stored_at.get(token)
