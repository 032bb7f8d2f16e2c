"""Objects that no row refers to, and rows whose object is missing.

An object is an orphan when no row holds its name, of any model and tenant whose files go to its bucket.
Where that cannot be told for sure the bucket is left alone, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from functools import cache, partial
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from django.core.exceptions import SuspiciousFileOperation
from django.db import DatabaseError, connections, router
from django.db.models import FileField

from ..exceptions import BucketNotFound, BucketTaken, ModelRequired, ServerError, TenantRequired
from ..inventory.columns import Column
from ..inventory.uses import Use, configs, models_by_strategy, uses
from ..naming import check_object_name
from ..s3.client import get_client
from ..storage.backend import MinioBackend
from ..storage.fallback import MovingBackend
from ..storage.fields import BucketFileField, BucketImageField
from ..storage.router import MinioRouter
from ..storage.static import MinioBackendStatic
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from django.db.models import Model

T = TypeVar("T")

_PAGE = 500  # names in one query; SQLite may take no more than 999
_THREADS = 8
_READING_METHODS = ("open", "_open", "delete")
_SAVING_METHODS = ("save", "_save")
_VALUE_METHODS = ("get_prep_value", "get_db_prep_value", "get_db_prep_save", "from_db_value")


class Place(NamedTuple):
    """Where objects are: in a bucket of the server at ``endpoint``, below the folder ``prefix``."""

    endpoint: str
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}".rstrip("/")


class Route(NamedTuple):
    """Where a field's files go under one tenant, and where else they may have gone."""

    column: Column
    backend: MinioBackend
    elsewhere: frozenset[Location]

    @property
    def place(self) -> Place:
        return Place(self.backend.config.internal.endpoint, self.backend.bucket, self.backend.prefix)

    @property
    def columns(self) -> list[tuple[str, Column]]:
        """Each bucket, with the column as it refers to the objects there."""
        further = [(place.bucket, replace(self.column, prefix=place.prefix)) for place in self.elsewhere]
        return [(self.backend.bucket, self.column), *further]


@dataclass
class Sweep:
    """Where the files of some tenants go, and by bucket the columns that may refer to its objects.

    ``schemas`` are those whose rows can be read; ``left_alone`` says why a place may not be cleaned.
    """

    tenants: list[Any]
    schemas: set[str | None]
    backends: dict[Place, MinioBackend] = field(default_factory=dict)
    columns: dict[str, set[Column]] = field(default_factory=dict)
    left_alone: dict[Place, str] = field(default_factory=dict)

    @property
    def cleanable(self) -> list[Place]:
        return [place for place in self.backends if place not in self.left_alone]

    def unreferenced(self, place: Place, objects: Iterable[str]) -> set[str]:
        """Return those of the objects that no row refers to.

        Servers are not told apart, since one may be known under two endpoints.
        """
        left = set(objects)
        for column in self.columns[place.bucket]:
            left -= column.holding(left)
        return left


class Orphan(NamedTuple):
    """An object that no row refers to; ``size`` in bytes."""

    place: Place
    name: str
    size: int
    etag: str


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
    place: Place
    name: str


# What may be cleaned


def make_sweep(tenants: Iterable[Any | None]) -> Sweep:
    """Find out what may be cleaned for these tenants; None stands for public, and for a project without any.

    A place is left alone if static files are there, if a tenant that is not among these stores there as
    well, if rows cannot be read, or if a storage has a say in what its objects are called. Rows count
    wherever there is a table of the model: in another database, or in a schema that a deleted tenant left.
    Sends no request to the S3 server. Raise ``RoutingError`` where a strategy fails for any tenant, and
    ``DatabaseError`` where a database cannot be read.
    """
    tenants = list(tenants)
    sweep = Sweep(tenants, _readable(tenants))
    found = uses()
    chosen = {_schema_of(tenant) for tenant in tenants}
    others = (tenant for tenant in get_tenancy().everyone() if _schema_of(tenant) not in chosen)
    static = {config.static_bucket for config in configs(found)}
    for tenant in chain(tenants, others):
        with get_tenancy().context(tenant):
            for route in routes_now(found):
                _add(sweep, route, chosen=_schema_of(tenant) in chosen)
            static |= {backend.bucket for use in found if _is_static(use) and (backend := backend_of(use))}
    _add_left_schemas(sweep, found)
    _add_other_databases(sweep)
    for place in sweep.backends:
        reasons = ["static files are stored there"] if place.bucket in static else []
        reasons += sorted(_reasons_against(sweep, place, chosen))
        if reasons:
            sweep.left_alone[place] = reasons[0]
    return sweep


def _schema_of(tenant: Any | None) -> str | None:
    if tenant is not None:
        return str(tenant.schema_name)
    return get_tenancy().shared_key if (get_tenancy().problem() is None) else None


