"""System checks for settings and strategies, without network and database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import combinations
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Tags
from django.core.checks import register as register_check
from django.db import router

from . import messages
from .bucket_template import BucketTemplate
from .buckets.hooks import bucket_hooks
from .buckets.policies import is_open_to_everybody, policy_of
from .exceptions import ConfigurationError, PrivatePublicMixedError, RoutingError, TenantRequired
from .files.quota import quota
from .inventory.sources import BucketSource, listed_sources, used_source
from .inventory.uses import ListedBuckets, StorageUse, configs, hooks, listed, models_by_strategy, uses
from .naming import bucket_name_problem
from .provisioning.plan import Plan
from .settings.config import Config
from .settings.declared import PREFIX, SETTINGS
from .settings.endpoints import endpoint_problem, shown_endpoint, split_endpoint
from .settings.testing import is_isolated
from .storage.fields import BucketFileField
from .storage.router import MinioRouter
from .strategies import BucketStrategy, Location
from .tenancy import get_tenancy

if TYPE_CHECKING:
    from django.db.models import Model

# The cutoff for similar names: MINIO_PRIVATE_BUCKET is similar enough, MINIO_STORAGE_ENDPOINT is not.
_SIMILAR = 0.82

_THUMBNAIL_TABLES = {"easy_thumbnails", "filer", "sorl.thumbnail"}


def register() -> None:
    register_check(check_project, Tags.files)
    register_check(check_deployment, Tags.security, deploy=True)


def check_project(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check each distinct configuration once, then what storages and strategies make of them."""
    misspelt = list(_misspelt_settings())
    try:
        get_tenancy().verify()
        found = uses()
        distinct = configs(found)
    except ConfigurationError as error:
        return [*misspelt, messages.bad_setting(error)]
    readable = [use for use in found if not any(use.config.problems())]
    return [
        *misspelt,
        *(message for config in distinct for message in _config_messages(config)),
        *_strategy_messages(found, distinct),
        *_single_buckets(readable),
        *_fixed_buckets(readable, distinct),
        *_colliding_templates(readable, distinct),
        *_shared_by_tenants(readable),
        *_shared_rows(readable),
        *_shared_thumbnails(readable),
    ]


