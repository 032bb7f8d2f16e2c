"""Objects that no row refers to, and rows whose object is missing.

An object is an orphan when no row holds its name, of any model and tenant whose files go to its bucket.
Where that cannot be told for sure the bucket is left alone, with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import partial
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.core.exceptions import SuspiciousFileOperation
from django.db import router
from django.db.models import QuerySet

from . import tenancy
from .backend import MinioBackend
from .clients import get_client
from .discovery import Use, configs, models_by_strategy, uses
from .exceptions import BucketNotFound, ModelRequired, ServerError, TenantRequired
from .naming import check_object_name
from .router import MinioRouter
from .static import MinioBackendStatic

if TYPE_CHECKING:
    from django.db.models import FileField, Model

    from .strategies import BucketStrategy

T = TypeVar("T")
Place = tuple[str, str]  # endpoint of the server, bucket

_PAGE = 500  # names in one query; SQLite may take no more than 999
_THREADS = 8
_NAMING_METHODS = ("open", "_open", "delete")


@dataclass(frozen=True)
class Column:
    """The names in one file field of one table; ``schema`` is None where the database has no schemas."""

    field: FileField
    schema: str | None

    def __str__(self) -> str:
        schema = f" in the schema {self.schema!r}" if self.schema is not None else ""
        return f"{self.field.model._meta.label}.{self.field.name}{schema}"

    def holding(self, names: Collection[str]) -> set[str]:
        """Return those of the names that a row holds."""
        with tenancy.in_schema(self.schema):
            held = self._rows().filter(**{f"{self.field.name}__in": names})
            return {str(name) for name in held.values_list(self.field.name, flat=True)}

    def pages(self) -> Iterator[list[tuple[Any, str]]]:
        """Yield primary keys and names, some hundred rows at a time; rows without a file are left out."""
        last = None
        while page := self._page(last):
            last = page[-1][0]
            yield [(key, str(name)) for key, name in page if name]

    def _page(self, last: Any) -> list[tuple[Any, Any]]:
        with tenancy.in_schema(self.schema):
            rows = self._rows() if last is None else self._rows().filter(pk__gt=last)
            return list(rows.order_by("pk").values_list("pk", self.field.name)[:_PAGE])

    def _rows(self) -> QuerySet[Any]:
        """Return all rows; the managers of a model may hide some."""
        model = self.field.model
        return QuerySet(model, using=router.db_for_write(model))


class Route(NamedTuple):
    """Where the files of a column go under one tenant, and further buckets where they may be."""

    column: Column
    backend: MinioBackend
    elsewhere: frozenset[str]
    caveat: str

    @property
    def buckets(self) -> frozenset[str]:
        return self.elsewhere | {self.backend.bucket}


@dataclass
class Sweep:
    """The buckets that the files of some tenants go to, and the columns that may refer to their objects."""

    tenants: list[Any]
    backends: dict[Place, MinioBackend] = field(default_factory=dict)
    columns: dict[str, set[Column]] = field(default_factory=dict)
    left_alone: dict[str, str] = field(default_factory=dict)

    @property
    def cleanable(self) -> dict[Place, MinioBackend]:
        return {place: backend for place, backend in self.backends.items() if place[1] not in self.left_alone}

    def add(self, route: Route, *, chosen: bool) -> None:
        if chosen:
            self.backends.setdefault(_place_of(route.backend), route.backend)
        for bucket in route.buckets:
            if chosen or bucket in self.columns:
                self.columns.setdefault(bucket, set()).add(route.column)
                if route.caveat:
                    self.leave_alone(bucket, route.caveat)

    def leave_alone(self, bucket: str, reason: str) -> None:
        self.left_alone.setdefault(bucket, reason)

    def unreferenced(self, bucket: str, names: Iterable[str]) -> set[str]:
        """Return those of the names that no row holds.

        Servers are not told apart, since one may be known under two endpoints.
        """
        left = set(names)
        for column in self.columns[bucket]:
            if left:
                left -= column.holding(left)
        return left


class Orphan(NamedTuple):
    """An object that no row refers to; ``size`` in bytes."""

    endpoint: str
    bucket: str
    name: str
    size: int


class Fate(Enum):
    DELETED = "deleted"
    SPARED = "spared"
    FAILED = "failed"


class Deletion(NamedTuple):
    """What became of an orphan, and why it is still there."""

    orphan: Orphan
    fate: Fate
    cause: str = ""


class Missing(NamedTuple):
    """A row whose object is not on the server."""

    column: Column
    key: Any
    bucket: str
    name: str


# What may be cleaned


def make_sweep(tenants: Iterable[Any | None]) -> Sweep:
    """Find out what may be cleaned for these tenants; None stands for public, and for a project without any.

    A bucket is left alone if it holds static files, if a tenant that is not among these stores there as
    well, if rows cannot be read, or if a storage has a say in what its objects are called. Sends no request
    to the S3 server. Raise ``RoutingError`` where a strategy fails for any tenant.
    """
    sweep = Sweep(list(tenants))
    found = uses()
    chosen = {_schema_of(tenant) for tenant in sweep.tenants}
    others = (tenant for tenant in tenancy.everyone() if _schema_of(tenant) not in chosen)
    for tenant in chain(sweep.tenants, others):
        with tenancy.context_of(tenant):
            for route in _routes(found):
                sweep.add(route, chosen=_schema_of(tenant) in chosen)
            for bucket in _static_buckets(found):
                sweep.leave_alone(bucket, "static files are stored there")
    _leave_shared_alone(sweep, chosen)
    _leave_unreadable_alone(sweep, found)
    return sweep


def _schema_of(tenant: Any | None) -> str | None:
    if tenant is not None:
        return str(tenant.schema_name)
    return tenancy.public_schema() if tenancy.has_schemas() else None


def _place_of(backend: MinioBackend) -> Place:
    return backend.config.internal.endpoint, backend.bucket


def _leave_shared_alone(sweep: Sweep, chosen: set[str | None]) -> None:
    """Every tenant can read the rows of public, and nobody's else."""
    readable = {*chosen, _schema_of(None)} | {None}
    for bucket, columns in sweep.columns.items():
        hidden = sorted(str(column) for column in columns if column.schema not in readable)
        if hidden:
            sweep.leave_alone(bucket, f"{hidden[0]} stores there as well. Use --all-tenants")