def _readable(tenants: list[Any | None]) -> set[str | None]:
    """Return the schemas of the tenants that have one; public can be read by all."""
    names = [str(tenant.schema_name) for tenant in tenants if tenant is not None]
    return {None, _schema_of(None), *filter(get_tenancy().can_read, names)}


def _add(sweep: Sweep, route: Route, *, chosen: bool) -> None:
    if chosen:
        sweep.backends.setdefault(route.place, route.backend)
        if isinstance(route.backend, MovingBackend):  # of several, as it knows the marks of deleted files
            sweep.backends[route.place] = route.backend
    for bucket, column in route.columns:
        if chosen or bucket in sweep.columns:
            sweep.columns.setdefault(bucket, set()).add(column)


def _add_left_schemas(sweep: Sweep, found: list[Use]) -> None:
    """Add the rows in schemas that no tenant has: by default, django-tenants keeps those of a deleted one."""
    tables = {use.field.model._meta.db_table for use in found if use.field is not None}
    left = get_tenancy().abandoned_tables(tables)
    for schema, there in left.items():
        sweep.schemas.add(schema)
        with get_tenancy().context(schema):
            for route in routes_now(found):
                if route.column.field.model._meta.db_table in there:
                    _add(sweep, route, chosen=False)


def _add_other_databases(sweep: Sweep) -> None:
    """Add the rows in further databases: of an archive, or of code that names one with ``using()``."""
    tables = cache(_tables)
    for columns in sweep.columns.values():
        for column in tuple(columns):
            model = column.field.model
            for alias in connections:
                if alias != router.db_for_write(model) and model._meta.db_table in tables(alias):
                    columns.add(replace(column, schema=None, database=alias))


def _tables(alias: str) -> frozenset[str]:
    try:
        return frozenset(connections[alias].introspection.table_names(include_views=True))
    except DatabaseError as error:
        raise DatabaseError(
            f"The database {alias!r} cannot be read, and rows in it may refer to objects: {error}"
        ) from error


def _reasons_against(sweep: Sweep, place: Place, chosen: set[str | None]) -> Iterator[str]:
    for column in sweep.columns[place.bucket]:
        if not column.meets(place.prefix):
            continue
        if column.doubt:
            yield column.doubt
        elif column.schema not in sweep.schemas and column.schema in chosen:
            yield f"there is no schema {column.schema!r} to read rows from"
        elif column.schema not in sweep.schemas:
            yield f"{column} stores there as well. Use --all-tenants"


def routes_now(found: list[Use]) -> list[Route]:
    """Return where each field's files go under the active tenant."""
    models = models_by_strategy(found)
    elsewhere = {strategy: _unexplained(strategy, models[strategy]) for strategy in models}
    routes = []
    for use in found:
        backend = backend_of(use)
        if use.field is None or backend is None:
            continue
        spread = elsewhere[use.strategy] if use.strategy is not None else frozenset()
        for column in _columns(use.field):
            doubt = column.doubt or storage_doubt(use.storage) or _value_doubt(use.field)
            routes.append(Route(replace(column, prefix=backend.prefix, doubt=doubt), backend, spread))
    return routes


def backend_of(use: Use) -> MinioBackend | None:
    """Return the storage of the bucket that the use goes to now; None where it has no bucket."""
    if not isinstance(use.storage, MinioRouter):
        return use.storage
    try:
        return use.storage.backend
    except (BucketTaken, ModelRequired, TenantRequired):
        return None


def _columns(field: FileField) -> Iterator[Column]:
    """Yield the columns whose rows may refer to what the active tenant stores: its own, and public's.

    A row of public may have been saved by code that acted for the tenant's bucket alone.
    """
    model = field.model
    tenancy = get_tenancy()
    if not tenancy.divides(model):
        yield Column(field, None)
        return
    key = tenancy.active_key()
    if key is not None and tenancy.owns_table(model, key):
        yield Column(field, key, doubt=_owner_doubt(field))
    if tenancy.owns_table(model, None):
        yield Column(field, tenancy.shared_key)


def _owner_doubt(field: FileField) -> str:
    if not isinstance(field, BucketFileField | BucketImageField):
        return ""
    return f"{field} stores for the owner of each row, so rows of other tenants may refer to it"


def _unexplained(strategy: BucketStrategy, models: list[type[Model]]) -> frozenset[Location]:
    """Return the locations of a strategy that none of its models goes to now.

    What is stored there was routed by something that cannot be seen from here.
    """
    now = set(_locations_now(strategy, models))
    whole = {Location(location.bucket, location.server) for location in now}
    try:
        return frozenset(map(Location.of, strategy.buckets_for(models))) - now - whole
    except (TenantRequired, ModelRequired):
        return frozenset()


def _locations_now(strategy: BucketStrategy, models: list[type[Model]]) -> Iterator[Location]:
    for model in models:
        try:
            yield Location.of(strategy.bucket_for(model))
        except (TenantRequired, ModelRequired):
            continue


