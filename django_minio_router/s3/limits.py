"""The time limit of a call: one for all its requests and retries."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_SHARE = 0.9  # of the time left, for each request, so that a failed one can still be checked
_MINIMUM = 0.1  # seconds

# Set when nobody waits for this context any more; an upload stops then.
cancelled: ContextVar[threading.Event | None] = ContextVar("minio_router_called_off", default=None)

_began: ContextVar[list[float] | None] = ContextVar("minio_router_call_began", default=None)


# When the attempts of the current request must end, on the monotonic clock. As a variable, it lets requests
# share one urllib3.Retry and one urllib3.Timeout.
attempts_end: ContextVar[float] = ContextVar("minio_router_attempts_end", default=math.inf)


def limited(method: Callable[P, T]) -> Callable[P, T]:
    """Give all requests of the method one limit; a nested call shares that of the outer one."""

    @wraps(method)
    def within_limit(*args: P.args, **kwargs: P.kwargs) -> T:
        if _began.get() is not None:
            return method(*args, **kwargs)
        token = _began.set([time.monotonic()])
        try:
            return method(*args, **kwargs)
        finally:
            _began.reset(token)

    return within_limit


class pause_limit:
    """Do not count the time of this block, in which content is transferred."""

    def __enter__(self) -> None:
        self._entered = time.monotonic()

    def __exit__(self, *failure: object) -> None:
        began = _began.get()
        if began is not None:
            began[0] += time.monotonic() - self._entered


def restart_limit() -> None:
    """Restart the limit, after a response."""
    began = _began.get()
    if began is not None:
        began[0] = time.monotonic()


def time_left(seconds: float) -> float:
    """Return how many of the seconds are left for the next request and its retries."""
    began = _began.get()
    if began is None:
        return seconds
    return max(_MINIMUM, _SHARE * (began[0] + seconds - time.monotonic()))
