"""From strategies to the buckets that must exist: all is expanded, and what contradicts itself refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django.utils.functional import cached_property

from .. import tenancy
from ..buckets import Outcome, PlannedBucket, State, may_list
from ..conf import Config
from ..discovery import Use, configs, hooks, listed, refuse_taken, uses
from ..exceptions import (
    BucketTaken,
    ConfigurationError,
    InvalidBucketName,
    PrivatePublicMixedError,
    TenantRequired,
)
from ..hooks import bucket_hooks
from ..naming import bucket_name_problem
from ..policies import Hook, policy_of
from ..strategies import BucketStrategy, FixedBucket, Location, PerTenant
from ..strategies.fixed import is_single
from ..strategies.tenant import NamedByTenant

if TYPE_CHECKING:
    from django.db.models import Model

    from ..backend import MinioBackend


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
            tenant = tenancy.current_schema() if tenancy.has_schemas() else None
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


@dataclass
class Plan:
    """All buckets by server and name, the sources that need a tenant, and the targets of idle hooks.

    ``refused`` has what failed already, as a tenant may not have the bucket, with the aliases that need it.
    """

    buckets: dict[tuple[str, str], PlannedBucket] = field(default_factory=dict)
    skipped: list[Source] = field(default_factory=list)
    idle_hooks: list[str | BucketStrategy] = field(default_factory=list)
    refused: dict[Outcome, frozenset[str]] = field(default_factory=dict)
    _owners: dict[tuple[str, Location], str] = field(default_factory=dict)

    def expand(self, source: Source) -> None:
        """Add the buckets that the source gives under the active tenant."""
        for planned in source.buckets():
            self._refuse_mixed(planned)
            if self._may_have(planned, source.strategy):
                self._add(planned)
        if isinstance(source.strategy, NamedByTenant):
            self._claim(source.strategy, source)

    def _may_have(self, planned: PlannedBucket, strategy: BucketStrategy) -> bool:
        if isinstance(strategy, PerTenant):
            try:
                refuse_taken(strategy, planned.name)
            except BucketTaken as error:
                cause = f"It is not for the tenant {tenancy.current_schema()!r}. {error}"
                self.refused[Outcome(planned.name, State.FAILED, cause)] = planned.aliases
                return False
        return True

    def _add(self, planned: PlannedBucket) -> None:
        known = self.buckets.setdefault(planned.key, planned)
        known.listing = known.listing and planned.listing
        known.aliases |= planned.aliases
        known.hook = planned.hook or known.hook

    def _refuse_mixed(self, planned: PlannedBucket) -> None:
        known = self.buckets.get(planned.key, planned)
        if known.is_public != planned.is_public:
            public, private = (known, planned) if known.is_public else (planned, known)
            raise PrivatePublicMixedError(
                f"The bucket {planned.name!r} would be public ({public.where}) and private "
                f"({private.where}). Give one of them another bucket."
            )

    def _claim(self, strategy: NamedByTenant, source: Source) -> None:
        """Refuse that two tenants share a place: strategies that name by the tenant promise they do not."""
        try:
            place = Location.of(strategy.bucket_for(None))
        except TenantRequired:
            return
        tenant = tenancy.current_schema() or tenancy.public_schema()
        owner = self._owners.setdefault((source.config.internal.endpoint, place), tenant)
        if owner != tenant:
            raise ConfigurationError(
                f"The tenants {owner!r} and {tenant!r} would share {place.bucket}/{place.prefix} "
                f"({source.where}). Give each of them a name of its own."
            )

    def apply_hooks(self, config: Config, strategies: Collection[BucketStrategy]) -> None:
        """Give the buckets that the hooks of a configuration name their policy; ``strategies`` did theirs."""
        for target, hook in hooks(config).items():
            if isinstance(target, str):
                planned = self.buckets.get((config.internal.endpoint, target))
                if planned is not None:
                    planned.hook = policy_of(hook, target)
                    continue
            elif target in strategies:
                continue
            if target not in self.idle_hooks:
                self.idle_hooks.append(target)

    def only(self, aliases: Collection[str]) -> Plan:
        """Return the part that storages of these aliases need."""
        wanted = frozenset(aliases)
        return Plan(
            {key: planned for key, planned in self.buckets.items() if planned.aliases & wanted},
            [source for source in self.skipped if source.aliases & wanted],
            refused={outcome: whose for outcome, whose in self.refused.items() if whose & wanted},
        )


def make_plan(tenants: Iterable[Any] = (), aliases: Collection[str] | None = None) -> Plan:
    """Expand every strategy in use as things stand now, and then for each of ``tenants``.

    With ``aliases`` the plan holds what storages of these need, though all is expanded, so that no part
    contradicts another. No request is sent. Raise ``PrivatePublicMixedError``, ``InvalidBucketName`` or
    ``ConfigurationError`` where a bucket cannot be as it is wanted.
    """
    found = uses()
    different = configs(found)
    for config in different:
        bucket_hooks(config)  # one that cannot be imported is found now, not at the first bucket
    sources = _sources(found, different)
    plan = Plan()
    for source in sources:
        try:
            plan.expand(source)
        except TenantRequired:
            plan.skipped.append(source)
    varying = [source for source in sources if not isinstance(source.strategy, FixedBucket)]
    for tenant in tenants:
        with tenancy.tenant_context(tenant):
            for source in varying:
                plan.expand(source)
    for config in different:
        plan.apply_hooks(config, {source.strategy for source in sources})
    return plan if aliases is None else plan.only(aliases)


def sources_in_use() -> list[Source]:
    """Return what the settings list and what storages use, each strategy once for each server."""
    found = uses()
    return _sources(found, configs(found))


def _sources(found: list[Use], different: list[Config]) -> list[Source]:
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
        listing = may_list(config, default=is_single(strategy))
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
    listing = may_list(use.config, default=is_single(strategy))
    where = f"{strategy!r} of {use.where}"
    return Source(strategy, use.config, strategy.public_read, listing, where, aliases, models)
