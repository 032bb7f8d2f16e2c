"""Move stored files, found through the rows that refer to them, tenant by tenant.

``move_files`` processes one tenant and can be repeated: equal copies are left as they are. It deletes
nothing, since other rows may refer to the same file; a ``Ledger`` finds what no row needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.apps import apps
from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import DatabaseError

from ..exceptions import ConfigurationError, RoutingError, ServerError
from ..inventory.columns import Column, all_file_fields, own_columns
from ..inventory.routes import storage_doubt
from ..naming import bucket_name_problem
from ..s3.bucket import ObjectInfo
from ..s3.errors import creating_command
from ..settings.config import Config
from ..storage.backend import MinioBackend
from ..storage.binding import file_fields
from ..storage.fallback import is_claim, is_deleted, is_file
from ..storage.router import MinioRouter, load_strategy
from ..strategies import BucketStrategy
from ..tenancy import get_tenancy
from .transfer import BucketFiles, Origin, is_one, is_same, origin_of, source_of

if TYPE_CHECKING:
    from django.db.models import FileField

_BUCKET = "bucket:"


class MoveState(Enum):
    """What happened to a file, or would happen in a dry run."""

    COPIED = "copied"
    THERE = "already there"
    MISSING = "missing"
    DIFFERING = "differing"
    FAILED = "failed"
    SKIPPED = "left out"


class FileOutcome(NamedTuple):
    """The result for one file that a row of ``where`` refers to; ``tenant`` is the row's, None for public.

    If both places have it, ``verified`` is its version in the source and ``copy`` the one in ``target``.
    """

    state: MoveState
    where: str
    name: str
    cause: str = ""
    source: tuple[str, str] = ("", "")
    verified: str = ""
    target: BucketFiles | None = None
    copy: str = ""
    tenant: Any | None = None


@dataclass(frozen=True)
class Move:
    """Move the files of these fields from ``source`` to where each field stores, or to ``target``.

    Without a source, copy from where each field stores for another tenant, ``copied``.
    """

    source: Storage | None
    fields: tuple[FileField, ...]
    target: BucketStrategy | None = None
    copied: Any = None

    def origin(self, field: FileField) -> Origin:
        """Return the old place of a field's files for the active tenant."""
        if self.source is not None:
            return origin_of(_backend(self.source, field))
        storage = field.storage
        return origin_of(
            _without_fallback(
                storage.on_behalf_of(self.copied) if isinstance(storage, MinioRouter) else storage
            )
        )

    def target_of(self, field: FileField) -> MinioBackend:
        """Return the new place of a field's files for the active tenant."""
        storage: Storage = field.storage
        if self.target is not None and getattr(storage, "strategy", None) != self.target:
            storage = MinioRouter(strategy=self.target)
        return cast("MinioBackend", _backend(storage, field))

    def new_place(self, field: FileField) -> Origin | None:
        """Return the final place of a field's files, moved or not; None if there is none."""
        try:
            moved = field in self.fields
            return origin_of(self.target_of(field) if moved else _backend(field.storage, field))
        except RoutingError:
            return None


def _backend(storage: Storage, field: FileField) -> Storage:
    return _without_fallback(storage.bind(field) if isinstance(storage, MinioRouter) else storage)


# Reading the options


def load_source(text: str) -> Storage:
    """Return the storage for the value of ``--from``.

    It is an alias of ``STORAGES``, else ``media`` for ``MEDIA_ROOT``, else the dotted path of a strategy or a
    bucket; ``bucket:media`` is always a bucket.
    """
    if text in settings.STORAGES:
        return storages[text]
    if text == "media":
        return _media()
    if text.startswith(_BUCKET) or not bucket_name_problem(text):  # a class path has capital letters
        bucket = text.removeprefix(_BUCKET)
        # It need not be declared, since nobody creates links to it.
        return MinioBackend(bucket, public=bucket in Config().declared[1])
    return MinioRouter(strategy=load_strategy(text))


def _media() -> Storage:
    if not settings.MEDIA_ROOT:  # Django would use the current directory: the project itself
        raise ConfigurationError("--from is 'media', but MEDIA_ROOT is not set. Set it, or correct --from.")
    return FileSystemStorage()


