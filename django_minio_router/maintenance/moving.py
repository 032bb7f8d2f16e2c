"""Moving files that are there already: found from the rows that name them, tenant by tenant.

``move_files`` does one tenant and can be repeated: what is there and equal is left as it is. Nothing is
deleted on the way, as other rows may name the same file; a ``Ledger`` knows in the end what none needs.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.apps import apps
from django.conf import settings
from django.core.exceptions import FieldError
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import DatabaseError, router
from django.db.models import F, FileField, QuerySet

from .. import tenancy
from ..backend import MinioBackend
from ..binding import file_fields
from ..conf import Config
from ..exceptions import ConfigurationError, RoutingError, ServerError
from ..fallback import is_same_place
from ..fields import BucketFileField, BucketImageField
from ..router import MinioRouter, load_place, load_strategy
from ..s3.contents import pages
from ..strategies import BucketStrategy, FixedBucket
from .orphans import Column, storage_doubt
from .transfers import Bucket, Found, Origin, is_one, is_same, origin_of

if TYPE_CHECKING:
    from django.db.models import Model

_PAGE = 500  # names at a time
_NAME = "minio_router_name"  # of the file of a row, as a column of its own
_BUCKET = "bucket:"


class Fate(Enum):
    """What became of a file, or would become of it in a dry run."""

    COPIED = "copied"
    THERE = "already there"
    MISSING = "missing"
    DIFFERING = "differing"
    FAILED = "failed"
    SKIPPED = "left out"


class Outcome(NamedTuple):
    """One file that a row of ``where`` names; ``verified`` is the version of it that both places have.

    ``tenant`` is whose the row is; None is public.
    """

    fate: Fate
    where: str
    name: str
    cause: str = ""
    source: tuple[str, str] = ("", "")
    verified: str = ""
    tenant: Any | None = None


@dataclass(frozen=True)
class Move:
    """The files of these fields, from ``source``, to where each field stores, or to ``target``."""

    source: Storage
    fields: tuple[FileField, ...]
    target: BucketStrategy | None = None

    def origin(self, field: FileField) -> Origin:
        """Return where the files of a field were under the active tenant."""
        return origin_of(_backend(self.source, field))

    def target_of(self, field: FileField) -> MinioBackend:
        """Return where they go."""
        storage: Storage = field.storage
        if self.target is not None and getattr(storage, "strategy", None) != self.target:
            storage = MinioRouter(strategy=self.target)
        return cast("MinioBackend", _backend(storage, field))


def _backend(storage: Storage, field: FileField) -> Storage:
    return _plain(storage.bind(field) if isinstance(storage, MinioRouter) else storage)


# What is asked for


def load_source(text: str) -> Storage:
    """Return the storage that the words of a person stand for.

    An alias of ``STORAGES``, else ``media`` for ``MEDIA_ROOT``, else a strategy's dotted path or a bucket;
    ``bucket:media`` is always a bucket.
    """
    if text == "media" and text not in settings.STORAGES:
        return _media()
    bucket = text.removeprefix(_BUCKET)
    place = MinioRouter(strategy=FixedBucket(bucket)) if bucket != text else load_place(text, {})
    if isinstance(place, str):
        return storages[place]
    if isinstance(place, MinioRouter) and place.strategy == FixedBucket(bucket):
        # Nobody links there, so it need not be declared.
        return MinioBackend(bucket, public=bucket in Config().declared[1])
    return place


def _media() -> Storage:
    if not settings.MEDIA_ROOT:  # for Django that is the folder the process is in: the project itself
        raise ConfigurationError("--from is 'media', and MEDIA_ROOT is not set. Set it, or correct --from.")
    return FileSystemStorage()


def refuse_missing_source(source: Storage) -> None:
    """Raise ``ConfigurationError`` where the old place is one for all, and is not there: a wrong name."""
    if isinstance(source, FileSystemStorage) and type(source) is FileSystemStorage:
        missing = not Path(source.location).is_dir()
    elif isinstance(source, MinioRouter) and (source.default or isinstance(source.strategy, FixedBucket)):
        missing = not Bucket(source.without_fallback().backend).is_there
    else:
        missing = isinstance(source, MinioBackend) and not Bucket(source).is_there
    if missing:
        raise ConfigurationError(f"There is nothing at {origin_of(_plain(source))}. Correct --from.")


def _plain(storage: Storage) -> Storage:
    return storage.without_fallback().backend if isinstance(storage, MinioRouter) else storage


def load_target(path: str | None) -> BucketStrategy | None:
    return None if path is None else load_strategy(path)


def make_move(source: str, to: str | None = None, labels: Collection[str] = ()) -> Move:
    """Return the move that the words of a person ask for. ``ConfigurationError`` where it cannot be done."""
    target = load_target(to)
    origin = load_source(source)
    refuse_missing_source(origin)
    return Move(origin, fields_to_move(target, labels), target)


def fields_to_move(target: BucketStrategy | None, labels: Collection[str]) -> tuple[FileField, ...]:
    """Return the fields of the models with these labels, else all that route, or route by ``target``."""
    if labels:
        # Each once: what is moved twice would count as verified for two rows.
        return tuple(dict.fromkeys(field for label in labels for field in _fields_of(label, target)))
    routed = [field for field in all_file_fields() if isinstance(field.storage, MinioRouter)]
    if target is not None:
        routed = [field for field in routed if getattr(field.storage, "strategy", None) == target]
    if not routed:
        by = "a MinioRouter" if target is None else f"{target!r}"
        raise ConfigurationError(f"No file field stores by {by}. Name the models with --model.")
    return tuple(routed)


def _fields_of(label: str, target: BucketStrategy | None) -> list[FileField]:
    try:
        found = file_fields(apps.get_model(label))
    except (LookupError, ValueError) as error:
        raise ConfigurationError(f"There is no model {label!r}. Give --model app_label.ModelName.") from error
    if target is None:
        found = [field for field in found if isinstance(field.storage, MinioBackend | MinioRouter)]
    if not found:
        raise ConfigurationError(
            f"The model {label!r} has no file field of its own that stores in a bucket. Name another, or "
            "a strategy with --to."
        )
    return found


def all_file_fields() -> Iterator[FileField]:
    for model in apps.get_models(include_auto_created=True):
        yield from file_fields(model)


# Which rows are whose


@dataclass(frozen=True)
class _OwnedColumn(Column):
    """The names in those rows that belong to one tenant, whatever schema they are in."""

    owner: str | None = None

    def _rows(self) -> QuerySet[Any]:
        path = self._owner_path()
        return super()._rows() if path is None else super()._rows().filter(**{path: self.owner})

    def _page(self, last: Any) -> list[tuple[Any, Any]]:
        if self._owner_path() is not None:
            return super()._page(last)
        # Of a row that holds an image without its dimensions Django opens the image, in the new place.
        files = [field.attname for field in self.field.model._meta.fields if isinstance(field, FileField)]
        with tenancy.in_schema(self.schema):
            rows = self._rows() if last is None else self._rows().filter(pk__gt=last)
            rows = rows.defer(*files).annotate(**{_NAME: F(self.field.attname)}).order_by("pk")
            return [(row.pk, self._name_in(row)) for row in rows[:_PAGE]]

    def _owner_path(self) -> str | None:
        """Return the lookup of the owner's schema; None where only the row itself can tell."""
        owner = cast("Any", self.field).owner
        if callable(owner):
            return None
        path = "schema_name" if owner == "self" else f"{owner.replace('.', '__')}__schema_name"
        try:
            QuerySet(self.field.model).filter(**{path: ""})
        except FieldError:
            return None
        return path

    def _name_in(self, row: Model) -> str:
        try:
            owner = cast("Any", self.field).owner_of(row)
        except RoutingError:
            return ""
        belongs = getattr(owner, "schema_name", owner) == self.owner
        return str(getattr(row, _NAME) or "") if belongs else ""


