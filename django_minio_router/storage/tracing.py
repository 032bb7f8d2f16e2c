"""One OpenTelemetry span for each call of a storage, in projects that have ``opentelemetry-api`` installed.

Spans of requests, as instrumentations of urllib3 make them, become its children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from importlib.util import find_spec
from typing import Any, TypeVar

from ..exceptions import ConfigurationError, RoutingError
from ..tenancy import get_tenancy

Method = TypeVar("Method", bound=Callable[..., Any])

_IS_INSTALLED = find_spec("opentelemetry") is not None and find_spec("opentelemetry.trace") is not None
_ANSWERS = (FileNotFoundError, FileExistsError)  # what the caller asked for may be just this


class _Call:
    """A call that has a span, and what is known of it."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self._told: set[str] = set()

    def tell(self, storage: Any) -> None:
        """Say whose call it is, and which bucket: the first one that is known, as a fallback comes later."""
        for name, find in (("storage.tenant", _tenant_of), ("storage.bucket", _bucket_of)):
            if name not in self._told and (value := find(storage)) is not None:
                self._told.add(name)
                self._span.set_attribute(name, value)


_call: ContextVar[Any] = ContextVar("minio_router_traced_call", default=None)


def traced(method: Method) -> Method:
    """Give the calls of a storage's method a span. A call that another one makes on its way has none.

    Its attributes are ``storage.operation``, ``storage.tenant`` (a key, if there is one) and
    ``storage.bucket``. A file that is missing, and a name that is taken, are answers and no errors.
    """
    if not _IS_INSTALLED:
        return method

    @wraps(method)
    def within_span(storage: Any, *args: Any, **kwargs: Any) -> Any:
        if _call.get() is None:
            with _begun(storage, method.__name__):
                return method(storage, *args, **kwargs)
        _call.get().tell(storage)
        return method(storage, *args, **kwargs)

    return within_span  # type: ignore[return-value]


@contextmanager
def _begun(storage: Any, operation: str) -> Iterator[None]:
    from opentelemetry import trace

    tracer = trace.get_tracer("django_minio_router")
    with tracer.start_as_current_span(
        f"storage {operation}", record_exception=False, set_status_on_exception=False
    ) as span:
        span.set_attribute("storage.operation", operation)
        token = _call.set(_Call(span))
        try:
            _call.get().tell(storage)
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
    return getattr(storage, "bucket", None)  # a router has none, and asks one that has


def _tenant_of(storage: Any) -> str | None:
    with suppress(RoutingError, ConfigurationError):
        tenancy, tenant = get_tenancy(), getattr(storage, "tenant", None)
        return tenancy.active_key() if tenant is None else tenancy.key(tenant)
    return None
