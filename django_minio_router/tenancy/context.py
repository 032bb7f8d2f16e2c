"""For whom storages act, whatever the database connection says."""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

NOBODY = object()
"""Stands for the tenant where there is to be none, whoever the project says is active."""


class Acting(NamedTuple):
    """The tenant that storages act for, a row or a key, and what the tenancy said on entering.

    ``connection`` is that of the thread that entered, ``connected`` the key of its tenant then. Without
    a connection the tenant is certain, whatever else was entered: it is an owner, or a row's own.
    """

    tenant: Any
    connection: object = None
    connected: str | None = None


acting: ContextVar[Acting | None] = ContextVar("minio_router_acting", default=None)


class acting_for(ContextDecorator):
    def __init__(self, tenant: Any, connection: object = None, connected: str | None = None) -> None:
        self._acting = Acting(tenant, connection, connected)

    def _recreate_cm(self) -> acting_for:
        """Enter anew at each call of a decorated function, which may call itself."""
        return acting_for(*self._acting)

    def __enter__(self) -> None:
        self._token: Token[Acting | None] = acting.set(self._acting)

    def __exit__(self, *error: object) -> None:
        acting.reset(self._token)