def own_columns(field: FileField, tenant: Any | None) -> list[Column]:
    """Return the rows of a field that are this tenant's own; None is public. Ask while it is active."""
    schema = None if tenant is None else str(tenant.schema_name)
    if not isinstance(field, BucketFileField | BucketImageField):
        found = _schema_of_table(field, schema)
        return [] if found is None else [Column(field, found[0])]
    tables = [_schema_of_table(field, each) for each in {schema, None}]
    owner = schema or (tenancy.public_schema() if tenancy.has_schemas() else None)
    return [_OwnedColumn(field, table[0], owner=owner) for table in tables if table is not None]


def _left_fields() -> dict[str, list[FileField]]:
    """Return the schemas that deleted tenants left, with the fields that have a column there."""
    tables = {field.model._meta.db_table for field in all_file_fields()}
    left = tenancy.left_schemas(tables) if tenancy.has_schemas() else {}
    found = {}
    for schema, there in left.items():
        columns = {table: tenancy.columns_in(schema, table) for table in there}
        found[schema] = [
            field
            for field in all_file_fields()
            if field.column in columns.get(field.model._meta.db_table, ())
        ]
    return found


def _schema_of_table(field: FileField, schema: str | None) -> tuple[str | None] | None:
    """Return the schema that this tenant's table is in; None where it has none of its own."""
    model = field.model
    alias = router.db_for_write(model)
    if not tenancy.has_schemas() or alias != tenancy.database_alias():
        return (None,) if schema is None else None
    name = schema or tenancy.public_schema()
    with tenancy.in_schema(name):
        if not router.allow_migrate_model(alias, model):
            return None
    return (name,) if schema is None or tenancy.schema_exists(name) else None


