"""The app: connects what must be connected before models load, and registers the system checks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command
from django.core.signals import setting_changed

from .exceptions import ConfigurationError
from .settings.config import options_of
from .storage import binding
from .tenancy import get_tenancy

# App configs are imported before any model is, so no field is missed.
binding.connect()


def _is_checked_on_start() -> bool:
    """Tell whether a setting or the options of a storage ask for it; nothing else is looked at here."""
    name = "MINIO_CONSISTENCY_CHECK_ON_START"
    try:
        asked = any(options_of(alias).get(name) for alias in settings.STORAGES)
    except ConfigurationError:
        return False  # the system checks report it
    return asked or getattr(settings, name, False)


def _connect_tenancy(**receivers: Callable[[Any], None]) -> None:
    """Hear of tenants that come and go, also if a test sets up another tenancy."""

    def connect(*, setting: str, **kwargs: object) -> None:
        if setting == "MINIO_TENANCY":
            with suppress(ConfigurationError):  # the system checks report it
                get_tenancy().connect(**receivers)

    setting_changed.connect(connect, weak=False, dispatch_uid="minio_router.tenancy")
    connect(setting="MINIO_TENANCY")


class DjangoMinioRouterConfig(AppConfig):
    name = "django_minio_router"
    verbose_name = "MinIO router"
    default = True

    def ready(self) -> None:
        from . import checks
        from .files import purge, quota
        from .inventory import claims
        from .provisioning import new_tenant
        from .s3 import emptying, own_buckets

        checks.register()
        claims.connect()
        quota.connect()
        own_buckets.remove_with(emptying.remove_buckets)
        binding.bind_models()  # the default storage is known only now
        new_tenant.connect()
        _connect_tenancy(created=new_tenant.when_created, deleted=purge.when_deleted)
        if _is_checked_on_start():
            call_command("initialize_buckets", silenced=True)


class DjangoMinioBackendConfig(DjangoMinioRouterConfig):
    """The name that django-minio-backend gives its app config."""

    default = False
