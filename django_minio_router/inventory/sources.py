"""The strategies in use: the buckets of each, by server, and whether they are public."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from django.utils.functional import cached_property

from ..buckets.ensure import PlannedBucket
from ..buckets.policies import Hook, policy_of
from ..exceptions import InvalidBucketName
from ..naming import bucket_name_problem
from ..settings.config import Config
from ..strategies import BucketStrategy, FixedBucket, Location
from ..tenancy import get_tenancy
from .uses import StorageUse, configs, hooks, listed, uses

if TYPE_CHECKING:
    from django.db.models import Model

    from ..storage.backend import MinioBackend


@dataclass(frozen=True)
class BucketSource:
    """A strategy that gives buckets on a server. ``is_public`` None means as the settings declare each.

    ``aliases`` are the entries of ``STORAGES`` that use it, ``models`` those whose fields do.
    """

    strategy: BucketStrategy
    config: Config
    is_public: bool | None
    listing: bool
    where: str
    aliases: frozenset[str] = frozenset()
    models: tuple[type[Model], ...] = ()

    @property
    def key(self) -> tuple[BucketStrategy, str, bool | None]:
        """The identity of a strategy on a server."""
        return self.strategy, self.config.internal.endpoint, self.is_public

    def merged_with(self, other: BucketSource) -> BucketSource:
        """Return the source for both uses."""
        return replace(
            self,
            listing=self.listing and other.listing,
            aliases=self.aliases | other.aliases,
            models=tuple(dict.fromkeys(self.models + other.models)),
        )

    def buckets(self) -> Iterator[PlannedBucket]:
        """Yield the buckets for the active tenant. ``TenantRequired`` if the strategy needs one."""
        for location in map(Location.of, self.strategy.buckets_for(self.models)):
            self._refuse_invalid(location.bucket)
            yield self._planned(location.bucket, self.config.on(location.server, location.options))

    def _refuse_invalid(self, name: str) -> None:
        problem = bucket_name_problem(name)
        if problem:
            tenant = get_tenancy().active_key()
            whose = f" for the tenant {tenant!r}" if tenant else ""
            raise InvalidBucketName(f"{self.where} gave the bucket name {name!r}{whose}, which {problem}.")

    def _planned(self, name: str, config: Config) -> PlannedBucket:
        is_public = config.is_declared_public(name) if self.is_public is None else self.is_public
        on_server = config.internal.bucket_name(name)
        policy = None if self._hook is None else policy_of(self._hook, name, on_server)
        return PlannedBucket(name, config, is_public, self.listing, self.where, self.aliases, policy)

    @cached_property
    def _hook(self) -> Hook | None:
        return hooks(self.config).get(self.strategy)


def sources_in_use(found: list[StorageUse] | None = None) -> list[BucketSource]:
    """Return what the settings list and storages use: each strategy once per server."""
    found = uses() if found is None else found
    merged: dict[tuple[BucketStrategy, str, bool | None], BucketSource] = {}
    of_settings = (source for config in configs(found) for source in listed_sources(config, found))
    for source in [*of_settings, *map(used_source, found)]:
        known = merged.get(source.key)
        merged[source.key] = source if known is None else known.merged_with(source)
    return list(merged.values())


def listed_sources(config: Config, found: list[StorageUse]) -> Iterator[BucketSource]:
    """Yield what a configuration lists, with the aliases whose options list it, if any."""
    aliases = frozenset(use.alias for use in found if use.alias and use.config == config)
    for entry in listed(config):
        listing = config.with_defaults(entry.strategy.defaults).lists_public_buckets
        whose = aliases if config.has_own(entry.setting) else frozenset()
        yield BucketSource(entry.strategy, config, entry.is_public, listing, entry.where, whose)


def used_source(use: StorageUse) -> BucketSource:
    """Return the source of a storage. ``ConfigurationError`` if the settings do not declare its bucket."""
    aliases = frozenset({use.alias} if use.alias else ())
    if use.strategy is None:
        single = cast("MinioBackend", use.single)
        public, listing = single.is_bucket_public, single.is_bucket_listable
        return BucketSource(FixedBucket(single.bucket), use.config, public, listing, use.where, aliases)
    strategy, models = use.strategy, (use.model,) if use.model else ()
    listing = use.config.with_defaults(strategy.defaults).lists_public_buckets
    where = f"{strategy!r} of {use.where}"
    return BucketSource(strategy, use.config, strategy.public_read, listing, where, aliases, models)
