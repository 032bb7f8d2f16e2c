"""An OpenTelemetry span for each storage call, if ``opentelemetry-api`` is installed.

Spans of requests, from an instrumentation of urllib3, become its children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, wraps
from importlib.util import find_spec
from typing import Any, TypeVar

from ..exceptions import ConfigurationError, RoutingError
from ..tenancy import get_tenancy

Method = TypeVar("Method", bound=Callable[..., Any])

_IS_INSTALLED = find_spec("opentelemetry") is not None and find_spec("opentelemetry.trace") is not None
_ANSWERS = (FileNotFoundError, FileExistsError)  # expected results, not errors


class _Call:
    """A call with a span, and the attributes set so far."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self._recorded: set[str] = set()

    def record(self, storage: Any) -> None:
        """Set tenant and bucket, keeping the first values: a fallback comes later."""
        for name, find in (("storage.tenant", _tenant_of), ("storage.bucket", _bucket_of)):
            if name not in self._recorded and (value := find(storage)) is not None:
                self._recorded.add(name)
                self._span.set_attribute(name, value)


_call: ContextVar[Any] = ContextVar("minio_router_traced_call", default=None)


def traced(method: Method) -> Method:
    """Give each call of a storage method a span, except for calls within another one.

    The attributes are ``storage.operation``, ``storage.tenant`` (a key, if any) and ``storage.bucket``. A
    missing file and a taken name do not count as errors.
    """
    if not _IS_INSTALLED:
        return method

    name = f"storage {method.__name__}"

    @wraps(method)
    def within_span(storage: Any, *args: Any, **kwargs: Any) -> Any:
        call = _call.get()
        if call is not None:
            call.record(storage)
            return method(storage, *args, **kwargs)
        span = _tracer().start_span(name)
        if not span.get_span_context().is_valid:  # the project did not set up OpenTelemetry
            return method(storage, *args, **kwargs)
        with _current_span(span, storage, method.__name__):
            return method(storage, *args, **kwargs)

    return within_span  # type: ignore[return-value]


@cache
def _tracer() -> Any:
    from opentelemetry import trace

    return trace.get_tracer("django_minio_router")


@contextmanager
def _current_span(span: Any, storage: Any, operation: str) -> Iterator[None]:
    from opentelemetry import trace

    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        span.set_attribute("storage.operation", operation)
        token = _call.set(_Call(span))
        try:
            _call.get().record(storage)
            yield
        except _ANSWERS:
            raise
        except Exception as error:
            span.record_exception(error)
            span.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            _call.reset(token)


def _bucket_of(storage: Any) -> str | None:
    return getattr(storage, "bucket", None)  # a router has no bucket, but calls a backend that has


def _tenant_of(storage: Any) -> str | None:
    with suppress(RoutingError, ConfigurationError):
        tenancy, tenant = get_tenancy(), getattr(storage, "tenant", None)
        return tenancy.active_key() if tenant is None else tenancy.key(tenant)
    return None
