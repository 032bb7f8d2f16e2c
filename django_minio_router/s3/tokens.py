"""What tells one save from all others: a token in the object. Which of them has this process seen stored?"""

from __future__ import annotations

import secrets
import time

from ..caches import BoundedCache

TOKEN_HEADER = "x-amz-meta-upload-token"  # noqa: S105

_stored_at: BoundedCache[str, float] = BoundedCache(4096)


def new_token() -> str:
    return secrets.token_hex(16)


def remember(token: str) -> None:
    """Keep in mind that the object with this token was acknowledged now."""
    _stored_at.set(token, time.monotonic())


def stored_at(token: str) -> float | None:
    """Return when that was, on the monotonic clock; None if this process does not know."""
    return _stored_at.get(token)
