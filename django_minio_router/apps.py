"""The app config: connects signals before models load, and registers the system checks."""

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

# App configs are imported before models, so no field is missed.
binding.connect()


def _is_checked_on_start() -> bool:
    """Return whether a setting or a storage option enables the check on start."""
    name = "MINIO_CONSISTENCY_CHECK_ON_START"
    try:
        is_enabled = any(options_of(alias).get(name) for alias in settings.STORAGES)
    except ConfigurationError:
        return False  # the system checks report it
    return is_enabled or getattr(settings, name, False)


def _connect_tenancy(**receivers: Callable[[Any], None]) -> None:
    """Connect the receivers for new and deleted tenants, again if a test changes the tenancy."""

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

        checks.register()
        claims.connect()
        quota.connect()
        binding.bind_models()  # the default storage is known from now on
        new_tenant.connect()
        _connect_tenancy(created=new_tenant.when_created, deleted=purge.when_deleted)
        if _is_checked_on_start():
            call_command("initialize_buckets", silenced=True)


class DjangoMinioBackendConfig(DjangoMinioRouterConfig):
    """The app config under its name in django-minio-backend."""

    default = False