def _leave_unreadable_alone(sweep: Sweep, found: list[Use]) -> None:
    """A tenant whose schema is gone, or not there yet, may have rows in a backup."""
    without = [t for t in sweep.tenants if t is not None and not tenancy.schema_exists(t.schema_name)]
    for tenant in without:
        sweep.tenants.remove(tenant)
        with tenancy.context_of(tenant):
            for bucket in {bucket for route in _routes(found) for bucket in route.buckets}:
                sweep.leave_alone(
                    bucket, f"the tenant {tenant.schema_name!r} has no schema to read rows from"
                )


def _routes(found: list[Use]) -> list[Route]:
    """Return where each field's files go under the active tenant."""
    models = models_by_strategy(found)
    elsewhere = {strategy: _unexplained_buckets(strategy, models[strategy]) for strategy in models}
    routes = []
    for use in found:
        column = _column(use.field) if use.field is not None else None
        backend = _backend(use)
        if column is not None and backend is not None:
            spread = elsewhere[use.strategy] if use.strategy is not None else frozenset()
            routes.append(Route(column, backend, spread, _own_names(use.storage)))
    return routes


def _backend(use: Use) -> MinioBackend | None:
    """Return the storage of the bucket that the use goes to now; None where it has no bucket."""
    if not isinstance(use.storage, MinioRouter):
        return use.storage
    try:
        return use.storage.backend
    except (TenantRequired, ModelRequired):
        return None


def _column(field: FileField) -> Column | None:
    """Return where the field's rows are for the active tenant; None if there is no such table."""
    model = field.model
    alias = router.db_for_write(model)
    if not tenancy.has_schemas() or alias != tenancy.database_alias():
        return Column(field, None)
    public = tenancy.public_schema()
    if router.allow_migrate_model(alias, model):
        return Column(field, tenancy.current_schema() or public)
    with tenancy.in_schema(public):
        return Column(field, public) if router.allow_migrate_model(alias, model) else None


def _unexplained_buckets(strategy: BucketStrategy, models: list[type[Model]]) -> frozenset[str]:
    """Return the buckets of a strategy that none of its models goes to now.

    What is stored there was routed by something that cannot be seen from here.
    """
    try:
        return frozenset(strategy.buckets_for(models)) - {strategy.bucket_for(model) for model in models}
    except (TenantRequired, ModelRequired):
        return frozenset()


