"""From strategies to the buckets that must exist: all is expanded, and what contradicts itself refused."""

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
    """All buckets by server and name, the sources that need a tenant, and the targets of idle hooks.

    ``refused`` has what failed already, as a tenant may not have the bucket or a strategy names none for it;
    with the aliases that need it.
    """

    buckets: dict[tuple[str, str], PlannedBucket] = field(default_factory=dict)
    skipped: list[BucketSource] = field(default_factory=list)
    idle_hooks: list[str | BucketStrategy] = field(default_factory=list)
    refused: dict[Outcome, frozenset[str]] = field(default_factory=dict)
    _owners: dict[tuple[str, Location], str] = field(default_factory=dict)

    def expand(self, source: BucketSource) -> None:
        """Add the buckets that the source gives under the active tenant."""
        for planned in source.buckets():
            self._refuse_mixed(planned)
            if self._may_have(planned, source.strategy):
                self._add(planned)
        if source.strategy.keeps_tenants_apart:
            self._claim(source)

    def expand_for_tenant(self, source: BucketSource) -> None:
        """Do the same, and note it if the strategy fails for this tenant, who may lack a value."""
        try:
            self.expand(source)
        except (ConfigurationError, DatabaseError):
            raise
        except Exception as error:
            cause = f"The tenant {get_tenancy().active_key()!r} gets none. {error}"
            self._refuse(Outcome(f"({source.where})", State.FAILED, cause), source.aliases)

    def _refuse(self, outcome: Outcome, aliases: frozenset[str]) -> None:
        self.refused[outcome] = self.refused.get(outcome, frozenset()) | aliases

    def _may_have(self, planned: PlannedBucket, strategy: BucketStrategy) -> bool:
        try:
            refuse_taken(strategy, planned.name)
        except BucketTaken as error:
            cause = f"It is not for the tenant {get_tenancy().active_key()!r}. {error}"
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
        """Refuse that two tenants share a place: strategies that name by the tenant promise they do not."""
        try:
            place = Location.of(source.strategy.bucket_for(None)).place
        except TenantRequired:
            return
        tenant = get_tenancy().active_key() or str(get_tenancy().shared_key)
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
                    planned.hook = policy_of(hook, target, planned.on_server)
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


def make_plan(
    tenants: Iterable[Any] = (),
    aliases: Collection[str] | None = None,
    *,
    enter: Callable[[Any], AbstractContextManager[None]] | None = None,
) -> Plan:
    """Expand every strategy in use as things stand now, and then for each of ``tenants``.

    With ``aliases`` the plan holds what storages of these need, though all is expanded, so that no part
    contradicts another. ``enter`` makes a tenant the active one, for the database too if it is not given. No
    request is sent. What a strategy cannot name for one of the tenants is refused, and all else is planned.
    Raise ``PrivatePublicMixedError``, ``InvalidBucketName`` or ``ConfigurationError`` if a bucket cannot be
    as it is wanted.
    """
    found = uses()
    different = configs(found)
    for config in different:
        bucket_hooks(config)  # one that cannot be imported is found now, not at the first bucket
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
    for config in different:
        plan.apply_hooks(config, {source.strategy for source in sources})
    return plan if aliases is None else plan.only(aliases)
