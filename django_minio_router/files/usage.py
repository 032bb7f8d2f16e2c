"""How much is stored: objects and bytes by tenant, place and model, read from the server a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from ..exceptions import BucketNotFound
from ..inventory.columns import Column
from ..inventory.places import Map, Place
from ..inventory.uses import Use, uses
from ..s3.client import get_client
from ..s3.listing import Version, current, pages
from ..tenancy import get_tenancy
from .orphans import backend_of, routes_now

_Where: TypeAlias = tuple[str, str, str]

_PAGE = 500  # names in one query


class Usage(NamedTuple):
    """What one model stores in one place, ``size`` in bytes.

    ``tenant`` is a schema name, or empty for what is not one tenant's alone. ``model`` is a label, or empty
    where no row holds the names or it cannot be told whose they are.
    """

    tenant: str
    place: Place
    model: str
    objects: int
    size: int

    def as_row(self) -> dict[str, str | int]:
        """Return it as the commands print it."""
        return {
            "tenant": self.tenant,
            "bucket": self.place.bucket,
            "folder": self.place.prefix,
            "model": self.model,
            "objects": self.objects,
            "bytes": self.size,
        }


class _Models(NamedTuple):
    """Who stores in a place: the labels of the models, and the columns that hold the names."""

    labels: set[str]
    columns: list[Column]

    def counts(self, found: Iterable[Version]) -> dict[str, tuple[int, int]]:
        """Return objects and bytes of each model. With one model alone there is no need to ask for rows."""
        if len(self.labels) == 1:
            return _added({}, next(iter(self.labels)), found)
        counts: dict[str, tuple[int, int]] = {}
        for page in pages(found, _PAGE):
            left = {version.name: version for version in page}
            for column in self.columns:
                held = [left.pop(name) for name in column.holding(left)]
                _added(counts, column.field.model._meta.label, held)
            _added(counts, "", left.values())
        return counts


def _added(
    counts: dict[str, tuple[int, int]], label: str, found: Iterable[Version]
) -> dict[str, tuple[int, int]]:
    objects, size = counts.get(label, (0, 0))
    for version in found:
        objects, size = objects + 1, size + version.size
    if objects:
        counts[label] = objects, size
    return counts


class Meter:
    """Measures what is stored. Make one for a run: it knows where everybody's files are."""

    def __init__(self) -> None:
        self._map = Map()
        self._uses = uses()

    def places(self, tenant: Any | None) -> list[Place]:
        """Return where this tenant's own files are; for None, the files that are not one tenant's alone."""
        if tenant is not None:
            return self._map.of_tenant(tenant)
        return [place for place in self._map.of_public() if not place.is_listed]

    def measure(self, tenant: Any | None, place: Place) -> Iterator[Usage]:
        """Yield what each model stores in the place. ``ServerError`` if the server cannot say.

        Objects are counted as they are now, without old versions. A bucket that does not exist is empty.
        """
        with get_tenancy().context(tenant):
            models = _models(self._uses, place)
        try:
            found = models.counts(current(get_client(place.server), place.bucket, place.prefix))
        except BucketNotFound:
            found = {}
        name = "" if tenant is None else str(tenant.schema_name)
        for label, (objects, size) in sorted(found.items()) or [("", (0, 0))]:
            yield Usage(name, place, label, objects, size)


def _models(found: list[Use], place: Place) -> _Models:
    where = (place.server.endpoint, place.bucket, place.prefix)
    labels = {use.model._meta.label for use in found if use.model is not None and _where(use) == where}
    columns = [route.column for route in routes_now(found) if tuple(route.place) == where]
    return _Models(labels, [column for column in columns if _is_readable(column)])


def _where(use: Use) -> _Where | None:
    backend = backend_of(use)
    return None if backend is None else (backend.config.internal.endpoint, backend.bucket, backend.prefix)


def _is_readable(column: Column) -> bool:
    schema = column.schema
    return schema is None or schema == get_tenancy().shared_key or get_tenancy().can_read(schema)


def places_and_bytes(tenant: Any) -> tuple[list[Place], int]:
    """Return where the tenant's own files are, and how many bytes they take, without asking for rows."""
    places = Map().of_tenant(tenant)
    return places, sum(version.size for place in places for version in _current(place))


def _current(place: Place) -> Iterator[Version]:
    try:
        yield from current(get_client(place.server), place.bucket, place.prefix)
    except BucketNotFound:
        return
