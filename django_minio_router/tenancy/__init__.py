"""Who is the tenant? Schemas of django-tenants tell, or nobody, in a project without tenants."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from django.core.signals import setting_changed

from .base import Tenancy
from .none import NoTenancy
from .schemas import SchemaTenancy, forget_rows

__all__ = ["Tenancy", "current_key", "current_tenant", "get_tenancy", "tenant_bucket_context"]


@cache  # each call of a storage asks
def get_tenancy() -> Tenancy:
    """Return the tenancy of the project: found by its settings, and kept until they change."""
    try:
        schemas = SchemaTenancy()
    except ImportError:
        return NoTenancy()
    connection = schemas.connection()
    if hasattr(connection, "schema_name"):
        return schemas
    return NoTenancy(connection.settings_dict.get("ENGINE", ""))


def _forget(**kwargs: object) -> None:
    get_tenancy.cache_clear()
    forget_rows()


setting_changed.connect(_forget)


def current_key() -> str | None:
    """Return the key of the active tenant, such as its schema name, or None if there is none."""
    return get_tenancy().active_key()


def current_tenant() -> Any:
    """Return the row of the active tenant. ``TenantRequired`` if there is none, or no such row."""
    return get_tenancy().active_tenant()


def tenant_bucket_context(tenant: Any) -> AbstractContextManager[None]:
    """Let storages act for this tenant, a row or a key, whatever the connection says.

    A context variable: it follows ``await``, ``sync_to_async`` and ``copy_context()``, while a database
    connection belongs to a thread. No query is sent, and the connection is not changed. A tenant that is
    entered within it, with ``tenant_context`` of django-tenants, comes first.
    """
    return get_tenancy().bucket_context(tenant)
