"""System checks for direct upload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags
from django.core.checks import register as register_check
from django.urls import NoReverseMatch, reverse

from .. import messages
from ..buckets.hooks import bucket_hooks, name_of
from ..exceptions import ConfigurationError
from ..inventory.uses import StorageUse, configs, uses
from ..naming import INCOMING
from .conf import direct_upload


def register() -> None:
    register_check(check_direct_upload, Tags.files)


def check_direct_upload(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    try:
        direct_upload()
    except ConfigurationError as error:
        return [messages.bad_setting(error)]
    try:
        found = uses()
    except ConfigurationError:  # another check reports it
        return [*_urls()]
    return [*_cors(found), *_names(found), *_urls()]


def _cors(found: list[StorageUse]) -> Iterator[CheckMessage]:
    try:
        real = [config for config in configs(found) if not config.in_memory]
        names = [name_of(hook) for config in real for hook in bucket_hooks(config)]
    except ConfigurationError:
        return  # another check reports it
    if real and not any("cors" in name.lower() for name in names):
        yield messages.no_cors()


def _names(found: list[StorageUse]) -> Iterator[CheckMessage]:
    for use in found:
        upload_to = getattr(use.field, "upload_to", "")
        if isinstance(upload_to, str) and f"{upload_to.strip('/')}/".startswith(INCOMING):
            yield messages.stores_in_incoming(use.where, upload_to)


def _urls() -> Iterator[CheckMessage]:
    if not hasattr(settings, "ROOT_URLCONF"):
        return
    try:
        reverse("minio_router_direct:upload")
    except NoReverseMatch:
        yield messages.no_upload_url()
