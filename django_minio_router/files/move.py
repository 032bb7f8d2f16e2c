"""Moving files that are there already: found from the rows that name them, tenant by tenant.

``move_files`` does one tenant and can be repeated: what is there and equal is left as it is. Nothing is
deleted on the way, as other rows may name the same file; a ``Ledger`` knows in the end what none needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.apps import apps
from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import DatabaseError

from ..exceptions import ConfigurationError, RoutingError, ServerError
from ..inventory.columns import Column, all_file_fields, own_columns
from ..settings.config import Config
from ..storage.backend import MinioBackend
from ..storage.binding import file_fields
from ..storage.router import MinioRouter, load_place, load_strategy
from ..strategies import BucketStrategy, FixedBucket
from ..tenancy import get_tenancy
from .orphans import storage_doubt
from .transfer import BucketFiles, Found, Origin, is_one, is_same, origin_of, source_of

if TYPE_CHECKING:
    from django.db.models import FileField

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

    def new_place(self, field: FileField) -> Origin | None:
        """Return where a field's files are in the end, moved or not; None where it has no place."""
        try:
            moved = field in self.fields
            return origin_of(self.target_of(field) if moved else _backend(field.storage, field))
        except RoutingError:
            return None


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
        missing = not BucketFiles(source.without_fallback().backend).is_there
    else:
        missing = isinstance(source, MinioBackend) and not BucketFiles(source).is_there
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


# Moving


@dataclass(frozen=True)
class _Route:
    """The rows of one field and one tenant, and the two places that their files are in."""

    tenant: Any | None
    column: Column
    origin: Origin
    target: BucketFiles


def count_files(move: Move, tenant: Any | None) -> int:
    """Return how many rows of this tenant may name a file."""
    with get_tenancy().context(tenant):
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
    with get_tenancy().context(tenant):
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
                elif not (isinstance(origin, BucketFiles) and origin.is_in(target)):
                    routes.append(_Route(tenant, column, origin, BucketFiles(target)))
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
        with get_tenancy().context(route.tenant):
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
            target.remove(name)  # nobody is at work: the source was gone before the claim was seen
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
    return outcome(fate, source=source_of(origin), verified=here.version)


def _received(route: _Route, name: str, here: Found, claimed: bool) -> Found | None:
    with suppress(FileExistsError):  # somebody stored it meanwhile: it is compared all the same
        route.target.receive(name, here, route.origin, claimed)
    there = route.target.look(name)
    if there is not None and there.is_claim and not claimed:  # of another run, which moves the same file
        return _received(route, name, here, claimed=True)
    return there
