"""Who is the tenant? A schema of django-tenants, a row of a model, or nobody in a project without tenants."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..exceptions import TenantRequired
from .base import Tenancy
from .configured import get_tenancy
from .context import NO_TENANT, tenant_override
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
    """Return the row of the active tenant. Raise ``TenantRequired`` if there is none, or no such row."""
    return get_tenancy().active_tenant()


def current_owner() -> Any:
    """Return the object that a field's ``owner`` found for the row of this call; it need not be a tenant.

    Without an owner, return the row of the active tenant. Raise ``TenantRequired`` if none is active.
    """
    entered = tenant_override.get()
    if entered is not None and entered.connection is None and entered.tenant is not NO_TENANT:
        return entered.tenant if not isinstance(entered.tenant, str) else current_tenant()
    return current_tenant()


def tenant_bucket_context(tenant: Any) -> AbstractContextManager[None]:
    """Make storages use this tenant, a row or a key, whatever the connection or the request says.

    It is a context variable: it survives ``await``, ``sync_to_async`` and ``copy_context()``, whereas a
    database connection belongs to a thread. It sends no query, and does not change the connection. A tenant
    that you enter inside it, with ``tenant_context`` of django-tenants, takes precedence.
    """
    if tenant is None:
        raise TenantRequired("tenant_bucket_context() needs a tenant, not None. Pass a row, or its key.")
    return get_tenancy().bucket_context(tenant)