# Moving


@dataclass(frozen=True)
class _Route:
    """The rows of one field and one tenant, and the two places that their files are in."""

    tenant: Any | None
    column: Column
    origin: Origin
    target: Bucket


def count_files(move: Move, tenant: Any | None) -> int:
    """Return how many rows of this tenant may name a file."""
    with tenancy.context_of(tenant):
        columns = [column for field in move.fields for column in own_columns(field, tenant)]
    return sum(column.count() for column in columns)


def move_files(move: Move, tenant: Any | None, *, jobs: int = 8, dry_run: bool = False) -> Iterator[Outcome]:
    """Copy the files that this tenant's rows name, ``jobs`` at a time, and yield what became of each.

    None is public. Can be repeated, and be run for several tenants at once. Raise ``ServerError`` if a server
    cannot be reached; what failed for one file or one column alone is an outcome.
    """
    routes, left_out = _routes(move, tenant)
    yield from left_out
    with ThreadPoolExecutor(jobs) as threads:
        for route in routes:
            try:
                yield from _move_column(route, threads, dry_run)
            except DatabaseError as error:  # such as of a tenant whose schema lacks the table
                yield Outcome(Fate.FAILED, str(route.column), "", str(error).strip())


def _move_column(route: _Route, threads: ThreadPoolExecutor, dry_run: bool) -> Iterator[Outcome]:
    if not route.target.is_there:
        yield from _lacking(route)
        return
    carry = partial(_carry, route, dry_run)
    for page in route.column.pages():
        # Each name once: of several rows that share a file, each thread would copy it.
        rows = Counter(name for _, name in page)
        for outcome, count in zip(threads.map(carry, rows), rows.values(), strict=True):
            yield from repeat(outcome, count)


def _routes(move: Move, tenant: Any | None) -> tuple[list[_Route], list[Outcome]]:
    routes, left_out = [], []
    with tenancy.context_of(tenant):
        for field in move.fields:
            for column in own_columns(field, tenant):
                try:
                    target, origin = move.target_of(field), move.origin(field)
                except RoutingError as error:
                    left_out += _left_out(column, str(error))
                    continue
                storage: Any = field.storage
                ours = isinstance(storage, MinioBackend | MinioRouter)
                doubt = storage_doubt(storage) if ours else ""
                if doubt:
                    left_out += _left_out(column, doubt)
                elif not (isinstance(origin, Bucket) and is_same_place(origin, target)):
                    routes.append(_Route(tenant, column, origin, Bucket(target)))
    return routes, left_out


def _lacking(route: _Route) -> list[Outcome]:
    if not any(route.column.pages()):
        return []
    cause = (
        f"the bucket {route.target.bucket!r} does not exist. Create it with 'manage.py initialize_buckets'"
    )
    return [Outcome(Fate.FAILED, str(route.column), "", cause)]


def _left_out(column: Column, cause: str) -> list[Outcome]:
    """Return that the rows of a column are left out, if there are any."""
    return [Outcome(Fate.SKIPPED, str(column), "", cause)] if any(column.pages()) else []


