"""How much is stored: objects and bytes by tenant, place and model, read from the server a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..exceptions import BucketNotFound
from ..inventory.columns import Column
from ..inventory.places import Place, TenantPlaces
from ..inventory.routes import routes_now
from ..inventory.uses import uses
from ..naming import is_incoming
from ..s3.client import get_client
from ..s3.listing import Version, current, pages
from ..tenancy import get_tenancy

_PAGE = 500  # names in one query


class Usage(NamedTuple):
    """What one model stores in one place, ``size`` in bytes.

    ``tenant`` is a key, or empty for what is not one tenant's alone. ``model`` is a label, or empty if no row
    holds the names or it cannot be told whose they are, or ``"(incoming)"`` for what browsers stored and no
    form has taken.
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


class UsageReport:
    """Measures what is stored. Make one for a run: it knows where everybody's files are."""

    def __init__(self) -> None:
        self._places = TenantPlaces()
        self._uses = uses()

    def places(self, tenant: Any | None) -> list[Place]:
        """Return where this tenant's own files are; for None, the files that are not one tenant's alone."""
        if tenant is not None:
            return self._places.of(tenant)
        return [place for place in self._places.shared() if not place.is_listed]

    def measure(self, tenant: Any | None, place: Place) -> Iterator[Usage]:
        """Yield what each model stores in the place. ``ServerError`` if the server cannot say.

        Objects are counted as they are now, without old versions. A bucket that does not exist is empty.
        """
        with get_tenancy().context(tenant):
            labels, columns = self._models(place)
        counts: dict[str, tuple[int, int]] = {}
        for page in pages(_objects(place), _PAGE):
            _add(counts, "(incoming)", [version for version in page if is_incoming(version.name)])
            taken = [version for version in page if not is_incoming(version.name)]
            if len(labels) == 1:  # so there is no need to ask for rows
                _add(counts, min(labels), taken)
            else:
                _add_by_rows(counts, columns, taken)
        name = "" if tenant is None else get_tenancy().key(tenant)
        for label, (objects, size) in sorted(counts.items()) or [("", (0, 0))]:
            yield Usage(name, place, label, objects, size)

    def _models(self, place: Place) -> tuple[set[str], list[Column]]:
        """Return who stores in the place: the labels of models, and the columns that hold the names."""
        labels = {
            use.model._meta.label
            for use in self._uses
            if use.model is not None and use.backend is not None and Place.of(use.backend) == place
        }
        columns = [route.column for route in routes_now(self._uses) if route.place == place]
        return labels, [column for column in columns if get_tenancy().can_read(column.tenant)]


def _add_by_rows(counts: dict[str, tuple[int, int]], columns: list[Column], page: Iterable[Version]) -> None:
    left = {version.name: version for version in page}
    for column in columns:
        held = [left.pop(name) for name in column.holding(left)]
        _add(counts, column.field.model._meta.label, held)
    _add(counts, "", left.values())


def _add(counts: dict[str, tuple[int, int]], label: str, found: Iterable[Version]) -> None:
    objects, size = counts.get(label, (0, 0))
    for version in found:
        objects, size = objects + 1, size + version.size
    if objects:
        counts[label] = objects, size


def places_and_bytes(tenant: Any) -> tuple[list[Place], int]:
    """Return where the tenant's own files are, and how many bytes they take, without asking for rows.

    What waits below ``incoming/`` is not counted: it is there a second time while a form takes it.
    """
    places = TenantPlaces().of(tenant)
    found = (version for place in places for version in _objects(place))
    return places, sum(version.size for version in found if not is_incoming(version.name))


def _objects(place: Place) -> Iterator[Version]:
    """Yield the objects there; a bucket that does not exist is empty."""
    try:
        yield from current(get_client(place.server), place.on_server, place.prefix)
    except BucketNotFound:
        return
