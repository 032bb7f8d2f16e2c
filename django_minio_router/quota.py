"""A limit for what a tenant stores: kept at each save, and shown by forms before it.

What is stored is measured on the server and kept in Django's cache; saves add to it, and deletions show at
the next measurement. Without ``MINIO_QUOTA`` nothing of this runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from django.core.cache import cache as store
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.signals import setting_changed
from django.template.defaultfilters import filesizeformat
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from . import tenancy
from .conf import Config
from .exceptions import ConfigurationError
from .s3.uploads import size_of

if TYPE_CHECKING:
    from .backend import MinioBackend

Quota: TypeAlias = Callable[[Any], "int | None"]
_Measured: TypeAlias = "tuple[int, list[tuple[str, str, str]]]"

_KEPT = 300  # seconds; so long may files that were deleted, or stored by other means, count wrongly
_FRESH = 10  # seconds; before a file is refused, an older measurement is repeated


@cache
def quota() -> Quota | None:
    """Return ``MINIO_QUOTA``, imported. ``ConfigurationError`` if it cannot be."""
    found = Config().get("MINIO_QUOTA")
    if not isinstance(found, str):
        limit: Quota | None = found
        return limit
    try:
        imported: Quota = import_string(found)
    except ImportError as error:
        raise ConfigurationError(
            f"MINIO_QUOTA names {found!r}, which cannot be imported: {error}. Correct the path."
        ) from error
    if not callable(imported):
        raise ConfigurationError(f"MINIO_QUOTA names {found!r}, which is no callable of the tenant.")
    return imported


def _forget(**kwargs: object) -> None:
    quota.cache_clear()


setting_changed.connect(_forget)


@contextmanager
def kept(tenant: Any, backend: MinioBackend, content: Any) -> Iterator[None]:
    """Refuse what does not fit, and count what was stored in the block. ``tenant`` None is the active one."""
    size = size_of(content if hasattr(content, "chunks") else File(content))
    schema_name = refuse_over_limit(tenant, backend, size)
    yield
    if schema_name is not None:
        with suppress(ValueError):  # the measurement is over, and the next one will see the file
            store.incr(_key(schema_name, "bytes"), size)


def refuse_over_limit(tenant: Any, backend: MinioBackend, size: int) -> str | None:
    """Raise ``ValidationError`` if the tenant has no room for so many bytes; None is the active one.

    Return its schema name, or None where it has no limit or what it stores there is not its own.
    """
    with tenancy.acting_for(tenant):
        return _refuse_for_active_tenant(backend, size)


def _refuse_for_active_tenant(backend: MinioBackend, size: int) -> str | None:
    limit = quota()
    if limit is None or not tenancy.has_schemas() or tenancy.current_schema() is None:
        return None
    tenant = tenancy.current_tenant()
    allowed = _checked(limit(tenant), tenant.schema_name)
    if allowed is None:
        return None
    used, places = _measured(tenant, anew=False)
    if (backend.config.internal.endpoint, backend.bucket, backend.prefix) not in places:
        return None
    if used + size > allowed:
        used, _places = _measured(tenant, anew=True)
    if used + size > allowed:
        raise _too_large(size, allowed, used)
    return str(tenant.schema_name)


def _checked(allowed: Any, schema_name: str) -> int | None:
    """Return the limit, or raise ``ConfigurationError`` if it is no number: to NaN, any file would fit."""
    if allowed is None or (isinstance(allowed, int | float | Decimal) and allowed == allowed):
        return cast("int | None", allowed)
    raise ConfigurationError(
        f"MINIO_QUOTA gave {allowed!r} for the tenant {schema_name!r}. Return the number of bytes that it "
        "may store, or None for no limit."
    )


def _too_large(size: int, allowed: int, used: int) -> ValidationError:
    return ValidationError(
        _("This file takes %(size)s, and of %(allowed)s only %(left)s are left."),
        code="quota",
        params={
            "size": filesizeformat(size),
            "allowed": filesizeformat(allowed),
            "left": filesizeformat(max(allowed - used, 0)),
        },
    )


def _measured(tenant: Any, *, anew: bool) -> _Measured:
    """Return the bytes that the tenant stores, and where, as kept; ``anew`` if that is not fresh."""
    names = {kind: _key(tenant.schema_name, kind) for kind in ("bytes", "places", "fresh")}
    if not (anew and store.add(names["fresh"], True, _FRESH)):
        known = store.get_many([names["bytes"], names["places"]])
        if len(known) == 2:
            return known[names["bytes"]], known[names["places"]]
    measured = _measure(tenant)
    store.set(names["fresh"], True, _FRESH)
    store.set_many({names["bytes"]: measured[0], names["places"]: measured[1]}, _KEPT)
    return measured


def _measure(tenant: Any) -> _Measured:
    from .maintenance.usage import places_and_bytes  # it asks the routers, which ask here

    places, size = places_and_bytes(tenant)
    return size, [(place.server.endpoint, place.bucket, place.prefix) for place in places]


def _key(schema_name: str, kind: str) -> str:
    return f"minio_router.quota.{kind}:{schema_name.encode().hex()}"
