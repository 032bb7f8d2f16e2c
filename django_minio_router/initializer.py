"""From strategies to buckets on a server: plan everything, refuse what contradicts itself, then apply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from minio.error import MinioException
from urllib3.exceptions import HTTPError

from . import tenancy
from .buckets import Outcome, PlannedBucket, State, bring_about, may_list
from .clients import Client, get_client
from .conf import Config
from .discovery import Use, configs, models_by_strategy, uses
from .exceptions import PrivatePublicMixedError, ServerError, TenantRequired
from .naming import check_bucket_name
from .policies import Policy
from .router import MinioRouter, load_strategy
from .strategies import BucketStrategy, FixedBucket, Location

if TYPE_CHECKING:
    from django.db.models import Model

Hook: TypeAlias = Policy | Callable[[str], Policy]

_DECLARATIONS = {"MINIO_PRIVATE_BUCKETS": False, "MINIO_PUBLIC_BUCKETS": True}


@dataclass
class Plan:
    """All buckets by server endpoint and name, and the strategies that need a tenant."""

    buckets: dict[tuple[str, str], PlannedBucket] = field(default_factory=dict)
    skipped: dict[str, BucketStrategy] = field(default_factory=dict)

    def add(self, planned: PlannedBucket) -> PlannedBucket:
        check_bucket_name(planned.name, planned.where)
        key = (planned.config.internal.endpoint, planned.name)
        known = self.buckets.setdefault(key, planned)
        if known.is_public != planned.is_public:
            public, private = (known, planned) if known.is_public else (planned, known)
            raise PrivatePublicMixedError(
                f"The bucket {planned.name!r} would be public ({public.where}) and private "
                f"({private.where}). Nothing was changed. Give one of them another bucket."
            )
        return known


@dataclass(frozen=True)
class _Entry:
    """A strategy on one server; ``public`` is None where the settings declare its buckets."""

    strategy: BucketStrategy
    config: Config
    public: bool | None
    where: str
    hook: Hook | None = None

    def is_public(self, bucket: str) -> bool:
        return self.config.is_public(bucket) if self.public is None else self.public


def make_plan(tenants: Iterable[Any] = (), aliases: Iterable[str] | None = None) -> Plan:
    """Expand every strategy in use as things stand now, and then for each of ``tenants``.

    Sends no request. Raise ``PrivatePublicMixedError`` or ``InvalidBucketName`` if the plan contradicts
    itself or the S3 naming rules.
    """
    plan = Plan()
    found = uses(aliases)
    # Buckets that settings merely list belong to no alias, unless they are among its options.
    declaring = [c for c in configs(found) if aliases is None or not c.is_flat]
    for config in declaring:
        _add_declared(plan, config)
    for use in found:
        if use.strategy is None:
            _add_single(plan, use)
    models = models_by_strategy(found)
    entries = _entries(found, declaring)
    for entry in entries:
        try:
            _expand(plan, entry, models)
        except TenantRequired:
            plan.skipped[entry.where] = entry.strategy
    for tenant in tenants:
        with tenancy.tenant_context(tenant):
            for entry in entries:
                _expand(plan, entry, models)
    _add_hooks(plan, declaring)
    return plan


def _add_declared(plan: Plan, config: Config) -> None:
    private, public = config.declared
    for name in sorted(private | public):
        setting = "MINIO_PUBLIC_BUCKETS" if name in public else "MINIO_PRIVATE_BUCKETS"
        plan.add(PlannedBucket(name, config, name in public, may_list(config, default=True), setting))


def _add_single(plan: Plan, use: Use) -> None:
    storage = use.storage.backend if isinstance(use.storage, MinioRouter) else use.storage
    plan.add(
        PlannedBucket(
            storage.bucket,
            storage.config,
            storage.is_bucket_public,
            may_list(storage.config, default=True),
            use.where,
        )
    )


def _entries(found: list[Use], declaring: list[Config]) -> list[_Entry]:
    """Return the strategies of the fields, of ``STORAGES``, and those listed in the settings."""
    entries: dict[tuple[BucketStrategy, str, bool | None], _Entry] = {}

    def add(strategy: BucketStrategy, config: Config, public: bool | None, where: str) -> None:
        key = (strategy, config.internal.endpoint, public)
        hook = _hook_of(strategy, config)
        entries.setdefault(key, _Entry(strategy, config, public, where, hook))

    for use in found:
        if use.strategy is not None:
            add(use.strategy, use.config, use.strategy.public_read, use.where)
    for config in declaring:
        for setting, public in _DECLARATIONS.items():
            for listed in config.get(setting):
                if not isinstance(listed, str):
                    add(load_strategy(listed), config, public, setting)
    return list(entries.values())


def _expand(plan: Plan, entry: _Entry, models: Mapping[BucketStrategy, list[type[Model]]]) -> None:
    single = isinstance(entry.strategy, FixedBucket) and entry.public is None
    listing = may_list(entry.config, default=single)
    where = f"{entry.strategy!r} of {entry.where}"
    for answer in entry.strategy.buckets_for(models.get(entry.strategy, [])):
        location = Location.of(answer)
        name, config = location.bucket, entry.config.on(location.server)
        planned = plan.add(PlannedBucket(name, config, entry.is_public(name), listing, where))
        if entry.hook is not None:
            planned.hook = _policy(entry.hook, name)


def _hook_of(strategy: BucketStrategy, config: Config) -> Hook | None:
    hooks = [hook for target, hook in config.get("MINIO_POLICY_HOOKS") if target == strategy]
    return hooks[-1] if hooks else None


def _add_hooks(plan: Plan, declaring: list[Config]) -> None:
    """Give the buckets that are named in hooks their policy; the last hook of a bucket holds."""
    for config in declaring:
        for target, hook in config.get("MINIO_POLICY_HOOKS"):
            if isinstance(target, str):
                known = plan.buckets.get((config.internal.endpoint, target))
                planned = known or plan.add(PlannedBucket(target, config, False, False, "MINIO_POLICY_HOOKS"))
                planned.hook = _policy(hook, target)


def _policy(hook: Hook, bucket: str) -> Policy:
    return hook(bucket) if callable(hook) else hook


def apply_plan(
    plan: Plan,
    *,
    dry_run: bool = False,
    jobs: int = 8,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Create what is missing and set what differs, ``jobs`` buckets at a time; report each as it is done.

    A bucket that fails does not stop the others. With ``dry_run`` nothing is changed, and the outcomes
    say what would become of each.
    """
    existing = _existing_buckets(plan)

    def run(planned: PlannedBucket) -> Outcome:
        client = get_client(planned.config.internal)
        try:
            return bring_about(planned, existing=existing[client], dry_run=dry_run)
        except (OSError, MinioException, HTTPError) as error:
            return Outcome(planned.name, State.FAILED, str(error))

    outcomes = []
    with ThreadPoolExecutor(jobs) as threads:
        for outcome in threads.map(run, plan.buckets.values()):
            report(outcome)
            outcomes.append(outcome)
    return outcomes


def _existing_buckets(plan: Plan) -> dict[Client, set[str] | None]:
    """Return the buckets of each server, read in one request; None where listing them is not allowed."""
    existing: dict[Client, set[str] | None] = {}
    for planned in plan.buckets.values():
        client = get_client(planned.config.internal)
        if client not in existing:
            existing[client] = _bucket_names(client)
    return existing


def _bucket_names(client: Client) -> set[str] | None:
    try:
        with client.plain_errors(""):
            return {bucket.name for bucket in client.sdk.list_buckets()}
    except ServerError as error:
        if error.code == "AccessDenied":
            return None
        raise
