"""Is the app in ``INSTALLED_APPS``? The first storage registers a check, and its first use warns."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Tags
from django.core.checks import register as register_check

from .. import messages
from ..exceptions import ConfigurationError

logger = logging.getLogger(__name__)

_APP = "django_minio_router"
_REMEDY = f"Add {_APP!r} to INSTALLED_APPS."


def _is_missing() -> bool:
    return apps.apps_ready and not apps.is_installed(_APP)


@cache
def check_if_installed() -> None:
    """Register the check from a storage: an app that is not installed cannot."""
    register_check(_check, Tags.files)


def _check(**kwargs: Any) -> list[CheckMessage]:
    return [messages.not_installed(_APP)] if _is_missing() else []


def refuse_if_not_installed(strategy: object) -> None:
    """Raise ``ConfigurationError`` if the app is missing: fields, quota and taken buckets depend on it."""
    if _is_missing():
        raise ConfigurationError(f"{strategy!r} needs the app {_APP!r}, which is not installed. {_REMEDY}")


def warn_if_not_installed() -> None:
    """Log a warning once. As in django-minio-backend, single buckets work without the app."""
    if _is_missing():
        _warn()


@cache
def _warn() -> None:
    logger.warning(
        "A storage is used, but %r is not installed, so there are no system checks and no commands. %s",
        _APP,
        _REMEDY,
    )
