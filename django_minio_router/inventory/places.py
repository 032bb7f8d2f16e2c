"""Where a tenant's files are, and whether somebody else's could be there too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..exceptions import BucketTaken, ModelRequired, TenantRequired
from ..settings.server import Server
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy
from .claims import refuse_taken
from .sources import BucketSource, sources_in_use

if TYPE_CHECKING:
    from ..storage.backend import MinioBackend


@dataclass(frozen=True, eq=False)
class Place:
    """A bucket of a server, or a folder in one, such as ``"acme/"``, identified by its address.

    ``is_listed`` means that a strategy lists the bucket but does not store in it now. ``where`` says what
    uses it.
    """

    server: Server
    bucket: str
    prefix: str = ""
    is_listed: bool = False
    where: str = ""

    @classmethod
    def of(cls, backend: MinioBackend) -> Place:
        """Return the place of a storage's files."""
        return cls(backend.config.internal, backend.bucket, backend.prefix)

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def on_server(self) -> str:
        """The bucket's name on its server."""
        return self.server.bucket_name(self.bucket)

    @property
    def address(self) -> str:
        """The place with its server, as text."""
        return f"{self.server.endpoint}/{self}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def contains(self, other: Place) -> bool:
        """Return whether the other place is this one or a folder in it.

        Servers are not compared, since one may have two names.
        """
        return self.bucket == other.bucket and other.prefix.startswith(self.prefix)

    def overlaps(self, other: Place) -> bool:
        """Return whether an object may be in both places."""
        return self.contains(other) or other.contains(self)


def places_of(source: BucketSource) -> list[Place]:
    """Return the places of a strategy's files for the active tenant. ``TenantRequired`` if it needs one."""
    return _places(source, _stored(source), _listed(source))


def _places_without_tenant(source: BucketSource) -> list[Place]:
    with get_tenancy().context(None):
        return _places(source, _if_any(_stored, source), _if_any(_listed, source))


def _places(source: BucketSource, stored: set[Location], listed: set[Location]) -> list[Place]:
    whole_buckets = {location._replace(prefix="") for location in stored}
    return [
        Place(
            source.config.on(location.server, location.options).internal,
            location.bucket,
            location.folder,
            is_listed=location not in stored,
            where=source.where,
        )
        for location in sorted(stored | (listed - whole_buckets), key=lambda location: location[:3])
    ]


def _stored(source: BucketSource) -> set[Location]:
    found = set()
    for model in (*source.models, None):
        with suppress(ModelRequired):
            found.add(Location.of(source.strategy.bucket_for(model)))
    return found


def _listed(source: BucketSource) -> set[Location]:
    return set(map(Location.of, source.strategy.buckets_for(source.models)))


def _if_any(find: Callable[[BucketSource], set[Location]], source: BucketSource) -> set[Location]:
    try:
        return find(source)
    except TenantRequired:
        return set()


class TenantPlaces:
    """The places of each tenant, and those that exist without a tenant.

    Make one for each run: it finds the strategies once, and each tenant's places on demand.
    """

    def __init__(self) -> None:
        self._sources = sources_in_use()
        self._shared = [_places_without_tenant(source) for source in self._sources]

    def shared(self) -> list[Place]:
        """Return the places that exist without a tenant."""
        return list(dict.fromkeys(place for places in self._shared for place in places))

    def of(self, tenant: Any, *, with_taken: bool = False) -> list[Place]:
        """Return the places that only this tenant (a row or a key) has.

        Buckets that routers refuse to the tenant, because they hold other files, are included ``with_taken``
        only. Raise ``RoutingError`` if a strategy fails.
        """
        found: dict[Place, None] = {}
        with get_tenancy().context(tenant):
            for source, shared in zip(self._sources, self._shared, strict=True):
                if source.strategy.varies_by_tenant:
                    own = [place for place in places_of(source) if place not in shared]
                    if with_taken or not _is_taken(source.strategy, own):
                        found.update(dict.fromkeys(own))
        return list(found)

    def of_others(self, tenant: Any) -> Iterator[tuple[str, Place]]:
        """Yield the shared places with an empty key, then those of all other tenants with their keys.

        It reads one row at a time.
        """
        for places in self._shared:  # a place may be both listed and stored in
            yield from (("", place) for place in places)
        for row in get_tenancy().tenants():
            if not _is_same(row, tenant):
                key = get_tenancy().key(row)
                yield from ((key, place) for place in self.of(row))


def _is_taken(strategy: BucketStrategy, places: list[Place]) -> bool:
    try:
        for place in places:
            refuse_taken(strategy, place.bucket)
    except BucketTaken:
        return True
    return False


def _is_same(row: Any, tenant: Any) -> bool:
    """Return whether the row is that tenant's. Another row with the same name is another tenant."""
    if isinstance(tenant, str):
        return get_tenancy().key(row) == tenant
    return bool(row.pk == tenant.pk)
