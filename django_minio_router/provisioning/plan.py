"""Expand strategies to the buckets that must exist, and refuse contradictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError

from ..buckets.ensure import Outcome, PlannedBucket, State
from ..buckets.hooks import bucket_hooks
from ..buckets.policies import policy_of
from ..exceptions import BucketTaken, ConfigurationError, PrivatePublicMixedError, TenantRequired
from ..inventory.claims import refuse_taken
from ..inventory.sources import BucketSource, sources_in_use
from ..inventory.uses import configs, hooks, uses
from ..settings.config import Config
from ..strategies import BucketStrategy, Location
from ..tenancy import get_tenancy


@dataclass
class Plan:
    """All buckets by server and name, the sources that need a tenant, and the targets of unused hooks.

    ``refused`` holds the failures so far, with the aliases that are affected: buckets that a tenant must not
    have, or tenants without a bucket.
    """

    buckets: dict[tuple[str, str], PlannedBucket] = field(default_factory=dict)
    skipped: list[BucketSource] = field(default_factory=list)
    unused_hooks: list[str | BucketStrategy] = field(default_factory=list)
    refused: dict[Outcome, frozenset[str]] = field(default_factory=dict)
    _owners: dict[tuple[str, Location], str] = field(default_factory=dict)

    def expand(self, source: BucketSource) -> None:
        """Add the buckets of the source for the active tenant."""
        for planned in source.buckets():
            self._refuse_mixed(planned)
            if self._is_allowed(planned, source.strategy):
                self._add(planned)
        if source.strategy.keeps_tenants_apart:
            self._claim(source)

    def expand_for_tenant(self, source: BucketSource) -> None:
        """Add the buckets of the source, and record a failure of the strategy for this tenant."""
        try:
            self.expand(source)
        except (ConfigurationError, DatabaseError):
            raise
        except Exception as error:
            cause = f"The tenant {get_tenancy().active_key()!r} gets no bucket. {error}"
            self._refuse(Outcome(f"({source.where})", State.FAILED, cause), source.aliases)

    def _refuse(self, outcome: Outcome, aliases: frozenset[str]) -> None:
        self.refused[outcome] = self.refused.get(outcome, frozenset()) | aliases

    def _is_allowed(self, planned: PlannedBucket, strategy: BucketStrategy) -> bool:
        try:
            refuse_taken(strategy, planned.name)
        except BucketTaken as error:
            cause = f"The tenant {get_tenancy().active_key()!r} must not use it. {error}"
            self._refuse(Outcome(planned.name, State.FAILED, cause), planned.aliases)
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

    def _claim(self, source: BucketSource) -> None:
        """Refuse a place that another tenant has: the strategy promises to keep tenants apart."""
        try:
            place = Location.of(source.strategy.bucket_for(None)).place
        except TenantRequired:
            return
        tenant = get_tenancy().active_key() or str(get_tenancy().shared_key)
        owner = self._owners.setdefault((source.config.internal.endpoint, place), tenant)
        if owner != tenant:
            raise ConfigurationError(
                f"The tenants {owner!r} and {tenant!r} would share {place.bucket}/{place.prefix} "
                f"({source.where}). Give each of them a unique name."
            )

    def apply_hooks(self, config: Config, strategies: Collection[BucketStrategy]) -> None:
        """Set the policies of the hooks for bucket names; those of ``strategies`` are applied already."""
        for target, hook in hooks(config).items():
            if isinstance(target, str):
                planned = self.buckets.get((config.internal.endpoint, target))
                if planned is not None:
                    planned.hook = policy_of(hook, target, planned.on_server)
                    continue
            elif target in strategies:
                continue
            if target not in self.unused_hooks:
                self.unused_hooks.append(target)

    def only(self, aliases: Collection[str]) -> Plan:
        """Return the part of the plan that these aliases need."""
        selected = frozenset(aliases)
        return Plan(
            {key: planned for key, planned in self.buckets.items() if planned.aliases & selected},
            [source for source in self.skipped if source.aliases & selected],
            refused={outcome: affected for outcome, affected in self.refused.items() if affected & selected},
        )


def make_plan(
    tenants: Iterable[Any] = (),
    aliases: Collection[str] | None = None,
    *,
    enter: Callable[[Any], AbstractContextManager[None]] | None = None,
) -> Plan:
    """Expand every strategy in use, in the current context and then for each of ``tenants``.

    With ``aliases``, the plan holds what these storages need, but everything is expanded to find
    contradictions. ``enter`` activates a tenant, by default for the database too. No request is sent. If a
    strategy fails for one of the tenants, the rest is planned. Raise ``PrivatePublicMixedError``,
    ``InvalidBucketName`` or ``ConfigurationError`` if the settings contradict each other.
    """
    found = uses()
    distinct = configs(found)
    for config in distinct:
        bucket_hooks(config)  # fails early if a hook cannot be imported
    sources = sources_in_use(found)
    plan = Plan()
    for source in sources:
        try:
            plan.expand(source)
        except TenantRequired:
            plan.skipped.append(source)
    varying = [source for source in sources if source.strategy.varies_by_tenant]
    for tenant in tenants:
        with (enter or get_tenancy().context)(tenant):
            for source in varying:
                plan.expand_for_tenant(source)
    for config in distinct:
        plan.apply_hooks(config, {source.strategy for source in sources})
    return plan if aliases is None else plan.only(aliases)
