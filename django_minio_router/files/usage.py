"""Storage usage: objects and bytes by tenant, place and model, read from the server page by page."""

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
from ..s3.listing import Version, current_versions, pages
from ..tenancy import get_tenancy

_PAGE = 500  # names in one query


class Usage(NamedTuple):
    """The usage of one model in one place, ``size`` in bytes.

    ``tenant`` is a key, or empty for what tenants share. ``model`` is a label; empty if no row has the names
    or the model is unknown; or ``"(incoming)"`` for direct uploads that no form has taken.
    """

    tenant: str
    place: Place
    model: str
    objects: int
    size: int

    def as_row(self) -> dict[str, str | int]:
        """Return the columns that commands print."""
        return {
            "tenant": self.tenant,
            "bucket": self.place.bucket,
            "folder": self.place.prefix,
            "model": self.model,
            "objects": self.objects,
            "bytes": self.size,
        }


class UsageReport:
    """Measure usage. Make one report per run: it knows the places of all tenants."""

    def __init__(self) -> None:
        self._places = TenantPlaces()
        self._uses = uses()

    def places(self, tenant: Any | None) -> list[Place]:
        """Return the places that only this tenant has; for None, the shared ones."""
        if tenant is not None:
            return self._places.of(tenant)
        return [place for place in self._places.shared() if not place.is_listed]

    def measure(self, tenant: Any | None, place: Place) -> Iterator[Usage]:
        """Yield the usage of each model in the place. ``ServerError`` if the server fails.

        Old versions do not count. A missing bucket is empty.
        """
        with get_tenancy().context(tenant):
            labels, columns = self._models(place)
        counts: dict[str, tuple[int, int]] = {}
        for page in pages(_objects(place), _PAGE):
            _add(counts, "(incoming)", [version for version in page if is_incoming(version.name)])
            claimed = [version for version in page if not is_incoming(version.name)]
            if len(labels) == 1:  # no need to query rows
                _add(counts, min(labels), claimed)
            else:
                _add_by_rows(counts, columns, claimed)
        name = "" if tenant is None else get_tenancy().key(tenant)
        for label, (objects, size) in sorted(counts.items()) or [("", (0, 0))]:
            yield Usage(name, place, label, objects, size)

    def _models(self, place: Place) -> tuple[set[str], list[Column]]:
        """Return the labels of the models that store in the place, and the columns with the names."""
        labels = {
            use.model._meta.label
            for use in self._uses
            if use.model is not None and use.backend is not None and Place.of(use.backend) == place
        }
        columns = [route.column for route in routes_now(self._uses) if route.place == place]
        return labels, [column for column in columns if get_tenancy().can_read(column.tenant)]


def _add_by_rows(counts: dict[str, tuple[int, int]], columns: list[Column], page: Iterable[Version]) -> None:
    remaining = {version.name: version for version in page}
    for column in columns:
        referenced = [remaining.pop(name) for name in column.referenced(remaining)]
        _add(counts, column.field.model._meta.label, referenced)
    _add(counts, "", remaining.values())


def _add(counts: dict[str, tuple[int, int]], label: str, found: Iterable[Version]) -> None:
    objects, size = counts.get(label, (0, 0))
    for version in found:
        objects, size = objects + 1, size + version.size
    if objects:
        counts[label] = objects, size


def places_and_bytes(tenant: Any) -> tuple[list[Place], int]:
    """Return the tenant's own places, and their size in bytes, without querying rows.

    Objects below ``incoming/`` do not count: each exists a second time while a form takes it.
    """
    places = TenantPlaces().of(tenant)
    found = (version for place in places for version in _objects(place))
    return places, sum(version.size for version in found if not is_incoming(version.name))


def _objects(place: Place) -> Iterator[Version]:
    """Yield the objects of the place; none if the bucket is missing."""
    try:
        yield from current_versions(get_client(place.server), place.on_server, place.prefix)
    except BucketNotFound:
        return
