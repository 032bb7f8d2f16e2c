"""Objects that no row refers to, and rows whose object is missing.

An object is an orphan if no row of any model and tenant with files in its bucket has its name. If that is not
certain, the bucket is left alone, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache, partial
from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.core.exceptions import SuspiciousFileOperation
from django.db import DatabaseError, connections, router
from django.utils import timezone

from ..exceptions import BucketNotFound, ServerError
from ..inventory.catalogue import Catalogue
from ..inventory.columns import Column
from ..inventory.foreign import foreign_columns, foreign_fields
from ..inventory.places import Place
from ..inventory.routes import Route, routes_now
from ..inventory.uses import StorageUse, configs, uses
from ..naming import check_object_name, is_incoming
from ..s3.bucket import ObjectInfo
from ..s3.listing import pages
from ..settings.testing import refuse_in_tests
from ..storage.backend import MinioBackend
from ..storage.fallback import MovingBackend
from ..storage.static import MinioBackendStatic
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from django.db.models import FileField

_PAGE = 500  # names in one query; SQLite may accept 999 at most
_GROUP = 16  # orphans deleted after each check of the rows: a row may start to use an old name again
_THREADS = 8
_INCOMING_LIFE = timedelta(days=1)


@dataclass
class Sweep:
    """The places of the files of some tenants, and for each bucket the columns that may refer to its objects.

    ``readable`` are the keys of tenants whose rows can be read. ``left_alone`` says why a place must not be
    cleaned.
    """

    tenants: list[Any]
    readable: set[str | None]
    backends: dict[Place, MinioBackend] = field(default_factory=dict)
    columns: dict[str, set[Column]] = field(default_factory=dict)
    left_alone: dict[Place, str] = field(default_factory=dict)
    listed: Counter[Place] = field(default_factory=Counter)
    """The number of objects that ``find_orphans`` saw, of any age."""
    spared: int = 0
    """The number of orphans among them that are too young."""

    @property
    def cleanable(self) -> list[Place]:
        return [place for place in self.backends if place not in self.left_alone]

    @property
    def notes(self) -> Iterable[str]:
        """Notes on columns whose rows do not show their tenant, and so keep objects of any tenant."""
        buckets = {place.bucket for place in self.cleanable}
        columns = {
            str(column.field)
            for bucket in buckets
            for column in self.columns[bucket]
            if column.is_unattributed
        }
        for label in sorted(columns):
            yield (
                f"The rows of {label} do not show their tenant, so a name in any of them keeps an object of "
                "any tenant. Give the field an owner to distinguish them."
            )

    def unreferenced(self, place: Place, objects: Iterable[str]) -> set[str]:
        """Return the objects that no row refers to.

        Servers are not compared, since one may have two endpoints.
        """
        left = set(objects)
        for column in self.columns[place.bucket]:
            left -= column.referenced(left)
        return left


class Orphan(NamedTuple):
    """An object that no row refers to; ``size`` in bytes."""

    place: Place
    name: str
    size: int
    etag: str


class DeletionState(Enum):
    DELETED = "deleted"
    SPARED = "spared"
    FAILED = "failed"


class Deletion(NamedTuple):
    """What happened to an orphan, and why it was kept."""

    orphan: Orphan
    state: DeletionState
    cause: str = ""


class Missing(NamedTuple):
    """A row whose object is missing."""

    column: Column
    key: Any
    place: Place
    name: str


# Places to clean


def make_sweep(tenants: Iterable[Any | None]) -> Sweep:
    """Find the places that may be cleaned for these tenants; None means public, or a project without tenants.

    A place is left alone if it holds static files, if another tenant stores there as well, if rows cannot be
    read, or if a storage chooses the names of its objects. Rows count wherever the model has a table: in
    another database, or left by a deleted tenant. Sends no request to the S3 server. Raise ``RoutingError``
    if a strategy fails for any tenant, and ``DatabaseError`` if a database cannot be read.
    """
    tenants = list(tenants)
    tenancy, found = get_tenancy(), uses()
    chosen = set(map(tenancy.key_of, tenants))
    sweep = Sweep(tenants, {None, tenancy.shared_key, *filter(tenancy.can_read, chosen)})
    others = (tenant for tenant in tenancy.everyone() if tenancy.key_of(tenant) not in chosen)
    static, foreign = {config.static_bucket for config in configs(found)}, foreign_fields(found)
    for tenant in chain(tenants, others):
        with tenancy.context(tenant):
            routes = routes_now(found)
            for route in routes:
                _add(sweep, route, chosen=tenancy.key_of(tenant) in chosen)
            _add_foreign(sweep, foreign, routes)
            static |= {backend.bucket for use in found if _is_static(use) and (backend := use.backend)}
    _add_abandoned(sweep, found, foreign)
    _add_other_databases(sweep)
    catalogue = Catalogue()
    for place in sweep.backends:
        reasons = ["static files are stored there"] if place.bucket in static else []
        reasons += sorted(_reasons_against(sweep, place, chosen, catalogue))
        if reasons:
            sweep.left_alone[place] = reasons[0]
    return sweep


def _is_static(use: StorageUse) -> bool:
    return use.alias == "staticfiles" or isinstance(use.storage, MinioBackendStatic)


def _add(sweep: Sweep, route: Route, *, chosen: bool) -> None:
    if chosen:
        sweep.backends.setdefault(route.place, route.backend)
        if isinstance(route.backend, MovingBackend):  # preferred: it recognizes the marks of deleted files
            sweep.backends[route.place] = route.backend
    for bucket, column in route.columns:
        if chosen or bucket in sweep.columns:
            sweep.columns.setdefault(bucket, set()).add(column)


def _add_foreign(sweep: Sweep, fields: Iterable[FileField], routes: Iterable[Route]) -> None:
    """Add the rows of fields with other storages, for all places of the active tenant."""
    places = {route.place for route in routes if route.place.bucket in sweep.columns}
    for file_field in fields:
        for bucket, column in foreign_columns(file_field, places):
            sweep.columns.setdefault(bucket, set()).add(column)


def _add_abandoned(sweep: Sweep, found: list[StorageUse], foreign: list[FileField]) -> None:
    """Add the rows of deleted tenants: by default, django-tenants keeps their schemas."""
    fields = {use.field for use in found if use.field is not None} | set(foreign)
    left = get_tenancy().abandoned_tables({field.model._meta.db_table for field in fields})
    for key, there in left.items():
        sweep.readable.add(key)
        with get_tenancy().context(key):
            routes = routes_now(found)
            for route in routes:
                if route.column.field.model._meta.db_table in there:
                    _add(sweep, route, chosen=False)
            _add_foreign(sweep, [f for f in foreign if f.model._meta.db_table in there], routes)


def _add_other_databases(sweep: Sweep) -> None:
    """Add the rows in other databases, such as an archive, or one that code selects with ``using()``."""
    tables = cache(_tables)
    for columns in sweep.columns.values():
        for column in tuple(columns):
            model = column.field.model
            for alias in connections:
                if alias != router.db_for_write(model) and model._meta.db_table in tables(alias):
                    columns.add(replace(column, tenant=None, database=alias))


def _tables(alias: str) -> frozenset[str]:
    try:
        return frozenset(connections[alias].introspection.table_names(include_views=True))
    except DatabaseError as error:
        raise DatabaseError(
            f"The database {alias!r} cannot be read, though its rows may refer to objects: {error}"
        ) from error


def _reasons_against(
    sweep: Sweep, place: Place, chosen: set[str | None], catalogue: Catalogue
) -> Iterator[str]:
    for column in sweep.columns[place.bucket]:
        if not column.meets(place.prefix):
            continue
        doubt = column.doubt or catalogue.doubt(column)
        if doubt:
            yield doubt
        elif column.tenant in sweep.readable:
            continue
        elif column.tenant in chosen:
            yield f"there is no {get_tenancy().division} {column.tenant!r} to read rows from"
        else:
            yield f"{column} stores there as well. Use --all-tenants"


# Orphans


def find_orphans(sweep: Sweep, place: Place, before: datetime) -> Iterator[Orphan]:
    """Yield the orphans of one place that were stored before this (aware) time.

    Objects with names that this package would not store belong to others, and are never orphans. Neither are
    the marks of deleted files while there is a fallback.
    """
    for page in pages(_objects(sweep, place), _PAGE):
        left = sweep.unreferenced(place, (stored.key for stored in page))
        for stored in page:
            if stored.key not in left:
                continue
            if cast("datetime", stored.modified) < _limit(stored.key, before):
                yield Orphan(place, stored.key, stored.size, stored.etag)
            else:
                sweep.spared += 1


def _limit(name: str, before: datetime) -> datetime:
    """Return the time limit for a name. Direct uploads are kept for a day: a form may still take them."""
    return min(before, timezone.now() - _INCOMING_LIFE) if is_incoming(name) else before


def _objects(sweep: Sweep, place: Place) -> Iterator[ObjectInfo]:
    backend = sweep.backends[place]
    try:
        for stored in backend.objects.list(backend.prefix):
            sweep.listed[place] += 1
            if _is_storable(stored.key) and not _is_mark(backend, stored):
                yield stored
    except BucketNotFound:
        return


def _is_mark(backend: MinioBackend, stored: ObjectInfo) -> bool:
    """Return whether the object keeps a deleted file from reappearing from a fallback."""
    return isinstance(backend, MovingBackend) and not stored.size and backend.is_mark(stored.key)


def _is_storable(name: str) -> bool:
    try:
        check_object_name(name)
    except SuspiciousFileOperation:
        return False
    return True


def delete_orphans(sweep: Sweep, orphans: Iterable[Orphan], before: datetime) -> Iterator[Deletion]:
    """Delete what is still an orphan and older than ``before``, and yield the result for each."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for place, of_place in groupby(orphans, key=attrgetter("place")):
            refuse_in_tests(place.server, place.address)
            for page in pages(of_place, _GROUP):
                left = sweep.unreferenced(place, (orphan.name for orphan in page))
                for orphan in page:
                    if orphan.name not in left:
                        yield Deletion(orphan, DeletionState.SPARED, "a row refers to it now")
                delete = partial(_delete, sweep.backends[place], before)
                yield from threads.map(delete, [orphan for orphan in page if orphan.name in left])


