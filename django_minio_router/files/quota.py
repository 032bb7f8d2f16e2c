"""A limit on what a tenant stores, enforced on each save, and before that in forms.

The usage is measured on the server and cached in Django's cache; saves add to it, and the next measurement
reflects deletions. Without ``MINIO_QUOTA``, none of this runs.
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
from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError, RoutingError, TenantRequired
from ..inventory.places import Place
from ..settings.config import Config, import_callable
from ..storage.router import MinioRouter
from ..storage.signals import field_bound, object_saved, object_saving
from ..tenancy import get_tenancy
from .usage import places_and_bytes

if TYPE_CHECKING:
    from django.db.models import FileField

    from ..storage.backend import MinioBackend

Quota: TypeAlias = Callable[[Any], "int | None"]

_CACHED_FOR = 300  # seconds for which deleted files, and those stored by other means, may be miscounted
_test_prefix = ""  # empty outside of tests
_FRESH_FOR = 10  # seconds; an older measurement is repeated before a file is refused


@cache
def quota() -> Quota | None:
    """Return the imported ``MINIO_QUOTA``. ``ConfigurationError`` if the import fails."""
    found: Quota | None = Config().get("MINIO_QUOTA")
    return None if found is None else import_callable("MINIO_QUOTA names", found, "a function of the tenant")


def _forget(**kwargs: object) -> None:
    quota.cache_clear()


setting_changed.connect(_forget)


def refuse_over_limit(tenant: Any, backend: MinioBackend, size: int, *, name: str | None = None) -> None:
    """Raise ``ValidationError`` if ``size`` bytes exceed the tenant's quota; None means the active tenant.

    An object of that ``name`` does not count if it will be replaced. A tenant without a limit, or without a
    place of its own, is never refused.
    """
    limit = quota()
    if limit is None:
        return
    with _tenant_context(tenant) as key:
        if key is None:
            return
        allowed = _check_limit(limit(get_tenancy().active_tenant()), key)
        if allowed is None:
            return
        used, places = _measure(key, again=False)
        if Place.of(backend).address not in places:
            return
        if used + size > allowed:
            used = _measure(key, again=True)[0] - _replaced_size(backend, name)
        if used + size > allowed:
            raise _too_large(size, allowed, used)


@contextmanager
def _tenant_context(tenant: Any) -> Iterator[str | None]:
    """Activate the tenant (None: keep the active one), and yield its key.

    The key is None if there is no tenant, or for an owner that is not a tenant: there is no limit then.
    """
    tenancy = get_tenancy()
    with nullcontext() if tenant is None else tenancy.bucket_context(tenant):
        try:
            key = tenancy.active_key()
        except TenantRequired:
            key = None
        yield key


def within_quota(file: Any) -> None:
    """Validate that a new file in a form fits in the quota."""
    if quota() is None or getattr(file, "_committed", True):
        return
    with suppress(RoutingError):  # saving raises it; in a form, the row may not have its owner yet
        if isinstance(file.storage, MinioRouter):
            refuse_over_limit(file.storage.tenant, file.storage.backend, file.size)


def _validate(*, field: FileField, **kwargs: Any) -> None:
    """Add the validator to a bound field; migrations only contain the validators of the model."""
    if within_quota not in field.validators:
        field.validators.append(within_quota)


def _refuse(*, router: MinioRouter, backend: MinioBackend, name: str, size: int, **kwargs: Any) -> None:
    refuse_over_limit(router.tenant, backend, size, name=name)


def _replaced_size(backend: MinioBackend, name: str | None) -> int:
    """Return the size in bytes of the object that a save under this name replaces."""
    if not (name and backend.replace_existing):
        return 0
    try:
        return backend.objects.head(backend.object_name(name), backend.reading_headers).size
    except FileNotFoundError:
        return 0


def _count(*, storage: MinioBackend, size: int, tenant: str | None, **kwargs: Any) -> None:
    if quota() is None or tenant is None:
        return
    if storage.replace_existing:  # the usage may have shrunk
        store.delete(_name(tenant, "fresh"))
    if Place.of(storage).address in store.get(_name(tenant, "places"), ()):
        with suppress(ValueError):  # expired; the next measurement includes the file
            store.incr(_name(tenant, "bytes"), size)


def connect() -> None:
    """Enforce the limit, if there is one, on each save and in forms."""
    field_bound.connect(_validate, dispatch_uid="minio_router.quota")
    setting_changed.connect(_watch_saves, dispatch_uid="minio_router.quota")
    _watch_saves()


def _watch_saves(**kwargs: object) -> None:
    """Follow the saves only if there is a limit: without receivers, a save need not look up its tenant."""
    is_limited = True
    with suppress(ConfigurationError):  # each save raises it
        is_limited = Config().get("MINIO_QUOTA") is not None
    for signal, receiver in ((object_saving, _refuse), (object_saved, _count)):
        signal.disconnect(dispatch_uid="minio_router.quota")
        if is_limited:
            signal.connect(receiver, dispatch_uid="minio_router.quota")


def _check_limit(allowed: Any, key: str) -> int | None:
    """Return the limit. ``ConfigurationError`` if it is not a number: with NaN, any file would fit."""
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


def _measure(key: str, *, again: bool) -> tuple[int, list[str]]:
    """Return the cached usage of the active tenant in bytes, and its places; measure again if ``again``."""
    size_name, places_name, fresh = (_name(key, kind) for kind in ("bytes", "places", "fresh"))
    if not (again and store.add(fresh, True, _FRESH_FOR)):
        known = store.get_many([size_name, places_name])
        if len(known) == 2:
            return known[size_name], known[places_name]
    places, size = places_and_bytes(get_tenancy().active_tenant())
    addresses = [place.address for place in places]
    store.set(fresh, True, _FRESH_FOR)
    store.set_many({size_name: size, places_name: addresses}, _CACHED_FOR)
    return size, addresses


def _name(key: str, kind: str) -> str:
    """Return a cache key, which must not contain spaces."""
    return f"minio_router.quota.{kind}:{_test_prefix}{key.encode().hex()}"


def forget() -> None:
    """Discard all measurements: the files of tests are removed, but the cache is not."""
    global _test_prefix
    _test_prefix = f"{secrets.token_hex(8)}:"