def _carry(route: _Route, dry_run: bool, name: str) -> Outcome:
    outcome = partial(Outcome, where=str(route.column), name=name)
    try:
        # A thread's own connection is on public, which a storage for tenants may ask.
        with tenancy.context_of(route.tenant):
            return _moved(route, name, dry_run)
    except Exception as error:
        if isinstance(error, ServerError) and error.status is None:
            raise
        return outcome(Fate.FAILED, cause=str(error) or type(error).__name__)


def _moved(route: _Route, name: str, dry_run: bool) -> Outcome:
    origin, target = route.origin, route.target
    outcome = partial(Outcome, where=str(route.column), name=name, tenant=route.tenant)
    here, there = origin.look(name), target.look(name)
    if there is not None and there.is_deleted:
        return outcome(Fate.MISSING, cause="it was deleted before it was moved")
    claimed = there is not None and there.is_claim
    if claimed:
        there = None
    if here is None or here.is_deleted or here.is_claim:
        if claimed and not dry_run:
            target.delete(name)  # nobody is at work: the source was gone before the claim was seen
        return outcome(Fate.THERE) if there else outcome(Fate.MISSING, cause=f"it is not in {origin}")
    fate = Fate.THERE
    if there is None:
        fate = Fate.COPIED
        if dry_run:
            return outcome(fate)
        there = _received(route, name, here, claimed)
    if there is None or not is_same(name, here, origin, there, target):
        return outcome(Fate.DIFFERING, cause=f"{target} has another content under this name")
    if fate is Fate.THERE and is_one(name, here, origin, there, target):
        return outcome(fate)  # not verified: there is no second file, so this one must stay
    return outcome(fate, source=_source(origin), verified=here.version)


def _received(route: _Route, name: str, here: Found, claimed: bool) -> Found | None:
    with suppress(FileExistsError):  # somebody stored it meanwhile: it is compared all the same
        route.target.receive(name, here, route.origin, claimed)
    there = route.target.look(name)
    if there is not None and there.is_claim and not claimed:  # of another run, which moves the same file
        return _received(route, name, here, claimed=True)
    return there


# What no row needs any more


