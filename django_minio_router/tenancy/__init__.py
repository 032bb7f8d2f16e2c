"""Who is the tenant? Schemas of django-tenants tell, rows of a model, or nobody, in a project without any."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..exceptions import TenantRequired
from .base import Tenancy
from .configured import get_tenancy
from .context import NOBODY, acting
from .rows import RowTenancy
from .schemas import SchemaTenancy

__all__ = [
    "RowTenancy",
    "SchemaTenancy",
    "Tenancy",
    "current_key",
    "current_owner",
    "current_tenant",
    "get_tenancy",
    "tenant_bucket_context",
]


def current_key() -> str | None:
    """Return the key of the active tenant, such as its schema name, or None if there is none."""
    return get_tenancy().active_key()


def current_tenant() -> Any:
    """Return the row of the active tenant. ``TenantRequired`` if there is none, or no such row."""
    return get_tenancy().active_tenant()


def current_owner() -> Any:
    """Return what the ``owner`` of a field found for the row of this call: it need not be a tenant.

    Else the row of the active tenant. ``TenantRequired`` if there is none.
    """
    entered = acting.get()
    if entered is not None and entered.connection is None and entered.tenant is not NOBODY:
        return entered.tenant if not isinstance(entered.tenant, str) else current_tenant()
    return current_tenant()


def tenant_bucket_context(tenant: Any) -> AbstractContextManager[None]:
    """Let storages act for this tenant, a row or a key, whatever the connection or the request says.

    A context variable: it follows ``await``, ``sync_to_async`` and ``copy_context()``, while a database
    connection belongs to a thread. No query is sent, and the connection is not changed. A tenant that is
    entered within it, with ``tenant_context`` of django-tenants, comes first.
    """
    if tenant is None:
        raise TenantRequired("tenant_bucket_context() was given no tenant. Give it a row, or the key of one.")
    return get_tenancy().bucket_context(tenant)
