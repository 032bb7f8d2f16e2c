"""For whom storages act, whatever the database connection says."""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from ..exceptions import TenantRequired


class Acting(NamedTuple):
    """The tenant that storages act for, a row or a key, and what the connection said on entering.

    ``connection`` is the one of the thread that entered, ``connected`` the key of its tenant then. Without
    a connection the tenant is certain, whatever else was entered: it is an owner, or a row's own.
    """

    tenant: Any
    connection: object = None
    connected: str | None = None


acting: ContextVar[Acting | None] = ContextVar("minio_router_acting", default=None)


class acting_for(ContextDecorator):
    def __init__(self, tenant: Any, connection: object = None, connected: str | None = None) -> None:
        if tenant is None:
            raise TenantRequired(
                "tenant_bucket_context() was given no tenant. Give it a row or a schema name."
            )
        self._acting = Acting(tenant, connection, connected)

    def _recreate_cm(self) -> acting_for:
        """Enter anew at each call of a decorated function, which may call itself."""
        return acting_for(*self._acting)

    def __enter__(self) -> None:
        self._token: Token[Acting | None] = acting.set(self._acting)

    def __exit__(self, *error: object) -> None:
        acting.reset(self._token)
