"""Find the files of an old place that no row needs after a move."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import RoutingError, ServerError
from ..inventory.columns import (
    Column,
    abandoned_columns,
    all_file_fields,
    any_columns,
    own_columns,
    possible_columns,
)
from ..s3.listing import pages
from ..storage.fallback import is_file
from ..tenancy import get_tenancy
from .move import FileOutcome, Move
from .transfer import BucketFiles, Origin, source_of

if TYPE_CHECKING:
    from django.db.models import FileField

_PAGE = 500  # names at a time


class NotDeleted(NamedTuple):
    """A file that was kept in the source, and why."""

    name: str
    cause: str


class Ledger:
    """Records which files of the source were verified in the new place, and how many rows refer to each.

    It is on disk, since there may be millions. A file may be deleted from the source only if it was verified
    for every row that refers to it, of any tenant and field: else a row that was not moved would lose it.
    """

    def __init__(self) -> None:
        self._origins: dict[tuple[str, str], tuple[Origin, Any | None]] = {}
        self._tenants: dict[str, Any | None] = {}
        self._targets: dict[str, BucketFiles] = {}
        # By place, the columns counted in it, each with its folder.
        self._columns: dict[str, dict[tuple[Column, str], None]] = {}
        # The fields and places that are shared by all tenants.
        self._shared: set[tuple[FileField, tuple[str, str]]] = set()
        self._db = sqlite3.connect("")  # a private temporary file
        self._db.execute(
            "CREATE TABLE file (place TEXT, name TEXT, folder TEXT, version TEXT, tenant TEXT, "
            "verified INTEGER DEFAULT 0, named INTEGER DEFAULT 0, PRIMARY KEY (place, name)) WITHOUT ROWID"
        )
        self._db.execute(
            "CREATE TABLE copy (place TEXT, name TEXT, target TEXT, version TEXT, "
            "PRIMARY KEY (place, name, target)) WITHOUT ROWID"
        )

    def record(self, outcome: FileOutcome) -> None:
        """Record a verified file."""
        if outcome.target is not None:
            place, folder = outcome.source
            target = "/".join(source_of(outcome.target))
            self._targets[target] = outcome.target
            self._db.execute(
                "INSERT OR REPLACE INTO copy VALUES (?, ?, ?, ?)",
                (place, folder + outcome.name, target, outcome.copy),
            )
            tenant = get_tenancy().key_of(outcome.tenant) or ""
            self._tenants[tenant] = outcome.tenant
            self._db.execute(
                "INSERT INTO file (place, name, folder, version, tenant, verified) VALUES (?, ?, ?, ?, ?, 1) "
                "ON CONFLICT DO UPDATE SET verified = verified + 1, version = excluded.version, "
                "tenant = excluded.tenant",
                (place, folder + outcome.name, folder, outcome.verified, tenant),
            )

    def read_rows(self, move: Move, tenants: Iterable[Any | None]) -> None:
        """Record the files that rows of these tenants refer to, in all fields of all models.

        ``tenants`` must be all tenants, public (None) first: files of omitted ones would count as
        unreferenced. Rows of deleted tenants are always read.
        """
        for tenant in tenants:
            with get_tenancy().context(tenant):
                for field in all_file_fields():
                    self._read_field(move, field, tenant)
        for column in abandoned_columns():
            # The source may have no place for it.
            with get_tenancy().context(column.tenant), suppress(RoutingError):
                self._count(move.origin(column.field), [column])

    def _read_field(self, move: Move, field: FileField, tenant: Any | None) -> None:
        try:
            origin = move.origin(field)
        except RoutingError:
            return  # the source has no place for it
        place, _ = source = source_of(origin)
        self._origins.setdefault(source, (origin, tenant))
        if tenant is None:
            self._shared.add((field, source))
        # In a shared source, every row counts, whoever owns it.
        columns = any_columns if (field, source) in self._shared else possible_columns
        self._count(origin, columns(field, tenant))
        new = move.new_place(field)
        if new is not None and new.key == place and source_of(new) != source:
            self._count(new, own_columns(field, tenant))  # for example, a folder of the same bucket

    def _count(self, origin: Origin, columns: Iterable[Column]) -> None:
        place, folder = source_of(origin)
        for column in columns:
            self._columns.setdefault(place, {})[column, folder] = None
            for page in column.pages():
                self._db.executemany(
                    "INSERT INTO file (place, name, folder, named) VALUES (?, ?, ?, 1) "
                    "ON CONFLICT DO UPDATE SET named = named + 1",
                    [(place, origin.object_name(name), folder) for _, name in page],
                )

    def orphans(self) -> Iterator[tuple[Origin, str]]:
        """Yield the objects of the source that no row refers to."""
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
        """Return the number of files that may be deleted, and of verified ones that other rows need."""
        query = "SELECT count(*) FILTER (WHERE verified >= named), count(*) FROM file WHERE verified > 0"
        ready, verified = self._db.execute(query).fetchone()
        return ready, verified - ready

    def delete_from_source(self, *, jobs: int = 8) -> Iterator[NotDeleted | None]:
        """Delete what may be deleted; yield None for each deleted file, or why it was kept.

        Files and rows may have changed since they were verified, also in other runs. So the rows are read
        again for each page, and each file is checked in both places.
        """
        query = (
            "SELECT place, folder, name, version, tenant, verified, (SELECT json_group_object(target, "
            "version) FROM copy WHERE copy.place = file.place AND copy.name = file.name) "
            "FROM file WHERE verified > 0 AND verified >= named ORDER BY place"
        )
        with ThreadPoolExecutor(jobs) as threads:
            for page in pages(map(_Verified._make, self._db.execute(query)), _PAGE):
                by_place = groupby(page, key=attrgetter("place"))
                named = {place: self._count_references(place, files) for place, files in by_place}
                for file in page:
                    if named[file.place][file.name] > file.verified:
                        yield NotDeleted(file.row_name, "a row that was not moved refers to it now")
                ready = [file for file in page if named[file.place][file.name] <= file.verified]
                yield from threads.map(self._delete, ready)

    def _count_references(self, place: str, files: Iterable[_Verified]) -> Counter[str]:
        """Return how many rows refer to each of these files now."""
        names, found = [file.name for file in files], Counter[str]()
        for column, folder in self._columns.get(place, ()):
            relative_names = [name.removeprefix(folder) for name in names if name.startswith(folder)]
            for page in column.pages(relative_names) if relative_names else ():
                found.update(folder + name for _, name in page)
        return found

    def _delete(self, file: _Verified) -> NotDeleted | None:
        origin, _ = self._origins[file.place, file.folder]
        name = file.row_name
        try:
            # For the same tenant: a storage of another package may depend on it.
            with get_tenancy().context(self._tenants[file.tenant]):
                for target, version in json.loads(file.copies).items():
                    other = self._targets[target].find(name)
                    if other is None or other.version != version or not is_file(other.headers):
                        return NotDeleted(name, f"{self._targets[target]} no longer has it")
                origin.remove(name, file.version)
        except Exception as error:
            if isinstance(error, ServerError) and error.status == 412:
                return NotDeleted(name, "it was replaced after it was copied")
            return NotDeleted(name, str(error) or type(error).__name__)
        return None


class _Verified(NamedTuple):
    """A file of the source that may be deleted; ``copies`` are the versions in each target, as JSON."""

    place: str
    folder: str
    name: str
    version: str
    tenant: str
    verified: int
    copies: str

    @property
    def row_name(self) -> str:
        """The name in rows."""
        return self.name.removeprefix(self.folder)


def _next_page(names: Iterator[str], tenant: Any | None) -> list[str]:
    with get_tenancy().context(tenant):
        return list(islice(names, _PAGE))
