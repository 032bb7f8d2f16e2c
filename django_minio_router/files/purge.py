"""Delete a tenant's files on the server: every version, unfinished uploads, and its buckets."""

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
    """The contents of a place; ``objects`` counts all versions, ``size`` is their size in bytes."""

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
    """The places of a tenant's files, and why some must not be purged."""

    places: list[Place]
    refused: dict[Place, str] = field(default_factory=dict)


def make_purge(tenant: Any) -> Purge:
    """Find the places that only this tenant has: a row, or the key of a deleted one.

    It asks every strategy about every other tenant, one row at a time, and sends no request. Raise
    ``RoutingError`` if a strategy fails.
    """
    all_places = TenantPlaces()
    purge = Purge(all_places.of(tenant, with_taken=True))
    for key, other in all_places.of_others(tenant) if purge.places else ():
        for place in purge.places:
            if _may_hold_files_of(other, place):
                reason = f"stores there for the tenant {key!r}" if key else "uses it for all tenants"
                purge.refused.setdefault(place, f"{other.where} {reason}")
    return purge


def _may_hold_files_of(other: Place, place: Place) -> bool:
    """Return whether files of the other place may be in this one."""
    # A listed bucket whose files are in folders holds nothing outside of the folders.
    return place.contains(other) if other.is_listed else place.overlaps(other)


def count_contents(place: Place) -> Contents:
    """Count the contents of the place, in constant memory."""
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
    """Delete everything in the place, and the bucket if the place is one. A missing one is not an error.

    ``report`` is called with the number of versions deleted since its last call. Raise ``ServerError`` if the
    server refuses to delete something. May be repeated.
    """
    refuse_in_tests(place.server, place.address)
    empty_bucket(get_client(place.server), place.on_server, place.prefix, report)


def purge(
    tenant: Any,
    *,
    only: Collection[str] | None = None,
    report: Callable[[int], None] = lambda count: None,
) -> list[Place]:
    """Delete everything that only this tenant has, and return the places. May be repeated to resume.

    ``only`` limits it to the places with these addresses. Raise ``RoutingError``, and delete nothing, if
    somebody else may store in one of the places, one of the addresses is not this tenant's, or a bucket does
    not have our mark.
    """
    found = make_purge(tenant)
    refuse_shared(found)
    places = found.places if only is None else _with_addresses(found.places, only)
    refuse_unmarked(places)
    for place in places:
        empty(place, report)
    return places


def _with_addresses(places: list[Place], addresses: Collection[str]) -> list[Place]:
    unknown = set(addresses) - {place.address for place in places}
    if unknown:
        raise RoutingError(
            f"Nothing was deleted, because {', '.join(sorted(unknown))} does not belong to the tenant now: "
            "the tenant or a setting has changed, or this process has other settings. Check them, and run "
            "'manage.py purge_tenant' again."
        )
    return [place for place in places if place.address in addresses]


def refuse_shared(found: Purge) -> None:
    """Raise ``RoutingError`` if anybody else may store in one of the places."""
    if found.refused:
        reasons = "; ".join(f"{place}: {reason}" for place, reason in found.refused.items())
        raise RoutingError(
            f"Nothing was deleted, because others use these places too. {reasons}. Give the tenant a place "
            "of its own."
        )


def refuse_unmarked(places: Collection[Place]) -> None:
    """Raise ``RoutingError`` if one of the buckets was neither created by this package nor adopted.

    A bucket name from a schema name may also be that of another application's bucket.
    """
    unknown = [place for place in places if not place.prefix and not _is_marked_or_gone(place)]
    if unknown:
        raise RoutingError(
            f"Nothing was deleted, because the {_describe(unknown)} not created by this package for a "
            "tenant. If it holds the tenant's files, run 'manage.py initialize_buckets --tenant SCHEMA "
            f"--adopt' first, or set the bucket tag {MARK_TAG}=adopted if the tenant's row is deleted."
        )


def _describe(places: list[Place]) -> str:
    names = ", ".join(f"{place.bucket!r} on {place.server.endpoint}" for place in places)
    return f"bucket {names} was" if len(places) == 1 else f"buckets {names} were"


def _is_marked_or_gone(place: Place) -> bool:
    try:
        return is_marked(get_client(place.server), place.on_server)
    except BucketNotFound:
        return True


# When a row is deleted


def when_deleted(tenant: Any) -> None:
    """Purge a deleted tenant if ``MINIO_PURGE_DELETED_TENANTS`` is set. Failures are logged."""
    key = get_tenancy().key(tenant)
    try:
        if not Config().get("MINIO_PURGE_DELETED_TENANTS"):
            return
        places = purge(tenant)
    except Exception:
        logger.exception(
            "Not all files of the tenant %r were deleted. Try again with 'manage.py purge_tenant %s'.",
            key,
            key,
        )
    else:
        logger.info("Purged the tenant %r: %s.", key, ", ".join(map(str, places)) or "nothing")
