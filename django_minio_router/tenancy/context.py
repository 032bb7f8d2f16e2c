"""``tenant_bucket_context``: for whom storages act, whatever the database connection says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from ..exceptions import TenantRequired


class Acting(NamedTuple):
    """The tenant that storages act for, a row or a key, and what the connection said on entering.

    ``connection`` is the one of the thread that entered, ``connected`` the key of its tenant then.
    """

    tenant: Any
    connection: object
    connected: str | None


acting: ContextVar[Acting | None] = ContextVar("minio_router_acting", default=None)


@contextmanager
def acting_for(entered: Acting) -> Iterator[None]:
    if entered.tenant is None:
        raise TenantRequired("tenant_bucket_context() was given no tenant. Give it a row or a schema name.")
    token = acting.set(entered)
    try:
        yield
    finally:
        acting.reset(token)
