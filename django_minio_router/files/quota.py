"""A limit for what a tenant stores: kept at each save, and shown by forms before it.

What is stored is measured on the server and kept in Django's cache; saves add to it, and deletions show at
the next measurement. Without ``MINIO_QUOTA`` nothing of this runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from django.core.cache import cache as store
from django.core.exceptions import ValidationError
from django.core.signals import setting_changed
from django.template.defaultfilters import filesizeformat
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError, RoutingError, TenantRequired
from ..inventory.places import Place
from ..settings.config import Config
from ..storage.router import MinioRouter
from ..storage.signals import field_bound, object_saved, object_saving
from ..tenancy import get_tenancy
from .usage import places_and_bytes

if TYPE_CHECKING:
    from django.db.models import FileField

    from ..storage.backend import MinioBackend

Quota: TypeAlias = Callable[[Any], "int | None"]

_KEPT = 300  # seconds; so long may files that were deleted, or stored by other means, count wrongly
_of_this_test = ""  # empty outside of tests
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
        raise ConfigurationError(
            f"MINIO_QUOTA names {found!r}, which is not callable. Name a function of the tenant."
        )
    return imported


def _forget(**kwargs: object) -> None:
    quota.cache_clear()


setting_changed.connect(_forget)


def refuse_over_limit(tenant: Any, backend: MinioBackend, size: int, *, name: str | None = None) -> None:
    """Raise ``ValidationError`` if the tenant has no room for so many bytes; None is the active one.

    What is stored under the ``name`` makes room, if that may be replaced. One that has no limit, or that
    does not store in a place of its own, is never refused.
    """
    limit = quota()
    if limit is None:
        return
    with _acting_for(tenant) as key:
        if key is None:
            return
        allowed = _checked(limit(get_tenancy().active_tenant()), key)
        if allowed is None:
            return
        used, places = _measured(key, anew=False)
        if Place.of(backend).address not in places:
            return
        if used + size > allowed:
            used = _measured(key, anew=True)[0] - _replaced(backend, name)
        if used + size > allowed:
            raise _too_large(size, allowed, used)


@contextmanager
def _acting_for(tenant: Any) -> Iterator[str | None]:
    """Let the tenant be the active one, and give the key; None is whoever is active, or nobody.

    The key is None for an owner that is not a tenant: it has no limit.
    """
    tenancy = get_tenancy()
    with nullcontext() if tenant is None else tenancy.bucket_context(tenant):
        try:
            key = tenancy.active_key()
        except TenantRequired:
            key = None
        yield key


def within_quota(file: Any) -> None:
    """Refuse a file in a form that is not stored yet and does not fit."""
    if quota() is None or getattr(file, "_committed", True):
        return
    with suppress(RoutingError):  # which saving raises; in a form the row may not have its owner yet
        if isinstance(file.storage, MinioRouter):
            refuse_over_limit(file.storage.tenant, file.storage.backend, file.size)


def _validate(*, field: FileField, **kwargs: Any) -> None:
    """Let forms show what a save would refuse. Migrations write the validators that the model names."""
    if within_quota not in field.validators:
        field.validators.append(within_quota)


def _refuse(*, router: MinioRouter, backend: MinioBackend, name: str, size: int, **kwargs: Any) -> None:
    refuse_over_limit(router.tenant, backend, size, name=name)


def _replaced(backend: MinioBackend, name: str | None) -> int:
    """Return the bytes that a save under this name takes the place of."""
    if not (name and backend.replace_existing):
        return 0
    try:
        return backend.objects.head(backend.object_name(name), backend.headers.reading()).size
    except FileNotFoundError:
        return 0


def _count(*, storage: MinioBackend, size: int, tenant: str | None, **kwargs: Any) -> None:
    if quota() is None or tenant is None:
        return
    if storage.replace_existing:  # so it may be less
        store.delete(_name(tenant, "fresh"))
    if Place.of(storage).address in store.get(_name(tenant, "places"), ()):
        with suppress(ValueError):  # the measurement is over, and the next one will see the file
            store.incr(_name(tenant, "bytes"), size)


def connect() -> None:
    """Keep the limit at each save, and in forms."""
    field_bound.connect(_validate, dispatch_uid="minio_router.quota")
    object_saving.connect(_refuse, dispatch_uid="minio_router.quota")
    object_saved.connect(_count, dispatch_uid="minio_router.quota")


def _checked(allowed: Any, key: str) -> int | None:
    """Return the limit, or raise ``ConfigurationError`` if it is not a number: to NaN, any file would fit."""
    if allowed is None or (isinstance(allowed, int | float | Decimal) and allowed == allowed):
        return cast("int | None", allowed)
    raise ConfigurationError(
        f"MINIO_QUOTA gave {allowed!r} for the tenant {key!r}. Return the number of bytes that it "
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


def _measured(key: str, *, anew: bool) -> tuple[int, list[str]]:
    """Return the bytes that the active tenant stores, and where, as kept; ``anew`` if that is not fresh."""
    size_name, places_name, fresh = (_name(key, kind) for kind in ("bytes", "places", "fresh"))
    if not (anew and store.add(fresh, True, _FRESH)):
        known = store.get_many([size_name, places_name])
        if len(known) == 2:
            return known[size_name], known[places_name]
    places, size = places_and_bytes(get_tenancy().active_tenant())
    addresses = [place.address for place in places]
    store.set(fresh, True, _FRESH)
    store.set_many({size_name: size, places_name: addresses}, _KEPT)
    return size, addresses


def _name(key: str, kind: str) -> str:
    """Return the name of an entry in Django's cache, which may hold no spaces."""
    return f"minio_router.quota.{kind}:{_of_this_test}{key.encode().hex()}"


def forget() -> None:
    """Measure anew from here on: files of tests come and go, and the cache stays."""
    global _of_this_test
    _of_this_test = f"{secrets.token_hex(8)}:"
