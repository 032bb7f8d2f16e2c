"""``manage.py check``: mistakes in settings and strategies, found without network or database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags
from django.core.checks import register as register_check

from . import messages
from .conf import Config, endpoint_problem, split_external
from .discovery import Use, configs, models_by_strategy, uses
from .exceptions import ConfigurationError, PrivatePublicMixedError
from .naming import bucket_name_problem
from .router import MinioRouter
from .signing import MAX_EXPIRY


def register() -> None:
    register_check(check_settings, Tags.files)
    register_check(check_storages, Tags.files)
    register_check(check_https, Tags.security, deploy=True)


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check each different source of settings once."""
    try:
        sources = configs(uses())
    except ConfigurationError as error:
        return [messages.bad_setting(error)]
    return [message for config in sources for message in _config_messages(config)]


def _config_messages(config: Config) -> Iterator[CheckMessage]:
    yield from _endpoints(config)
    yield from _keys(config)
    yield from _declared_buckets(config)
    yield from _expiry(config)


def _endpoints(config: Config) -> Iterator[CheckMessage]:
    endpoint, external = config.get("MINIO_ENDPOINT"), config.get("MINIO_EXTERNAL_ENDPOINT")
    external_https = config.get("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS")
    if not endpoint:
        yield messages.missing_endpoint()
    elif problem := endpoint_problem(endpoint):
        yield messages.malformed_endpoint("MINIO_ENDPOINT", endpoint, problem)
    if external:
        scheme, host, _ = split_external(external)
        if problem := endpoint_problem(host):
            yield messages.malformed_endpoint("MINIO_EXTERNAL_ENDPOINT", external, problem)
        elif external_https is None and not scheme:
            yield messages.half_external_endpoint("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS")
    elif external_https:
        yield messages.half_external_endpoint("MINIO_EXTERNAL_ENDPOINT")


def _keys(config: Config) -> Iterator[CheckMessage]:
    if config.get("MINIO_CREDENTIALS") is None:
        for setting in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
            if not config.get(setting):
                yield messages.missing_key(setting)


def _declared_buckets(config: Config) -> Iterator[CheckMessage]:
    try:
        private, public = config.declared
    except PrivatePublicMixedError as error:
        yield messages.private_and_public(error)
        return
    for name in sorted(private | public):
        if bucket_name_problem(name):
            setting = "MINIO_PUBLIC_BUCKETS" if name in public else "MINIO_PRIVATE_BUCKETS"
            yield messages.invalid_bucket(name, setting)


def _expiry(config: Config) -> Iterator[CheckMessage]:
    expiry = config.get("MINIO_URL_EXPIRY_HOURS")
    if expiry is not None and not 0 < expiry.total_seconds() <= MAX_EXPIRY:
        yield messages.expiry_too_long()


def check_storages(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Check what each strategy reports, and the buckets that storages name themselves."""
    try:
        found = uses()
    except ConfigurationError:
        return []  # check_settings reports it
    by_strategy = models_by_strategy(found).items()
    reported = [message for strategy, models in by_strategy for message in strategy.check(models)]
    return [*reported, *_single_buckets(found)]


def _single_buckets(found: list[Use]) -> Iterator[CheckMessage]:
    """Report buckets that no setting declares. What else is wrong with them is reported elsewhere."""
    for use in found:
        backend = use.storage.default if isinstance(use.storage, MinioRouter) else use.storage
        if backend is None:
            continue
        if bucket_name_problem(backend.bucket):
            yield messages.invalid_bucket(backend.bucket, use.where)
            continue
        try:
            backend.is_bucket_public  # noqa: B018
        except PrivatePublicMixedError:
            continue
        except ConfigurationError:
            yield messages.undeclared_bucket(backend.bucket, use.where)


def check_https(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Under ``check --deploy``: report plain HTTP."""
    try:
        sources = configs(uses())
    except ConfigurationError:
        return []
    return [message for config in sources for message in _plain_http(config)]


def _plain_http(config: Config) -> Iterator[CheckMessage]:
    for setting in ("MINIO_USE_HTTPS", "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS"):
        if config.get(setting) is False:
            yield messages.plain_http(setting)
