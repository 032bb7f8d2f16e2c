"""Is the app in ``INSTALLED_APPS``? Said by a check that the first storage registers, and at first use."""

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
    """Let ``manage.py check`` say it too. An app that is not there registers nothing, so the storages do."""
    register_check(_check, Tags.files)


def _check(**kwargs: Any) -> list[CheckMessage]:
    return [messages.not_installed(_APP)] if _is_missing() else []


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
