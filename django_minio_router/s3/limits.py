"""How long a call may wait without an answer: one limit for all its requests and their repeats."""

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

_SHARE = 0.9  # of what is left, for each request: so there is time to look what became of one that failed
_LEAST = 0.1  # seconds

# Set as soon as nobody waits for what this context does; content that is on its way stops then.
called_off: ContextVar[threading.Event | None] = ContextVar("minio_router_called_off", default=None)

_began: ContextVar[list[float] | None] = ContextVar("minio_router_call_began", default=None)


@contextmanager
def one_call() -> Iterator[None]:
    """Let all that is asked within this block share one limit; a block within another shares its."""
    if _began.get() is not None:
        yield
        return
    token = _began.set([time.monotonic()])
    try:
        yield
    finally:
        _began.reset(token)


def limited(method: Callable[P, T]) -> Callable[P, T]:
    """Let all that the method asks share one limit."""

    @wraps(method)
    def within_limit(*args: P.args, **kwargs: P.kwargs) -> Any:
        if _began.get() is not None:
            return method(*args, **kwargs)
        with one_call():
            return method(*args, **kwargs)

    return within_limit


@contextmanager
def not_counted() -> Iterator[None]:
    """Leave the time of this block out: content is on its way, however long that takes."""
    entered = time.monotonic()
    try:
        yield
    finally:
        began = _began.get()
        if began is not None:
            began[0] += time.monotonic() - entered


def renew() -> None:
    """Start anew to count: an answer came."""
    began = _began.get()
    if began is not None:
        began[0] = time.monotonic()


def time_left(seconds: float) -> float:
    """Return how many of the seconds are left for the next request, with its repeats."""
    began = _began.get()
    if began is None:
        return seconds
    return max(_LEAST, _SHARE * (began[0] + seconds - time.monotonic()))
