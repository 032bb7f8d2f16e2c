"""Which tenancy the project has: the one of ``MINIO_TENANCY``, else schemas if it has them, else none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from ..exceptions import ConfigurationError
from ..settings.config import refuse_unknown_keys
from ..settings.declared import checked
from .base import Tenancy
from .kept_rows import forget_rows
from .none import NoTenancy
from .schemas import SchemaTenancy

_REMEDY = "Write {'BACKEND': 'django_minio_router.tenancy.RowTenancy', 'OPTIONS': {'model': ...}}."


@cache  # each call of a storage asks
def get_tenancy() -> Tenancy:
    """Return the tenancy of the project, kept until its settings change.

    ``ConfigurationError`` if ``MINIO_TENANCY`` cannot be used.
    """
    wanted = checked("MINIO_TENANCY", getattr(settings, "MINIO_TENANCY", None))
    return _found() if wanted is None else _made(wanted)


def _found() -> Tenancy:
    try:
        schemas = SchemaTenancy()
    except ImportError:
        return NoTenancy()
    connection = schemas.connection()
    if hasattr(connection, "schema_name"):
        return schemas
    return NoTenancy(connection.settings_dict.get("ENGINE", ""))


def _made(wanted: Mapping[str, Any]) -> Tenancy:
    refuse_unknown_keys("MINIO_TENANCY", wanted)
    backend = wanted.get("BACKEND")
    try:
        found = import_string(backend) if isinstance(backend, str) else backend
    except ImportError as error:
        raise ConfigurationError(
            f"MINIO_TENANCY names the BACKEND {backend!r}, which cannot be imported: {error}. {_REMEDY}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Tenancy)):
        raise ConfigurationError(f"MINIO_TENANCY names the BACKEND {backend!r}, not a Tenancy. {_REMEDY}")
    try:
        made: Tenancy = found(**wanted.get("OPTIONS", {}))
    except (ImportError, TypeError) as error:
        raise ConfigurationError(
            f"MINIO_TENANCY cannot be used: {error}. Correct its OPTIONS: {found.__name__} takes what its "
            "documentation says, and nothing else."
        ) from error
    return made


def _forget(**kwargs: object) -> None:
    get_tenancy.cache_clear()
    forget_rows()


setting_changed.connect(_forget)
