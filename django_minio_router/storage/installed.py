"""Is the app in ``INSTALLED_APPS``? Said at first use, since an app that is not there checks nothing."""

from __future__ import annotations

import logging
from functools import cache

from django.apps import apps

from ..exceptions import ConfigurationError

logger = logging.getLogger(__name__)

_APP = "django_minio_router"
_REMEDY = f"Add {_APP!r} to INSTALLED_APPS."


def _is_missing() -> bool:
    return apps.apps_ready and not apps.is_installed(_APP)


def refuse_if_not_installed(strategy: object) -> None:
    """Raise ``ConfigurationError``: no field is bound, no quota kept, and no bucket known to be taken."""
    if _is_missing():
        raise ConfigurationError(f"{strategy!r} routes, and {_APP!r} is not installed. {_REMEDY}")


def warn_if_not_installed() -> None:
    """Log a warning, once: django-minio-backend's single buckets work without the app, so they do here."""
    if _is_missing():
        _warn()


@cache
def _warn() -> None:
    logger.warning(
        "A storage is used, and %r is not installed: there are no system checks and no commands. %s",
        _APP,
        _REMEDY,
    )
