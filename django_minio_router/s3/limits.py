"""The time limit of a call: one for all its requests and retries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_SHARE = 0.9  # of the time left, for each request, so that a failed one can still be checked
_MINIMUM = 0.1  # seconds

# Set when nobody waits for this context any more; an upload stops then.
cancelled: ContextVar[threading.Event | None] = ContextVar("minio_router_called_off", default=None)

_began: ContextVar[list[float] | None] = ContextVar("minio_router_call_began", default=None)


@contextmanager
def call_limit() -> Iterator[None]:
    """Give all requests within this block one limit; a nested block shares that of the outer one."""
    if _began.get() is not None:
        yield
        return
    token = _began.set([time.monotonic()])
    try:
        yield
    finally:
        _began.reset(token)


def limited(method: Callable[P, T]) -> Callable[P, T]:
    """Give all requests of the method one limit."""

    @wraps(method)
    def within_limit(*args: P.args, **kwargs: P.kwargs) -> Any:
        if _began.get() is not None:
            return method(*args, **kwargs)
        with call_limit():
            return method(*args, **kwargs)

    return within_limit


@contextmanager
def pause_limit() -> Iterator[None]:
    """Do not count the time of this block, in which content is transferred."""
    entered = time.monotonic()
    try:
        yield
    finally:
        began = _began.get()
        if began is not None:
            began[0] += time.monotonic() - entered


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
