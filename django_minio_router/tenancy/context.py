"""The tenant that storages act for, regardless of the database connection."""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

NO_TENANT = object()
"""The tenant of a context without a tenant, whichever one the project says is active."""


class TenantOverride(NamedTuple):
    """The tenant that storages act for (a row or a key), and the state of the tenancy on entering.

    ``connection`` belongs to the thread that entered, and ``connected`` is the key of its tenant at that
    time. Without a connection the tenant is certain, whatever else was entered: it is an owner, or a row's
    own.
    """

    tenant: Any
    connection: object = None
    connected: str | None = None


tenant_override: ContextVar[TenantOverride | None] = ContextVar("minio_router_acting", default=None)


class override_tenant(ContextDecorator):
    def __init__(self, tenant: Any, connection: object = None, connected: str | None = None) -> None:
        self._override = TenantOverride(tenant, connection, connected)

    def _recreate_cm(self) -> override_tenant:
        """Make a new context for each call of a decorated function, which may be recursive."""
        return override_tenant(*self._override)

    def __enter__(self) -> None:
        self._token: Token[TenantOverride | None] = tenant_override.set(self._override)

    def __exit__(self, *error: object) -> None:
        tenant_override.reset(self._token)
