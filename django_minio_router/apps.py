"""The app: connects what must be connected before models load, and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command

from .exceptions import ConfigurationError
from .settings.config import options_of
from .storage import binding

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
        from .tenancy import get_tenancy

        checks.register()
        claims.connect()
        quota.connect()
        own_buckets.remove_with(emptying.remove_buckets)
        binding.bind_models()  # the default storage is known only now
        new_tenant.connect()
        get_tenancy().connect(created=new_tenant.when_created, deleted=purge.when_deleted)
        if _is_checked_on_start():
            call_command("initialize_buckets", silenced=True)


class DjangoMinioBackendConfig(DjangoMinioRouterConfig):
    """The name that django-minio-backend gives its app config."""

    default = False