class Ledger:
    """The files of the source: which were verified in the new place, and how many rows name each.

    On disk, as there may be millions. A file can be given up only when it was verified for as many rows as
    name it, of any tenant and any field: else a row that was not moved would lose it.
    """

    def __init__(self) -> None:
        self._origins: dict[tuple[str, str], tuple[Origin, Any | None]] = {}
        self._tenants: dict[str, Any | None] = {}
        # Where files are without a tenant: in a place for all.
        self._of_all: set[tuple[FileField, tuple[str, str]]] = set()
        self._db = sqlite3.connect("")  # a temporary file that only this connection can see
        self._db.execute(
            "CREATE TABLE file (place TEXT, name TEXT, folder TEXT, version TEXT, tenant TEXT, "
            "verified INTEGER DEFAULT 0, named INTEGER DEFAULT 0, PRIMARY KEY (place, name)) WITHOUT ROWID"
        )

    def note(self, outcome: Outcome) -> None:
        """Take down that a file was verified."""
        if outcome.verified:
            place, folder = outcome.source
            tenant = "" if outcome.tenant is None else str(outcome.tenant.schema_name)
            self._tenants[tenant] = outcome.tenant
            self._db.execute(
                "INSERT INTO file (place, name, folder, version, tenant, verified) VALUES (?, ?, ?, ?, ?, 1) "
                "ON CONFLICT DO UPDATE SET verified = verified + 1, version = excluded.version, "
                "tenant = excluded.tenant",
                (place, folder + outcome.name, folder, outcome.verified, tenant),
            )

    def read_rows(self, move: Move, tenants: Iterable[Any | None]) -> None:
        """Take down which files the rows of these tenants name, in all fields of all models.

        ``tenants`` must be everybody, public (None) first: what is left out counts as nobody's. Rows in
        schemas that a deleted tenant left are read in any case.
        """
        for tenant in tenants:
            with tenancy.context_of(tenant):
                for field in all_file_fields():
                    self._read_field(move, field, tenant)
        for schema, fields in _left_fields().items():
            with tenancy.in_schema(schema):
                for field in fields:
                    with suppress(RoutingError):  # the source has no place for it
                        self._count(move.origin(field), [Column(field, schema)])

    def _read_field(self, move: Move, field: FileField, tenant: Any | None) -> None:
        try:
            origin = move.origin(field)
        except RoutingError:
            return  # the source has no place for it
        place, _ = source = _source(origin)
        self._origins.setdefault(source, (origin, tenant))
        if tenant is None:
            self._of_all.add((field, source))
        self._count(origin, self._columns(field, tenant, source))
        new = _new_place(move, field)
        if new is not None and new.key == place and _source(new) != source:
            self._count(new, own_columns(field, tenant))  # such as a folder of the same bucket

    def _count(self, origin: Origin, columns: Iterable[Column]) -> None:
        place, folder = _source(origin)
        for column in columns:
            for page in column.pages():
                self._db.executemany(
                    "INSERT INTO file (place, name, folder, named) VALUES (?, ?, ?, 1) "
                    "ON CONFLICT DO UPDATE SET named = named + 1",
                    [(place, origin.object_name(name), folder) for _, name in page],
                )

    def _columns(self, field: FileField, tenant: Any | None, source: tuple[str, str]) -> list[Column]:
        """Return the rows that name files of the source and were not read for it yet.

        Where a source is for all, a row counts whoever owns it, and also if nobody does.
        """
        if (field, source) not in self._of_all:
            return own_columns(field, tenant)
        table = _schema_of_table(field, None if tenant is None else str(tenant.schema_name))
        return [] if table is None else [Column(field, table[0])]

    def orphans(self) -> Iterator[tuple[Origin, str]]:
        """Yield the objects of the source that no row names."""
        for origin, tenant in self._origins.values():
            names = origin.object_names()
            while page := _next_page(names, tenant):
                known = self._known(origin.key, page)
                yield from ((origin, name) for name in page if name not in known)

    def _known(self, place: str, names: list[str]) -> set[str]:
        marks = ",".join("?" * len(names))
        query = f"SELECT name FROM file WHERE place = ? AND name IN ({marks})"  # noqa: S608
        return {name for (name,) in self._db.execute(query, (place, *names))}

    def count(self) -> tuple[int, int]:
        """Return how many files can be given up, and how many verified ones are needed by other rows."""
        query = "SELECT count(*) FILTER (WHERE verified >= named), count(*) FROM file WHERE verified > 0"
        ready, verified = self._db.execute(query).fetchone()
        return ready, verified - ready

    def give_up(self, *, jobs: int = 8) -> Iterator[Kept | None]:
        """Delete what can be given up from the source, and yield None for each, or why it is kept."""
        query = (
            "SELECT place, folder, name, version, tenant FROM file WHERE verified > 0 AND verified >= named"
        )
        with ThreadPoolExecutor(jobs) as threads:
            for page in pages(self._db.execute(query), _PAGE):
                yield from threads.map(self._remove, page)

    def _remove(self, file: tuple[str, str, str, str, str]) -> Kept | None:
        place, folder, object_name, version, tenant = file
        origin, _ = self._origins[place, folder]
        name = object_name.removeprefix(folder)
        try:
            # As the one it was verified for: a storage of another package may have one for each.
            with tenancy.context_of(self._tenants[tenant]):
                found = origin.look(name)
                if found is not None and found.version != version:
                    return Kept(name, "it was stored anew after it was copied")
                origin.remove(name)
        except Exception as error:
            return Kept(name, str(error) or type(error).__name__)
        return None


class Kept(NamedTuple):
    """A file that is still in the source, and why."""

    name: str
    cause: str


def _source(origin: Origin) -> tuple[str, str]:
    return origin.key, origin.object_name("")


def _new_place(move: Move, field: FileField) -> Origin | None:
    """Return where the field's files are once they are moved; None where it has no place."""
    try:
        moved = field in move.fields
        return origin_of(move.target_of(field) if moved else _backend(field.storage, field))
    except RoutingError:
        return None


def _next_page(names: Iterator[str], tenant: Any | None) -> list[str]:
    with tenancy.context_of(tenant):
        return list(islice(names, _PAGE))
