"""``MINIO_DIRECT_UPLOAD``: permission, maximum size, expiry and scan of direct uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import ConfigurationError
from ..settings.config import Config, import_callable

if TYPE_CHECKING:
    from django.db.models import FileField
    from django.http import HttpRequest

    from ..storage.uploaded import UploadedObject

_DAY = timedelta(days=1)
_GIB = 1024**3


def is_logged_in(request: HttpRequest, field: FileField) -> bool:
    """Allow uploads by users who are logged in."""
    user = getattr(request, "user", None)
    return user is not None and user.is_authenticated


class DirectUpload(NamedTuple):
    """The setting, with defaults; sizes in bytes, ``life`` in seconds."""

    permission: Callable[[HttpRequest, FileField], bool]
    scan: Callable[[UploadedObject], bool] | None
    max_size: int
    life: int
    keep_max_size: int


def direct_upload() -> DirectUpload:
    """Return what the setting says now. ``ConfigurationError`` if an entry is wrong."""
    setting = Config().get("MINIO_DIRECT_UPLOAD")
    _refuse_unknown(setting)
    expiry = setting.get("EXPIRY", _DAY / 2)
    # What stays below incoming/ is removed after a day.
    if not isinstance(expiry, timedelta) or not timedelta(minutes=1) <= expiry <= _DAY:
        raise _error("EXPIRY", expiry, "a timedelta from a minute to a day")
    return DirectUpload(
        _callable(setting, "PERMISSION") or is_logged_in,
        _callable(setting, "SCAN"),
        _bytes(setting, "MAX_SIZE", 5 * _GIB, least=1),
        int(expiry.total_seconds()),
        _bytes(setting, "KEEP_MAX_SIZE", 2 * _GIB, least=0),
    )


def _refuse_unknown(setting: Mapping[str, Any]) -> None:
    known = {"PERMISSION", "SCAN", "MAX_SIZE", "EXPIRY", "KEEP_MAX_SIZE"}
    for name in setting.keys() - known:
        raise ConfigurationError(
            f"MINIO_DIRECT_UPLOAD has the unknown entry {name!r}. Use {', '.join(sorted(known))}."
        )


def _bytes(setting: Mapping[str, Any], name: str, default: int, *, least: int) -> int:
    found = setting.get(name, default)
    if type(found) is not int or found < least:
        raise _error(name, found, f"a number of bytes from {least} up")
    return found


def _callable(setting: Mapping[str, Any], name: str) -> Any:
    found = setting.get(name)
    what = f"MINIO_DIRECT_UPLOAD[{name!r}] is"
    return None if found is None else import_callable(what, found, "a callable or its dotted path")


def _error(name: str, value: object, expected: str) -> ConfigurationError:
    return ConfigurationError(f"MINIO_DIRECT_UPLOAD[{name!r}] is {value!r}. It takes {expected}.")
