"""Delete what a tenant leaves behind on the server: every version, unfinished uploads, and its buckets."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..buckets.marks import MARK_TAG, is_marked
from ..exceptions import BucketNotFound, RoutingError
from ..inventory.places import Place, TenantPlaces
from ..s3.client import get_client
from ..s3.emptying import empty_bucket
from ..s3.listing import uploads, versions
from ..settings.config import Config
from ..settings.testing import refuse_in_tests
from ..tenancy import get_tenancy

logger = logging.getLogger(__name__)


class Contents(NamedTuple):
    """What a place holds; ``objects`` are versions of objects, ``size`` is theirs in bytes."""

    objects: int = 0
    markers: int = 0
    uploads: int = 0
    size: int = 0
    exists: bool = True

    def __add__(self, other: Contents) -> Contents:  # type: ignore[override]
        objects, markers, uploads, size = map(operator.add, self[:4], other[:4])
        return Contents(objects, markers, uploads, size)


@dataclass
class Purge:
    """Where a tenant's files are, and what speaks against deleting them there."""

    places: list[Place]
    refused: dict[Place, str] = field(default_factory=dict)


def make_purge(tenant: Any) -> Purge:
    """Find out what is this tenant's alone: a row, or the key of one whose row is gone.

    Asks every strategy about every other tenant, a row at a time; sends no request to the server. Raise a
    ``RoutingError`` if a strategy cannot say.
    """
    everybody = TenantPlaces()
    purge = Purge(everybody.of(tenant, with_taken=True))
    for key, other in everybody.of_others(tenant) if purge.places else ():
        for place in purge.places:
            if _may_hold_files_of(other, place):
                whom = f"stores there for the tenant {key!r}" if key else "uses it for all tenants"
                purge.refused.setdefault(place, f"{other.where} {whom}")
    return purge


def _may_hold_files_of(other: Place, place: Place) -> bool:
    """Tell whether what is stored in the other place may be in this one."""
    # A bucket that is listed as a whole, and stored in by folders, holds nothing beside the folders.
    return place.contains(other) if other.is_listed else place.overlaps(other)


def count_contents(place: Place) -> Contents:
    """Count what the place holds; memory does not grow with it."""
    client = get_client(place.server)
    objects = markers = size = unfinished = 0
    try:
        for version in versions(client, place.on_server, place.prefix):
            markers += version.is_marker
            objects += not version.is_marker
            size += version.size
        unfinished = sum(1 for _ in uploads(client, place.on_server, place.prefix))
    except BucketNotFound:
        return Contents(exists=False)
    return Contents(objects, markers, unfinished, size)


def empty(place: Place, report: Callable[[int], None] = lambda count: None) -> None:
    """Delete all that is there, and a bucket that is the tenant's as a whole; what is gone is not an error.

    ``report`` is told how many versions were deleted since it was last told. ``ServerError`` if the server
    keeps something. May be repeated.
    """
    refuse_in_tests(place.server, place.address)
    empty_bucket(get_client(place.server), place.on_server, place.prefix, report)


def purge(
    tenant: Any,
    *,
    only: Collection[str] | None = None,
    report: Callable[[int], None] = lambda count: None,
) -> list[Place]:
    """Delete all that is this tenant's alone, and return where; may be repeated, and resumes by itself.

    With ``only`` no more than the places with these addresses. ``RoutingError`` if somebody else may store
    in one of the places, one of the addresses is not this tenant's, or a bucket has no mark of ours: then
    nothing is deleted.
    """
    found = make_purge(tenant)
    refuse_shared(found)
    places = found.places if only is None else _with_addresses(found.places, only)
    refuse_unmarked(places)
    for place in places:
        empty(place, report)
    return places


def _with_addresses(places: list[Place], addresses: Collection[str]) -> list[Place]:
    strange = set(addresses) - {place.address for place in places}
    if strange:
        raise RoutingError(
            f"Nothing is deleted, as {', '.join(sorted(strange))} is not the tenant's now. The tenant or a "
            "setting was changed, or this process has other settings. Look at it, and run 'manage.py "
            "purge_tenant' again."
        )
    return [place for place in places if place.address in addresses]


def refuse_shared(found: Purge) -> None:
    """Raise ``RoutingError`` if anybody else may store in one of the places."""
    if found.refused:
        reasons = "; ".join(f"{place}: {reason}" for place, reason in found.refused.items())
        raise RoutingError(f"Nothing is deleted, as it is not the tenant's alone. {reasons}.")


def refuse_unmarked(places: Collection[Place]) -> None:
    """Raise ``RoutingError`` if one of the buckets was neither created by this package nor adopted.

    A name that a strategy makes of a schema name may well be that of another application's bucket.
    """
    strange = [place for place in places if not place.prefix and not _is_marked_or_gone(place)]
    if strange:
        raise RoutingError(
            f"Nothing is deleted, as the {_named(strange)} not created by this package for a tenant. If it "
            "holds the tenant's files, run 'manage.py initialize_buckets --tenant SCHEMA --adopt' first, or "
            f"give it the tag {MARK_TAG}=adopted if the tenant's row is gone."
        )


def _named(places: list[Place]) -> str:
    names = ", ".join(f"{place.bucket!r} on {place.server.endpoint}" for place in places)
    return f"bucket {names} was" if len(places) == 1 else f"buckets {names} were"


def _is_marked_or_gone(place: Place) -> bool:
    try:
        return is_marked(get_client(place.server), place.on_server)
    except BucketNotFound:
        return True


# When a row is deleted


def when_deleted(tenant: Any) -> None:
    """Purge a tenant whose row is gone, if a setting asks for it; log what fails."""
    key = get_tenancy().key(tenant)
    try:
        if not Config().get("MINIO_PURGE_DELETED_TENANTS"):
            return
        places = purge(tenant)
    except Exception:
        logger.exception(
            "The files of the tenant %r were not all deleted. Repeat it with 'manage.py purge_tenant %s'.",
            key,
            key,
        )
    else:
        logger.info("Purged the tenant %r: %s.", key, ", ".join(map(str, places)) or "nothing")
