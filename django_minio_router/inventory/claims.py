"""Buckets that are used without a tenant, and so must not become a tenant's own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..exceptions import BucketTaken, RoutingError
from ..s3 import client
from ..storage.signals import bucket_chosen
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy
from .uses import configs, listed, models_by_strategy, uses

if TYPE_CHECKING:
    from django.db.models import Model


def refuse_taken(strategy: BucketStrategy, bucket: str) -> None:
    """Raise ``BucketTaken`` if a tenant would get a bucket that is used without a tenant, for other files."""
    if not strategy.one_bucket_per_tenant:
        return
    owner = _buckets_of_no_tenant(client.epoch).get(bucket)
    if owner is not None and bucket != getattr(strategy, "public", None):
        raise BucketTaken(
            f"{strategy!r} gives the active tenant the bucket {bucket!r}, which is used for the files of "
            f"{owner}. Give tenants other bucket names with a template such as "
            f"'tenant-{{{get_tenancy().key_name}}}'."
        )


@lru_cache(maxsize=1)
def _buckets_of_no_tenant(epoch: int) -> Mapping[str, str]:
    """Return each bucket and what uses it. ``epoch`` changes with the settings."""
    found = uses()
    distinct = configs(found)
    entries = [entry for config in distinct for entry in listed(config)]
    owners = {
        bucket: entry.where
        for entry in entries
        if entry.is_name
        for bucket in _buckets_now(entry.strategy, [])
    }
    for config in distinct:
        owners[config.media_bucket] = "MINIO_MEDIA_FILES_BUCKET"
        owners[config.static_bucket] = "MINIO_STATIC_FILES_BUCKET"
    owners |= {use.single.bucket: use.where for use in found if use.single is not None}
    strategies = models_by_strategy(found)
    for entry in entries:
        if not entry.is_name:
            strategies.setdefault(entry.strategy, [])
    tenancy = get_tenancy()
    with tenancy.bucket_context(None):
        for strategy, models in strategies.items():
            owners |= dict.fromkeys(_buckets_now(strategy, models), repr(strategy))
    return owners


def _buckets_now(strategy: BucketStrategy, models: Collection[type[Model]]) -> Iterator[str]:
    """Yield the strategy's buckets without a tenant: none if it needs one."""
    with suppress(RoutingError):
        for answer in strategy.buckets_for(models):
            yield Location.of(answer).bucket


def _refuse_taken(*, strategy: BucketStrategy, location: Location, **kwargs: Any) -> None:
    refuse_taken(strategy, location.bucket)


def connect() -> None:
    """Make routers refuse buckets that are taken."""
    bucket_chosen.connect(_refuse_taken, dispatch_uid="minio_router.refuse_taken")