def _delete(backend: MinioBackend, before: datetime, orphan: Orphan) -> Deletion:
    objects = backend.objects
    try:
        stored = objects.head(orphan.name, backend.reading_headers)
        # The time has whole seconds, so compare the entity tag too.
        if cast("datetime", stored.modified) >= before or stored.etag != orphan.etag:
            return Deletion(orphan, DeletionState.SPARED, "it was replaced meanwhile")
        objects.delete(orphan.name, if_match=orphan.etag, headers=backend.reading_headers)
    except FileNotFoundError:
        return Deletion(orphan, DeletionState.SPARED, "it was gone already")
    except ServerError as error:
        if error.status == 412:
            return Deletion(orphan, DeletionState.SPARED, "it was replaced meanwhile")
        return Deletion(orphan, DeletionState.FAILED, str(error))
    return Deletion(orphan, DeletionState.DELETED)


# Rows without an object


def own_routes(sweep: Sweep) -> Iterator[Route]:
    """Yield the routes of the sweep's tenants with rows of their own that can be read.

    Rows of public, and shared rows without an owner, are checked for public only: their files need not be in
    a tenant's place. A file that only a fallback has is not missing.
    """
    found = [use for use in uses() if not use.is_fallback]
    for tenant in sweep.tenants:
        with get_tenancy().context(tenant):
            routes = routes_now(found)
        own = {None, get_tenancy().key_of(tenant)} & sweep.readable
        yield from (r for r in routes if r.column.tenant in own and not r.column.is_unattributed)


def find_missing(route: Route) -> Iterator[Missing]:
    """Yield the rows of a column whose object is missing from the route's place."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for page in route.column.pages():
            present = threads.map(partial(is_there, route), (name for _, name in page))
            for (key, name), there in zip(page, present, strict=True):
                if not there:
                    yield Missing(route.column, key, route.place, name)


def is_there(route: Route, name: str) -> bool:
    """Return whether the object of a row of this column is in the route's place."""
    try:
        # A new thread's connection is on public, and a fallback may depend on the tenant.
        with get_tenancy().context(route.column.tenant):
            return route.backend.exists(name)
    except (BucketNotFound, SuspiciousFileOperation):
        return False
