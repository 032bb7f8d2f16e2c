"""Where are a tenant's files, and could anybody else's be there too?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from ..exceptions import BucketTaken, ModelRequired, TenantRequired
from ..settings.config import Server
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy
from .claims import refuse_taken
from .sources import Source, sources_in_use


@dataclass(frozen=True)
class Place:
    """A bucket of a server, or a folder in one such as ``"acme/"``.

    ``is_listed`` are buckets that a strategy names and does not store in now. ``where`` says what uses it.
    """

    server: Server
    bucket: str
    prefix: str = ""
    is_listed: bool = field(default=False, compare=False)
    where: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def address(self) -> str:
        """The place with its server, to tell it from all others in text."""
        return f"{self.server.endpoint}/{self}"

    def may_hold_files_of(self, other: Place) -> bool:
        """Tell whether what is stored in the other place may be here.

        Servers are not told apart, since one may be known under two names.
        """
        if self.bucket != other.bucket:
            return False
        # A bucket that is listed as a whole, and stored in by folders, holds nothing beside the folders.
        outer = not other.is_listed and self.prefix.startswith(other.prefix)
        return outer or other.prefix.startswith(self.prefix)


def places_of(source: Source) -> list[Place]:
    """Return where the files of a strategy go under the active tenant. ``TenantRequired`` if it needs one."""
    return _places(source, _stored(source), _listed(source))


def _places_without_tenant(source: Source) -> list[Place]:
    with get_tenancy().context(None):
        return _places(source, _if_any(_stored, source), _if_any(_listed, source))


def _places(source: Source, stored: set[Location], listed: set[Location]) -> list[Place]:
    whole = {Location(location.bucket, location.server) for location in stored}
    return [
        Place(
            source.config.on(location.server).internal,
            location.bucket,
            location.prefix,
            is_listed=location not in stored,
            where=source.where,
        )
        for location in sorted(stored | (listed - whole))
    ]


def _stored(source: Source) -> set[Location]:
    found = set()
    for model in [*source.models, None]:
        with suppress(ModelRequired):
            found.add(Location.of(source.strategy.bucket_for(model)))
    return found


def _listed(source: Source) -> set[Location]:
    return set(map(Location.of, source.strategy.buckets_for(source.models)))


def _if_any(find: Callable[[Source], set[Location]], source: Source) -> set[Location]:
    try:
        return find(source)
    except TenantRequired:
        return set()


@dataclass
class Map:
    """The places of everybody: of public, and of each tenant as it is asked for."""

    sources: list[Source] = field(default_factory=sources_in_use)

    def __post_init__(self) -> None:
        self._shared = [_places_without_tenant(source) for source in self.sources]

    def of_public(self) -> list[Place]:
        """Return the places that are there without a tenant."""
        return list(dict.fromkeys(place for places in self._shared for place in places))

    def of_tenant(self, tenant: Any, *, with_taken: bool = False) -> list[Place]:
        """Return the places that are this tenant's and not public's; a row, or a schema name.

        Buckets that routers refuse to the tenant, as they are for other files, only ``with_taken``. Raise a
        ``RoutingError`` where a strategy cannot say.
        """
        found: dict[Place, None] = {}
        with _acting_for(tenant):
            for source, shared in zip(self.sources, self._shared, strict=True):
                if source.strategy.varies_by_tenant:
                    own = [place for place in places_of(source) if place not in shared]
                    if with_taken or not _is_taken(source.strategy, own):
                        found.update(dict.fromkeys(own))
        return list(found)

    def others(self, tenant: Any) -> Iterator[tuple[str, Place]]:
        """Yield the places of public and of all other tenants, with whose they are. One row at a time."""
        for place in chain.from_iterable(self._shared):  # the same place may be listed and stored in
            yield "", place
        for row in get_tenancy().tenants():
            if not _is_same(row, tenant):
                for place in self.of_tenant(row):
                    yield str(row.schema_name), place


def _is_taken(strategy: BucketStrategy, places: list[Place]) -> bool:
    try:
        for place in places:
            refuse_taken(strategy, place.bucket)
    except BucketTaken:
        return True
    return False


def _acting_for(tenant: Any) -> AbstractContextManager[Any]:
    return get_tenancy().context(tenant)


def _is_same(row: Any, tenant: Any) -> bool:
    """Tell whether the row is the tenant's own: another one of the same name is somebody else."""
    return bool(row.schema_name == tenant if isinstance(tenant, str) else row.pk == tenant.pk)