def refuse_missing_source(source: Storage) -> None:
    """Raise ``ConfigurationError`` if a shared old place does not exist, probably because of a typo."""
    if type(source) is FileSystemStorage:
        missing = not Path(source.location).is_dir()
    elif isinstance(source, MinioRouter) and not _has_one_bucket(source.strategy):
        return
    else:
        place = _without_fallback(source)
        missing = isinstance(place, MinioBackend) and not BucketFiles(place).is_there
    if missing:
        raise ConfigurationError(
            f"There is nothing at {origin_of(_without_fallback(source))}. Correct --from."
        )


def _has_one_bucket(strategy: BucketStrategy | None) -> bool:
    return strategy is None or (not strategy.varies_by_tenant and len(set(strategy.buckets_for([]))) == 1)


def _without_fallback(storage: Storage) -> Storage:
    return storage.without_fallback().backend if isinstance(storage, MinioRouter) else storage


def make_move(
    source: str | None, to: str | None = None, labels: Collection[str] = (), *, copied: Any = None
) -> Move:
    """Return the move for these options. ``ConfigurationError`` if it is not possible.

    Without a source, files are copied from another tenant, ``copied``.
    """
    target = None if to is None else load_strategy(to)
    origin = None if source is None else load_source(source)
    if origin is not None:
        refuse_missing_source(origin)
    return Move(origin, fields_to_move(target, labels), target, copied)


def fields_to_move(target: BucketStrategy | None, labels: Collection[str]) -> tuple[FileField, ...]:
    """Return the fields of the models with these labels, else all with a router, or with ``target``."""
    if labels:
        # Each once: moving a field twice would count its files as verified for two rows.
        return tuple(dict.fromkeys(field for label in labels for field in _fields_of(label, target)))
    routed = [field for field in all_file_fields() if isinstance(field.storage, MinioRouter)]
    if target is not None:
        routed = [field for field in routed if getattr(field.storage, "strategy", None) == target]
    if not routed:
        by = "a MinioRouter" if target is None else f"{target!r}"
        raise ConfigurationError(f"No file field uses {by}. Name the models with --model.")
    return tuple(routed)


def _fields_of(label: str, target: BucketStrategy | None) -> list[FileField]:
    try:
        found = file_fields(apps.get_model(label))
    except (LookupError, ValueError) as error:
        raise ConfigurationError(
            f"There is no model {label!r}. Correct --model: app_label.ModelName."
        ) from error
    if target is None:
        found = [field for field in found if isinstance(field.storage, MinioBackend | MinioRouter)]
    if not found:
        raise ConfigurationError(
            f"The model {label!r} has no file field of its own that stores in a bucket. Name another model, "
            "or a strategy with --to."
        )
    return found


# Moving


