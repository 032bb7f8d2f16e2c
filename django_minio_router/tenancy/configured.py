"""The project's tenancy: the one in ``MINIO_TENANCY``, else schemas of django-tenants, else none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from ..exceptions import ConfigurationError
from ..settings.config import import_named, refuse_unknown_keys
from ..settings.declared import checked
from .base import Tenancy
from .none import NoTenancy
from .row_cache import clear_cached_rows
from .schemas import SchemaTenancy


@cache  # every storage call asks
def get_tenancy() -> Tenancy:
    """Return the tenancy of the project, cached until its settings change.

    ``ConfigurationError`` if ``MINIO_TENANCY`` cannot be used.
    """
    setting = checked("MINIO_TENANCY", getattr(settings, "MINIO_TENANCY", None))
    return _detect() if setting is None else _from_setting(setting)


def _detect() -> Tenancy:
    try:
        schemas = SchemaTenancy()
    except ImportError:
        return NoTenancy()
    connection = schemas.connection()
    if hasattr(connection, "schema_name"):
        return schemas
    return NoTenancy(connection.settings_dict.get("ENGINE", ""))


def _from_setting(setting: Mapping[str, Any]) -> Tenancy:
    refuse_unknown_keys("MINIO_TENANCY", setting)
    backend = setting.get("BACKEND")
    found = import_named("MINIO_TENANCY names the BACKEND", backend) if isinstance(backend, str) else backend
    if not (isinstance(found, type) and issubclass(found, Tenancy)):
        raise ConfigurationError(
            f"MINIO_TENANCY names the BACKEND {backend!r}, not a Tenancy. Write "
            "{'BACKEND': 'django_minio_router.tenancy.RowTenancy', 'OPTIONS': {'model': ...}}."
        )
    try:
        made: Tenancy = found(**setting.get("OPTIONS", {}))
    except (ImportError, TypeError) as error:
        raise ConfigurationError(
            f"MINIO_TENANCY cannot be used: {error}. Correct its OPTIONS: they are the arguments of "
            f"{found.__name__}."
        ) from error
    return made


def _forget(**kwargs: object) -> None:
    get_tenancy.cache_clear()
    clear_cached_rows()


setting_changed.connect(_forget)
