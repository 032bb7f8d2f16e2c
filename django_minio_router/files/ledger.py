"""Which files of an old place no row needs any more, after a move."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import RoutingError
from ..inventory.columns import Column, abandoned_columns, all_file_fields, any_columns, own_columns
from ..s3.listing import pages
from ..tenancy import get_tenancy
from .move import FileOutcome, Move
from .transfer import Origin, source_of

if TYPE_CHECKING:
    from django.db.models import FileField

_PAGE = 500  # names at a time


class NotDeleted(NamedTuple):
    """A file that is still in the source, and why."""

    name: str
    cause: str


class Ledger:
    """The files of the source: which were verified in the new place, and how many rows name each.

    On disk, as there may be millions. A file may be deleted from the source only if it was verified for as
    many rows as name it, of any tenant and any field: else a row that was not moved would lose it.
    """

    def __init__(self) -> None:
        self._origins: dict[tuple[str, str], tuple[Origin, Any | None]] = {}
        self._tenants: dict[str, Any | None] = {}
        # Where the files of a field are without a tenant: in a place for all.
        self._shared: set[tuple[FileField, tuple[str, str]]] = set()
        self._db = sqlite3.connect("")  # a temporary file that only this connection can see
        self._db.execute(
            "CREATE TABLE file (place TEXT, name TEXT, folder TEXT, version TEXT, tenant TEXT, "
            "verified INTEGER DEFAULT 0, named INTEGER DEFAULT 0, PRIMARY KEY (place, name)) WITHOUT ROWID"
        )

    def record(self, outcome: FileOutcome) -> None:
        """Record that a file was verified."""
        if outcome.verified:
            place, folder = outcome.source
            tenant = get_tenancy().key_of(outcome.tenant) or ""
            self._tenants[tenant] = outcome.tenant
            self._db.execute(
                "INSERT INTO file (place, name, folder, version, tenant, verified) VALUES (?, ?, ?, ?, ?, 1) "
                "ON CONFLICT DO UPDATE SET verified = verified + 1, version = excluded.version, "
                "tenant = excluded.tenant",
                (place, folder + outcome.name, folder, outcome.verified, tenant),
            )

    def read_rows(self, move: Move, tenants: Iterable[Any | None]) -> None:
        """Record which files the rows of these tenants name, in all fields of all models.

        ``tenants`` must be everybody, public (None) first: what is left out counts as nobody's. Rows
        that deleted tenants left are read in any case.
        """
        for tenant in tenants:
            with get_tenancy().context(tenant):
                for field in all_file_fields():
                    self._read_field(move, field, tenant)
        for column in abandoned_columns():
            # A source may have no place for it.
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
        # Where a source is for all, a row counts whoever owns it, and also if nobody does.
        columns = any_columns if (field, source) in self._shared else own_columns
        self._count(origin, columns(field, tenant))
        new = move.new_place(field)
        if new is not None and new.key == place and source_of(new) != source:
            self._count(new, own_columns(field, tenant))  # such as a folder of the same bucket

    def _count(self, origin: Origin, columns: Iterable[Column]) -> None:
        place, folder = source_of(origin)
        for column in columns:
            for page in column.pages():
                self._db.executemany(
                    "INSERT INTO file (place, name, folder, named) VALUES (?, ?, ?, 1) "
                    "ON CONFLICT DO UPDATE SET named = named + 1",
                    [(place, origin.object_name(name), folder) for _, name in page],
                )

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
        """Return how many files may be deleted, and how many verified ones other rows need."""
        query = "SELECT count(*) FILTER (WHERE verified >= named), count(*) FROM file WHERE verified > 0"
        ready, verified = self._db.execute(query).fetchone()
        return ready, verified - ready

    def delete_from_source(self, *, jobs: int = 8) -> Iterator[NotDeleted | None]:
        """Delete what may be deleted, and yield None for each file, or why it is still there."""
        query = (
            "SELECT place, folder, name, version, tenant FROM file WHERE verified > 0 AND verified >= named"
        )
        with ThreadPoolExecutor(jobs) as threads:
            for page in pages(self._db.execute(query), _PAGE):
                yield from threads.map(self._delete, page)

    def _delete(self, file: tuple[str, str, str, str, str]) -> NotDeleted | None:
        place, folder, object_name, version, tenant = file
        origin, _ = self._origins[place, folder]
        name = object_name.removeprefix(folder)
        try:
            # As the one it was verified for: a storage of another package may have one for each.
            with get_tenancy().context(self._tenants[tenant]):
                found = origin.look(name)
                if found is not None and found.version != version:
                    return NotDeleted(name, "it was stored anew after it was copied")
                origin.remove(name)
        except Exception as error:
            return NotDeleted(name, str(error) or type(error).__name__)
        return None


def _next_page(names: Iterator[str], tenant: Any | None) -> list[str]:
    with get_tenancy().context(tenant):
        return list(islice(names, _PAGE))
