"""Where each field's files go for the active tenant, and which columns may name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.db.models import FileField

from ..exceptions import ModelRequired, TenantRequired
from ..storage.backend import MinioBackend
from ..storage.fields import BucketFileField
from ..storage.router import MinioRouter
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy
from .columns import Column, undivided_column
from .places import Place
from .uses import StorageUse, models_by_strategy

if TYPE_CHECKING:
    from django.db.models import Model

_READING_METHODS = ("open", "_open", "delete")
_SAVING_METHODS = ("save", "_save")
_VALUE_METHODS = ("get_prep_value", "get_db_prep_value", "get_db_prep_save", "from_db_value")


@dataclass(frozen=True)
class Route:
    """Where the files of a column go for one tenant, and where else they may have gone."""

    column: Column
    backend: MinioBackend
    unrouted: frozenset[Location]

    @property
    def place(self) -> Place:
        return Place.of(self.backend)

    @property
    def columns(self) -> list[tuple[str, Column]]:
        """Each bucket, with the column that refers to its objects."""
        further = [(place.bucket, replace(self.column, prefix=place.prefix)) for place in self.unrouted]
        return [(self.backend.bucket, self.column), *further]


def routes_now(found: list[StorageUse]) -> list[Route]:
    """Return where each field's files go for the active tenant."""
    models = models_by_strategy(found)
    unrouted: dict[BucketStrategy | None, frozenset[Location]] = {
        strategy: _unrouted_locations(strategy, models[strategy]) for strategy in models
    }
    return [
        Route(column, backend, unrouted.get(use.strategy, frozenset()))
        for use in found
        if use.field is not None and (backend := use.backend) is not None
        for column in _columns_now(use, use.field, backend.prefix)
    ]


def _columns_now(use: StorageUse, field: FileField, prefix: str) -> Iterator[Column]:
    for column in readable_columns(field):
        doubt = column.doubt or storage_doubt(use.storage) or _value_doubt(field)
        yield replace(column, prefix=prefix, doubt=doubt)


def readable_columns(field: FileField) -> Iterator[Column]:
    """Yield the columns whose rows may refer to the active tenant's files: its own, and the shared one.

    A shared row may have been saved within ``tenant_bucket_context()``.
    """
    model = field.model
    tenancy = get_tenancy()
    key = tenancy.active_key()
    if not tenancy.divides(model):
        yield undivided_column(field, key)
        return
    if key is not None and tenancy.owns_table(model, key):
        yield Column(field, key, doubt=_owner_doubt(field))
    if tenancy.owns_table(model, None):
        yield Column(field, tenancy.shared_key)


def _unrouted_locations(strategy: BucketStrategy, models: list[type[Model]]) -> frozenset[Location]:
    """Return the locations of a strategy that none of its models uses now.

    Files there were routed by something that is not known here.
    """
    now = set(_locations_now(strategy, models))
    whole_buckets = {location._replace(prefix="") for location in now}
    try:
        return frozenset(map(Location.of, strategy.buckets_for(models))) - now - whole_buckets
    except (TenantRequired, ModelRequired):
        return frozenset()


def _locations_now(strategy: BucketStrategy, models: list[type[Model]]) -> Iterator[Location]:
    for model in models:
        with suppress(TenantRequired, ModelRequired):
            yield Location.of(strategy.bucket_for(model))


# Why rows may not name all objects


def storage_doubt(storage: MinioBackend | MinioRouter) -> str:
    """Return why a project's own storage class may store under other names than it returns, or ``""``."""
    base = MinioRouter if isinstance(storage, MinioRouter) else MinioBackend
    own = storage.__class__  # type() would return the class of a lazy wrapper
    changed = _overridden(own, base, *_READING_METHODS)
    if _overridden(own, base, *_SAVING_METHODS):  # else its own url() still links to the name in the row
        changed += _overridden(own, base, "url")
    for method in changed:
        return f"{own.__name__} has its own {method}(), so rows may hold other names than the server"
    return ""


def _value_doubt(field: FileField) -> str:
    """Return why the database may not hold the plain name but, say, an encrypted one, or ``""``."""
    for method in _overridden(type(field), FileField, *_VALUE_METHODS):
        return f"{type(field).__name__} has its own {method}(), so rows may not be found by name"
    return ""


def _owner_doubt(field: FileField) -> str:
    if not isinstance(field, BucketFileField):
        return ""
    return f"{field} stores for the owner of each row, so rows of other tenants may refer to it"


def _overridden(own: type, base: type, *methods: str) -> list[str]:
    return [name for name in methods if getattr(own, name, None) is not getattr(base, name, None)]