def storage_doubt(storage: MinioBackend | MinioRouter) -> str:
    """Say why a class of the project's own may store under other names than it returns, or nothing."""
    base = MinioRouter if isinstance(storage, MinioRouter) else MinioBackend
    own = storage.__class__  # of what a lazy storage stands for, which type() does not tell
    changed = list(_changed(own, base, *_READING_METHODS))
    if any(_changed(own, base, *_SAVING_METHODS)):  # else a link of its own leads to the name in the row
        changed += _changed(own, base, "url")
    for method in changed:
        return f"{own.__name__} has its own {method}(), so rows may hold other names than the server"
    return ""


def _value_doubt(field: FileField) -> str:
    """Say why the database may hold something else than the name, such as an encrypted one, or nothing."""
    for method in _changed(type(field), FileField, *_VALUE_METHODS):
        return f"{type(field).__name__} has its own {method}(), so rows may not be found by name"
    return ""


def _changed(own: type, base: type, *methods: str) -> Iterator[str]:
    return (name for name in methods if getattr(own, name, None) is not getattr(base, name, None))


def _is_static(use: Use) -> bool:
    return use.alias == "staticfiles" or isinstance(use.storage, MinioBackendStatic)


# Orphans


def find_orphans(sweep: Sweep, place: Place, before: datetime) -> Iterator[Orphan]:
    """Yield the orphans of one place that were stored before this (aware) time, a page at a time.

    Objects with a name that this package would not store are somebody else's and never among them, nor are
    the marks of deleted files while there is a fallback.
    """
    for page in _pages(_old_objects(sweep.backends[place], before)):
        left = sweep.unreferenced(place, (stored.object_name for stored in page))
        for stored in page:
            if stored.object_name in left:
                yield Orphan(place, stored.object_name, stored.size, stored.etag)


def _old_objects(backend: MinioBackend, before: datetime) -> Iterator[Any]:
    client = get_client(backend.config.internal)
    listing = client.sdk.list_objects(bucket_name=backend.bucket, prefix=backend.prefix, recursive=True)
    try:
        with client.plain_errors(backend.bucket):
            for stored in listing:
                is_old = stored.last_modified < before and _is_storable(stored.object_name)
                if is_old and not _is_mark(backend, stored):
                    yield stored
    except BucketNotFound:
        return


def _is_mark(backend: MinioBackend, stored: Any) -> bool:
    """Tell whether the object keeps a deleted file from coming back out of a fallback."""
    return isinstance(backend, MovingBackend) and not stored.size and backend.is_mark(stored.object_name)


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
        for place, of_place in groupby(orphans, key=attrgetter("place")):
            for page in _pages(of_place):
                left = sweep.unreferenced(place, (orphan.name for orphan in page))
                for orphan in page:
                    if orphan.name not in left:
                        yield Deletion(orphan, Fate.SPARED, "a row refers to it by now")
                delete = partial(_delete, sweep.backends[place], before)
                yield from threads.map(delete, [orphan for orphan in page if orphan.name in left])


def _delete(backend: MinioBackend, before: datetime, orphan: Orphan) -> Deletion:
    client, bucket = get_client(backend.config.internal), backend.bucket
    try:
        with client.plain_errors(bucket):
            stored: Any = client.sdk.stat_object(bucket_name=bucket, object_name=orphan.name)
            # A time of whole seconds alone would not tell what was stored within the last one.
            if stored.last_modified >= before or stored.etag != orphan.etag:
                return Deletion(orphan, Fate.SPARED, "it was stored anew meanwhile")
            client.sdk.remove_object(bucket_name=bucket, object_name=orphan.name)
    except ServerError as error:
        if error.status == 404:
            return Deletion(orphan, Fate.SPARED, "it was gone already")
        return Deletion(orphan, Fate.FAILED, str(error))
    return Deletion(orphan, Fate.DELETED)


# Rows without an object


def own_routes(sweep: Sweep) -> Iterator[Route]:
    """Yield the routes of the sweep's tenants whose rows are their own, and can be read.

    Rows of public are left to public: what they refer to need not be where a tenant's calls go. What is only
    in a fallback is not missing.
    """
    found = [use for use in uses() if not use.is_fallback]
    for tenant in sweep.tenants:
        with get_tenancy().context(tenant):
            routes = routes_now(found)
        own = {None, _schema_of(tenant)} & sweep.schemas
        yield from (route for route in routes if route.column.schema in own)


def find_missing(route: Route) -> Iterator[Missing]:
    """Yield the rows of a column whose object is not where the route leads."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for page in route.column.pages():
            present = threads.map(partial(_is_there, route), (name for _, name in page))
            for (key, name), there in zip(page, present, strict=True):
                if not there:
                    yield Missing(route.column, key, route.place, name)


def _is_there(route: Route, name: str) -> bool:
    try:
        # A thread's own connection is on public, which a fallback for tenants may ask.
        with get_tenancy().context(route.column.schema):
            return route.backend.exists(name)
    except (BucketNotFound, SuspiciousFileOperation):
        return False