def _own_names(storage: MinioBackend | MinioRouter) -> str:
    """Say why a subclass may store under other names than the rows hold; "" if it does not."""
    base = MinioRouter if isinstance(storage, MinioRouter) else MinioBackend
    for method in _NAMING_METHODS:
        if getattr(type(storage), method, None) is not getattr(base, method, None):
            return (
                f"{type(storage).__name__} has its own {method}(), so objects may not be named as in the rows"
            )
    return ""


def _static_buckets(found: list[Use]) -> set[str]:
    static = [
        use for use in found if use.alias == "staticfiles" or isinstance(use.storage, MinioBackendStatic)
    ]
    named = {config.static_bucket for config in configs(found)}
    return named | {backend.bucket for backend in map(_backend, static) if backend is not None}


# Orphans


def find_orphans(sweep: Sweep, place: Place, before: datetime) -> Iterator[Orphan]:
    """Yield the orphans of one bucket that were stored before this (aware) time, a page at a time.

    Objects with a name that this package would not store are somebody else's and never among them.
    """
    endpoint, bucket = place
    for page in _pages(_old_objects(sweep.backends[place], before)):
        left = sweep.unreferenced(bucket, (stored.object_name for stored in page))
        for stored in page:
            if stored.object_name in left:
                yield Orphan(endpoint, bucket, stored.object_name, stored.size)


def _old_objects(backend: MinioBackend, before: datetime) -> Iterator[Any]:
    client = get_client(backend.config.internal)
    try:
        with client.plain_errors(backend.bucket):
            for stored in client.sdk.list_objects(bucket_name=backend.bucket, recursive=True):
                if stored.last_modified < before and _is_storable(stored.object_name):
                    yield stored
    except BucketNotFound:
        return


def _is_storable(name: str) -> bool:
    try:
        check_object_name(name)
    except SuspiciousFileOperation:
        return False
    return True


def _pages(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, _PAGE)):
        yield page


def delete_orphans(sweep: Sweep, orphans: Iterable[Orphan], before: datetime) -> Iterator[Deletion]:
    """Delete what is still an orphan, and still older than ``before``; yield what became of each."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for place, of_bucket in groupby(orphans, key=lambda orphan: (orphan.endpoint, orphan.bucket)):
            for page in _pages(of_bucket):
                left = sweep.unreferenced(place[1], (orphan.name for orphan in page))
                for orphan in page:
                    if orphan.name not in left:
                        yield Deletion(orphan, Fate.SPARED, "a row refers to it by now")
                delete = partial(_delete, sweep.backends[place], before)
                yield from threads.map(delete, [orphan for orphan in page if orphan.name in left])


def _delete(backend: MinioBackend, before: datetime, orphan: Orphan) -> Deletion:
    client = get_client(backend.config.internal)
    try:
        with client.plain_errors(orphan.bucket):
            stored: Any = client.sdk.stat_object(bucket_name=orphan.bucket, object_name=orphan.name)
            if stored.last_modified >= before:
                return Deletion(orphan, Fate.SPARED, "it was stored anew meanwhile")
        backend.delete(orphan.name)
    except ServerError as error:
        if error.status == 404:
            return Deletion(orphan, Fate.SPARED, "it was gone already")
        return Deletion(orphan, Fate.FAILED, str(error))
    return Deletion(orphan, Fate.DELETED)


# Rows without an object


def find_missing(sweep: Sweep) -> Iterator[Missing]:
    """Yield the rows of the sweep's tenants whose object is not in the bucket that they go to now."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for tenant in sweep.tenants:
            with tenancy.context_of(tenant):
                routes = _routes(uses())
            for column, backend, *_ in routes:
                if column.schema in {None, _schema_of(tenant)}:
                    yield from _missing_from(backend, column, threads)


def _missing_from(backend: MinioBackend, column: Column, threads: ThreadPoolExecutor) -> Iterator[Missing]:
    for page in column.pages():
        present = threads.map(partial(_is_there, backend), (name for _, name in page))
        for (key, name), there in zip(page, present, strict=True):
            if not there:
                yield Missing(column, key, backend.bucket, name)


def _is_there(backend: MinioBackend, name: str) -> bool:
    try:
        return backend.exists(name)
    except (BucketNotFound, SuspiciousFileOperation):
        return False
