"""The strategies in use: which buckets each gives on which server, and as what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from django.utils.functional import cached_property

from ..buckets.ensure import PlannedBucket
from ..buckets.policies import Hook, policy_of
from ..exceptions import (
    InvalidBucketName,
)
from ..naming import bucket_name_problem
from ..settings.config import Config
from ..strategies import BucketStrategy, FixedBucket, Location
from ..tenancy import get_tenancy
from .uses import Use, configs, hooks, listed, uses

if TYPE_CHECKING:
    from django.db.models import Model

    from ..storage.backend import MinioBackend


@dataclass
class Source:
    """A strategy that gives buckets on a server; ``is_public`` None: each as the settings declare it.

    ``aliases`` are those of ``STORAGES`` that use it, ``models`` those whose fields do.
    """

    strategy: BucketStrategy
    config: Config
    is_public: bool | None
    listing: bool
    where: str
    aliases: frozenset[str] = frozenset()
    models: list[type[Model]] = field(default_factory=list)
    _configs: dict[str, Config] = field(default_factory=dict)

    def merge(self, other: Source) -> None:
        """Take in another use of the same strategy on the same server."""
        self.listing = self.listing and other.listing
        self.aliases |= other.aliases
        self.models += [model for model in other.models if model not in self.models]

    def buckets(self) -> Iterator[PlannedBucket]:
        """Yield each bucket under the active tenant. ``TenantRequired`` where there must be one."""
        for location in map(Location.of, self.strategy.buckets_for(self.models)):
            self._refuse_invalid(location.bucket)
            yield self._planned(location.bucket, self._config_on(location.server))

    def _refuse_invalid(self, name: str) -> None:
        problem = bucket_name_problem(name)
        if problem:
            tenant = get_tenancy().active_key()
            whose = f" for the tenant {tenant!r}" if tenant else ""
            raise InvalidBucketName(f"{self.where} gave the bucket name {name!r}{whose}, which {problem}.")

    def _planned(self, name: str, config: Config) -> PlannedBucket:
        is_public = config.is_public(name) if self.is_public is None else self.is_public
        policy = None if self._hook is None else policy_of(self._hook, name)
        return PlannedBucket(name, config, is_public, self.listing, self.where, self.aliases, policy)

    @cached_property
    def _hook(self) -> Hook | None:
        return hooks(self.config).get(self.strategy)

    def _config_on(self, server: str) -> Config:
        if server not in self._configs:
            self._configs[server] = self.config.on(server)
        return self._configs[server]


def sources_in_use() -> list[Source]:
    """Return what the settings list and what storages use, each strategy once for each server."""
    found = uses()
    return merged_sources(found, configs(found))


def merged_sources(found: list[Use], different: list[Config]) -> list[Source]:
    merged: dict[tuple[BucketStrategy, str, bool | None], Source] = {}
    of_settings = (source for config in different for source in listed_sources(config, found))
    for source in [*of_settings, *map(used_source, found)]:
        key = (source.strategy, source.config.internal.endpoint, source.is_public)
        known = merged.setdefault(key, source)
        if known is not source:
            known.merge(source)
    return list(merged.values())


def listed_sources(config: Config, found: list[Use]) -> Iterator[Source]:
    """Yield what a configuration lists. It belongs to the aliases whose options list it, if any do."""
    aliases = frozenset(use.alias for use in found if use.alias and use.config == config)
    for strategy, is_public, setting in listed(config):
        where = setting if isinstance(strategy, FixedBucket) else f"{strategy!r} of {setting}"
        listing = config.with_defaults(strategy.defaults).lists_public_buckets
        whose = aliases if config.holds(setting) else frozenset()
        yield Source(strategy, config, is_public, listing, where, whose)


def used_source(use: Use) -> Source:
    """Return what a storage gives. ``ConfigurationError`` if the settings do not declare its bucket."""
    aliases = frozenset({use.alias} if use.alias else ())
    if use.strategy is None:
        single = cast("MinioBackend", use.single)
        public, listing = single.is_bucket_public, single.is_bucket_listable
        return Source(FixedBucket(single.bucket), use.config, public, listing, use.where, aliases)
    strategy, models = use.strategy, [use.model] if use.model else []
    listing = use.config.with_defaults(strategy.defaults).lists_public_buckets
    where = f"{strategy!r} of {use.where}"
    return Source(strategy, use.config, strategy.public_read, listing, where, aliases, models)