def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Report plain HTTP, files in memory and public uploads, with ``check --deploy``."""
    try:
        found = uses()
        distinct = configs(found)
    except ConfigurationError:
        return []  # check_project reports it
    return [*(message for config in distinct for message in _plain_http(config)), *_public_uploads(found)]


def _misspelt_settings() -> Iterator[CheckMessage]:
    """Report names similar to ours: other packages have settings that start with MINIO_ too."""
    for name in dir(settings):
        if name.startswith(PREFIX) and name not in SETTINGS:
            for similar in get_close_matches(name, SETTINGS, n=1, cutoff=_SIMILAR):
                yield messages.misspelt_setting(name, similar)


def _config_messages(config: Config) -> Iterator[CheckMessage]:
    wrong = [messages.bad_setting(error) for error in config.problems()]
    yield from wrong
    if wrong:
        return
    for find in (_endpoints, _keys, _expiry, _listed_buckets, _hooks, _callables):
        try:
            yield from find(config)
        except ConfigurationError as error:
            yield messages.bad_setting(error)


def _endpoints(config: Config) -> Iterator[CheckMessage]:
    endpoint, external = config.get("MINIO_ENDPOINT"), config.get("MINIO_EXTERNAL_ENDPOINT")
    external_https = config.get("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS")
    if config.in_memory:
        return
    if not endpoint:
        yield messages.missing_endpoint()
    elif problem := endpoint_problem(endpoint):
        yield messages.malformed_endpoint("MINIO_ENDPOINT", shown_endpoint(endpoint), problem)
    if external:
        if problem := endpoint_problem(external):
            yield messages.malformed_endpoint("MINIO_EXTERNAL_ENDPOINT", shown_endpoint(external), problem)
        elif external_https is None and not split_endpoint(external)[0]:
            yield messages.incomplete_external_endpoint("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS")
    elif external_https is not None:
        yield messages.incomplete_external_endpoint("MINIO_EXTERNAL_ENDPOINT")


def _keys(config: Config) -> Iterator[CheckMessage]:
    if config.in_memory or config.credentials is not None:
        return
    for setting in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        if not config.get(setting):
            yield messages.missing_key(setting)


def _expiry(config: Config) -> Iterator[CheckMessage]:
    try:
        config.url_expiry  # noqa: B018
    except ConfigurationError:
        yield messages.expiry_out_of_range(config.get("MINIO_URL_EXPIRY_HOURS"))


def _listed_buckets(config: Config) -> Iterator[CheckMessage]:
    try:
        entries = list(listed(config))
    except PrivatePublicMixedError as error:
        yield messages.private_and_public(error)
        return
    for entry in entries:
        if entry.is_name:
            yield from messages.invalid_bucket(_buckets(entry.strategy)[0], entry.setting)


def _hooks(config: Config) -> Iterator[CheckMessage]:
    """Check literal policies; the result of a callable is known only when it is applied."""
    try:
        for target, hook in hooks(config).items():
            if callable(hook) or not is_open_to_everybody(policy_of(hook, str(target))):
                continue
            if _is_private(target, config):
                yield messages.hook_grants_access(target)
    except PrivatePublicMixedError:
        return  # _fixed_buckets reports it


def _is_private(target: str | BucketStrategy, config: Config) -> bool:
    """Return whether the target of a hook is private, by its strategy or by its buckets."""
    if isinstance(target, str):
        return target not in config.declared[1]
    if target.public_read is None and not target.varies_by_tenant:
        return any(name not in config.declared[1] for name in _buckets(target))
    return target.public_read is False


def _buckets(strategy: BucketStrategy) -> list[str]:
    return [Location.of(answer).bucket for answer in strategy.buckets_for([])]


def _callables(config: Config) -> Iterable[CheckMessage]:
    """Import what the settings name. ``ConfigurationError`` if that fails."""
    bucket_hooks(config)
    quota()
    config.url_signer  # noqa: B018
    return ()


def _strategy_messages(found: list[StorageUse], distinct: list[Config]) -> Iterator[CheckMessage]:
    models = models_by_strategy(found)
    for entry, _ in _entries(distinct):
        if not entry.is_name:
            models.setdefault(entry.strategy, [])
    for strategy, of_strategy in models.items():
        try:
            yield from strategy.check(of_strategy)
        except ConfigurationError as error:
            yield messages.bad_setting(error)


def _single_buckets(found: list[StorageUse]) -> Iterator[CheckMessage]:
    for use in found:
        if use.single is None:
            continue
        if bucket_name_problem(use.single.bucket):
            yield from messages.invalid_bucket(use.single.bucket, use.where)
            continue
        try:
            use.single.is_bucket_public  # noqa: B018
        except PrivatePublicMixedError:
            continue
        except ConfigurationError:
            yield messages.undeclared_bucket(use.single.bucket, use.where)


def _fixed_buckets(found: list[StorageUse], distinct: list[Config]) -> Iterator[CheckMessage]:
    """Report buckets that are both private and public, or part of an endpoint."""
    plan = Plan()
    for source in _sources(found, distinct):
        if source.strategy.varies_by_tenant:
            continue
        try:
            plan.expand(source)
        except PrivatePublicMixedError as error:
            yield messages.private_and_public(error)
        except (ConfigurationError, RoutingError):
            continue  # another check reports it
    yield from _buckets_in_endpoints(plan)


def _buckets_in_endpoints(plan: Plan) -> Iterator[CheckMessage]:
    for planned in plan.buckets.values():
        if any(planned.config.problems()):
            continue  # another check reports them
        for setting in ("MINIO_ENDPOINT", "MINIO_EXTERNAL_ENDPOINT"):
            path = split_endpoint(planned.config.get(setting))[2]
            if path.rpartition("/")[2] == planned.name:
                yield messages.bucket_in_endpoint(setting, path, planned.name)


def _sources(found: list[StorageUse], distinct: list[Config]) -> Iterator[BucketSource]:
    for config in distinct:
        with suppress(ConfigurationError):
            yield from listed_sources(config, found)
    for use in found:
        with suppress(ConfigurationError):
            yield used_source(use)


def _colliding_templates(found: list[StorageUse], distinct: list[Config]) -> Iterator[CheckMessage]:
    """Compare the templates of each place. Names from fields and functions are known only at run time.

    Servers are identified by their access key, since one may have two names.
    """
    places: dict[tuple[object, str], dict[BucketStrategy, BucketTemplate]] = {}
    in_settings = [(entry.strategy, config) for entry, config in _entries(distinct)]
    for strategy, config in [*in_settings, *((use.strategy, use.config) for use in found)]:
        if strategy is not None and strategy.tenant_template is not None:
            place = (config.get("MINIO_ACCESS_KEY"), str(getattr(strategy, "bucket", "")))
            places.setdefault(place, {})[strategy] = strategy.tenant_template
    for templates in places.values():
        for (one, template), (other, another) in combinations(templates.items(), 2):
            if template.may_collide(another):
                yield messages.colliding_templates(one, other)


def _shared_by_tenants(found: list[StorageUse]) -> Iterator[CheckMessage]:
    """Report routers without a strategy that tenants use; for shared tables they are fine."""
    tenancy = get_tenancy()
    if tenancy.problem() is not None:
        return
    for use in found:
        if not isinstance(use.storage, MinioRouter) or use.strategy is not None or use.is_fallback:
            continue
        of_tenants = use.model is None or (tenancy.divides(use.model) and not tenancy.is_shared(use.model))
        if of_tenants and (use.model is None or use.alias is None):  # report an alias once, not per field
            yield messages.missing_strategy(use.where, use.config.media_bucket)


def _shared_rows(found: list[StorageUse]) -> Iterator[CheckMessage]:
    """Report fields of shared rows whose files have no place, or belong to one tenant."""
    tenancy = get_tenancy()
    if tenancy.problem() is not None or tenancy.shared_key is None:
        return  # with rows as tenants, all tables are shared, and only owners identify the tenant
    for use in found:
        strategy, model = use.strategy, use.model
        if strategy is None or model is None or use.is_fallback or isinstance(use.field, BucketFileField):
            continue
        if tenancy.is_shared(model):
            if not _has_bucket(strategy, model, tenancy.shared_key):
                yield messages.shared_rows(use.where, strategy, "has no bucket for public: each call raises")
        elif strategy.varies_by_tenant and tenancy.key_of_rows(router.db_for_write(model)) is None:
            yield messages.shared_rows(use.where, strategy, "stores for whichever tenant is active")


def _has_bucket(strategy: BucketStrategy, model: type[Model], key: str | None) -> bool:
    try:
        with get_tenancy().bucket_context(key):
            strategy.bucket_for(model)
    except TenantRequired:
        return False
    except (ConfigurationError, RoutingError):
        pass  # another check reports it
    return True


def _shared_thumbnails(found: list[StorageUse]) -> Iterator[CheckMessage]:
    tenancy = get_tenancy()
    routed = any(use.strategy is not None and use.strategy.keeps_tenants_apart for use in found)
    if not routed or tenancy.problem() is not None:
        return
    for library, alias in _thumbnail_caches():
        cache = settings.CACHES.get(alias, {})
        keeps_nothing = str(cache.get("BACKEND")).endswith(".DummyCache")
        if apps.is_installed(library) and not ("KEY_FUNCTION" in cache or keeps_nothing):
            yield messages.shared_thumbnails(library, _thumbnail_remedy(tenancy.cache_key_function, alias))
    for config in apps.get_app_configs():
        if config.name in _THUMBNAIL_TABLES and any(map(tenancy.is_shared, config.get_models())):
            yield messages.shared_thumbnails(config.name, f"Add {config.name!r} to TENANT_APPS.")


def _thumbnail_remedy(key_function: str, alias: str) -> str:
    if key_function:
        return f"Add to CACHES[{alias!r}]: 'KEY_FUNCTION': {key_function!r}."
    return (
        "Start the names of pictures with their tenant ('upload_to'), and silence this check. Or give "
        f"CACHES[{alias!r}] a KEY_FUNCTION that adds the tenant."
    )


def _thumbnail_caches() -> Iterator[tuple[str, str]]:
    """Yield the libraries that cache thumbnails, with the cache alias."""
    yield "sorl.thumbnail", getattr(settings, "THUMBNAIL_CACHE", "default")
    yield "imagekit", getattr(settings, "IMAGEKIT_CACHE_BACKEND", None) or "default"
    yield "wagtail.images", "renditions" if "renditions" in settings.CACHES else "default"


def _entries(distinct: list[Config]) -> Iterator[tuple[ListedBuckets, Config]]:
    """Yield what the settings list; _listed_buckets reports invalid lists."""
    for config in distinct:
        with suppress(ConfigurationError):
            yield from [(entry, config) for entry in listed(config)]


def _plain_http(config: Config) -> Iterator[CheckMessage]:
    try:
        internal, external = config.internal, config.external
    except ConfigurationError:
        return
    if internal.memory and not is_isolated():
        yield messages.memory_endpoint()
    if not internal.use_https:
        yield messages.plain_http("MINIO_USE_HTTPS", internal.endpoint)
    if external is not internal and not external.use_https:
        yield messages.plain_http("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS", external.endpoint)


def _public_uploads(found: list[StorageUse]) -> Iterator[CheckMessage]:
    of_fields = [use.strategy for use in found if use.field is not None and use.strategy is not None]
    for strategy in dict.fromkeys(of_fields):
        if strategy.public_read:
            yield messages.public_uploads(strategy)