@dataclass(frozen=True)
class _ColumnMove:
    """The rows of one field and tenant, and the old and new place of their files."""

    tenant: Any | None
    column: Column
    origin: Origin
    target: BucketFiles
    dry_run: bool

    def run(self, threads: ThreadPoolExecutor) -> Iterator[FileOutcome]:
        if not self.target.is_there:
            command = creating_command(None if self.tenant is None else get_tenancy().key(self.tenant))
            cause = f"the bucket {self.target.bucket!r} does not exist. Create it with '{command}'"
            yield from _column_outcome(self.column, MoveState.FAILED, cause)
            return
        for page in self.column.pages():
            # Each name once: several rows may share a file.
            rows = Counter(name for _, name in page)
            for outcome, count in zip(threads.map(self._move, rows), rows.values(), strict=True):
                yield from repeat(outcome, count)

    def _move(self, name: str) -> FileOutcome:
        try:
            # A new thread's connection is on public, and a storage may depend on the tenant.
            with get_tenancy().context(self.tenant):
                return self._move_file(name)
        except Exception as error:
            if isinstance(error, ServerError) and error.status is None:
                raise
            return self._outcome(name, MoveState.FAILED, str(error) or type(error).__name__)

    def _outcome(self, name: str, state: MoveState, cause: str = "") -> FileOutcome:
        return FileOutcome(state, str(self.column), name, cause, tenant=self.tenant)

    def _move_file(self, name: str) -> FileOutcome:
        old, new = self.origin.find(name), self.target.find(name)
        if new is not None and is_deleted(new.headers):
            return self._outcome(name, MoveState.MISSING, "it was deleted before it was moved")
        claimed = new is not None and is_claim(new.headers)
        if claimed:
            new = None
        if old is None or not is_file(old.headers):
            if claimed and not self.dry_run:
                self.target.drop_claim(name)  # the source was deleted before the claim was seen
            if new is None:
                return self._outcome(name, MoveState.MISSING, f"it is not in {self.origin}")
            return self._outcome(name, MoveState.THERE)
        if new is not None:
            return self._compare(name, MoveState.THERE, old, new)
        if self.dry_run:
            return self._outcome(name, MoveState.COPIED)
        new = self._receive(name, old, claimed)
        if new is not None and is_deleted(new.headers):
            return self._outcome(name, MoveState.MISSING, "it was deleted while it was moved")
        outcome = self._compare(name, MoveState.COPIED, old, new)
        if outcome.state is MoveState.COPIED:
            self.target.send_moved(name, old)
        return outcome

    def _compare(self, name: str, state: MoveState, old: ObjectInfo, new: ObjectInfo | None) -> FileOutcome:
        if new is None or not is_same(name, old, self.origin, new, self.target):
            cause = f"{self.target} has another content under this name"
            return self._outcome(name, MoveState.DIFFERING, cause)
        outcome = self._outcome(name, state)
        if state is MoveState.THERE and is_one(name, old, self.origin, new, self.target):
            return outcome  # not verified: there is only one file, which must be kept
        return outcome._replace(
            source=source_of(self.origin), verified=old.version, target=self.target, copy=new.version
        )

    def _receive(self, name: str, old: ObjectInfo, claimed: bool) -> ObjectInfo | None:
        with suppress(FileExistsError):  # stored meanwhile: compare it anyway
            self.target.receive(name, old, self.origin, claimed)
        new = self.target.find(name)
        if new is not None and is_claim(new.headers) and not claimed:  # another run moves the same file
            return self._receive(name, old, claimed=True)
        return new


def count_files(move: Move, tenant: Any | None) -> int:
    """Return the number of rows of this tenant that may refer to a file."""
    with get_tenancy().context(tenant):
        columns = _columns(move, tenant)
    return sum(column.count() for column in columns)


def move_files(
    move: Move, tenant: Any | None, *, jobs: int = 8, dry_run: bool = False
) -> Iterator[FileOutcome]:
    """Copy the files that this tenant's rows refer to, ``jobs`` at a time, and yield the outcome of each.

    None means public. May be repeated, and run for several tenants at once. Raise ``ServerError`` if a server
    cannot be reached; the failure of a single file or column is an outcome.
    """
    with get_tenancy().context(tenant):
        moves = {column: _column_move(move, tenant, column, dry_run) for column in _columns(move, tenant)}
    for column, cause in moves.items():
        if isinstance(cause, str):
            yield from _column_outcome(column, MoveState.SKIPPED, cause)
    with ThreadPoolExecutor(jobs) as threads:
        for column_move in moves.values():
            if isinstance(column_move, _ColumnMove):
                try:
                    yield from column_move.run(threads)
                except DatabaseError as error:  # for example, a tenant's schema lacks the table
                    yield FileOutcome(MoveState.FAILED, str(column_move.column), "", str(error).strip())


def _columns(move: Move, tenant: Any | None) -> list[Column]:
    return [column for field in move.fields for column in own_columns(field, tenant)]


def _column_move(move: Move, tenant: Any | None, column: Column, dry_run: bool) -> _ColumnMove | str | None:
    """Return how to move the files of a column, or why that is impossible; None if they are in place."""
    try:
        target, origin = move.target_of(column.field), move.origin(column.field)
    except RoutingError as error:
        return str(error)
    storage: Any = column.field.storage
    doubt = storage_doubt(storage) if isinstance(storage, MinioBackend | MinioRouter) else ""
    if doubt:
        return doubt
    if isinstance(origin, BucketFiles) and origin.is_in(target):
        return None
    return _ColumnMove(tenant, column, origin, BucketFiles(target), dry_run)


def _column_outcome(column: Column, state: MoveState, cause: str) -> list[FileOutcome]:
    """Return one outcome for all rows of a column, if there are any."""
    return [FileOutcome(state, str(column), "", cause)] if any(column.pages()) else []
