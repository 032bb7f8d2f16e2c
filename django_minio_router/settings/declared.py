"""Every ``MINIO_*`` setting: its default, its valid values, and the error for an invalid one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from reprlib import repr as shortened
from typing import Any, NamedTuple

from django.utils.functional import LazyObject, Promise

from ..exceptions import ConfigurationError

PREFIX = "MINIO_"
MAX_EXPIRY = 7 * 24 * 60 * 60  # seconds; the longest life that Signature Version 4 allows a link
_MIB = 1024 * 1024
_DAY = 24 * 60 * 60
_PUBLIC_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_REGION = re.compile(r"[!-.0-~]*")  # no slash: slashes delimit it in each signature


class Setting(NamedTuple):
    """A default and a test for other values; None always means the default."""

    default: Any
    takes: str
    is_right: Callable[[Any], bool]
    secret: bool = False

    def shown(self, value: Any) -> str:
        """Return an invalid value as an error may show it: only the type of a secret."""
        return f"of type {type(value).__name__}" if self.secret else shortened(value)


def _text(default: str = "", *, secret: bool = False) -> Setting:
    return Setting(default, "a string", lambda value: isinstance(value, str), secret)


def _key() -> Setting:
    """A key is sent in a header, and one read from a file often ends with a newline."""
    takes = "a string of printable ASCII, without line ends"
    return Setting("", takes, lambda v: isinstance(v, str) and v.isascii() and v.isprintable(), True)


def _flag(default: bool | None = None) -> Setting:
    return Setting(default, "True or False", lambda value: isinstance(value, bool))


def _integer(default: int | None, *, lowest: int, highest: int | None = None) -> Setting:
    end = "up" if highest is None else f"to {highest}"
    return Setting(
        default,
        f"a whole number from {lowest} {end}",
        lambda v: type(v) is int and v >= lowest and (highest is None or v <= highest),
    )


def _seconds(default: float) -> Setting:
    return Setting(
        default, f"seconds above 0, up to {_DAY}", lambda v: type(v) in {int, float} and 0 < v <= _DAY
    )


def _duration(default: timedelta | None = None) -> Setting:
    return Setting(default, "a timedelta from 0 up", lambda v: isinstance(v, timedelta) and v >= timedelta())


def _choice(*choices: str) -> Setting:
    """Accept one of these. The first is the default, unless a strategy has its own for its buckets."""
    return Setting(choices[0], " or ".join(map(repr, choices)), lambda v: isinstance(v, str) and v in choices)


def _object_with(method: str, takes: str, *, or_path: bool = False) -> Setting:
    return Setting(None, takes, lambda v: hasattr(v, method) or (or_path and isinstance(v, str)), secret=True)


def _function(takes: str) -> Setting:
    return Setting(None, takes, _is_function)


def _is_function(value: Any) -> bool:
    return callable(value) or isinstance(value, str)


def _is_public_url(value: Any) -> bool:
    if not isinstance(value, str) or not _PUBLIC_URL.fullmatch(value):
        return False
    return not set("{}") & set(value.replace("{bucket}", ""))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _is_hook(value: Any) -> bool:
    pair = isinstance(value, list | tuple) and len(value) == 2
    return pair and (isinstance(value[1], Mapping) or callable(value[1]))


def _is_server_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(values, Mapping) for name, values in value.items()
    )


_BUCKETS = Setting((), "a list of bucket names and strategies", _is_list)
_HOOKS = Setting(
    (),
    "a list of pairs: a bucket name or a strategy, and a policy, which is a dictionary or a callable",
    lambda value: _is_list(value) and all(map(_is_hook, value)),
)
_BUCKET_HOOKS = Setting(
    (),
    "a list of callables of (client, bucket), or of their dotted paths",
    lambda value: _is_list(value) and all(map(_is_function, value)),
)
_IGNORED = Setting(None, "anything", lambda value: True)

SETTINGS: dict[str, Setting] = {
    "MINIO_ENDPOINT": _text(),
    "MINIO_USE_HTTPS": _flag(),
    "MINIO_ADDRESSING": _choice("path", "virtual"),
    "MINIO_EXTERNAL_ENDPOINT": _text(),
    "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": _flag(),
    "MINIO_PUBLIC_URL": Setting(
        "", "a URL without a query, which may contain '{bucket}' for the bucket's name", _is_public_url
    ),
    "MINIO_URL_SIGNER": _function("a callable of (url, expires) that returns a URL, or its dotted path"),
    "MINIO_REGION": Setting(
        "us-east-1",
        "a string of printable ASCII without spaces and '/'",
        lambda value: isinstance(value, str) and _REGION.fullmatch(value) is not None,
    ),
    "MINIO_ACCESS_KEY": _key(),
    "MINIO_SECRET_KEY": _key(),
    "MINIO_CREDENTIALS": _object_with(
        "retrieve", "a provider from minio.credentials, or the dotted path of one", or_path=True
    ),
    "MINIO_HTTP_CLIENT": _object_with("connection_from_url", "a urllib3.PoolManager"),
    "MINIO_POOL_SIZE": _integer(64, lowest=1, highest=10_000),  # urllib3 allocates a place for each
    "MINIO_CONNECT_TIMEOUT": _seconds(5.0),
    "MINIO_READ_TIMEOUT": _seconds(30.0),
    "MINIO_CALL_TIMEOUT": _seconds(20.0),
    "MINIO_RETRIES": _integer(2, lowest=0),
    "MINIO_CONDITIONAL_WRITES": _flag(),
    "MINIO_CHECKSUMS": _flag(True),
    "MINIO_BUCKET_POLICIES": _flag(True),
    "MINIO_PRIVATE_BUCKETS": _BUCKETS,
    "MINIO_PUBLIC_BUCKETS": _BUCKETS,
    "MINIO_DEFAULT_BUCKET": _text(),
    "MINIO_MEDIA_FILES_BUCKET": _text("auto-generated-bucket-media-files"),
    "MINIO_STATIC_FILES_BUCKET": _text("auto-generated-bucket-static-files"),
    "MINIO_BUCKET_CHECK_ON_SAVE": _flag(False),
    "MINIO_CONSISTENCY_CHECK_ON_START": _flag(False),
    "MINIO_POLICY_HOOKS": _HOOKS,
    "MINIO_BUCKET_HOOKS": _BUCKET_HOOKS,
    "MINIO_TENANCY": Setting(
        None,
        "a dictionary: {'BACKEND': 'django_minio_router.tenancy.RowTenancy', 'OPTIONS': {'model': ...}}",
        lambda value: isinstance(value, Mapping) and isinstance(value.get("OPTIONS", {}), Mapping),
    ),
    "MINIO_PROVISION_TENANTS": _flag(True),
    "MINIO_PURGE_DELETED_TENANTS": _flag(False),
    "MINIO_QUOTA": _function("a callable of the tenant that returns bytes, or its dotted path"),
    "MINIO_DIRECT_UPLOAD": Setting({}, "a dictionary", lambda value: isinstance(value, Mapping)),
    "MINIO_PUBLIC_POLICY": _choice("list", "read"),
    "MINIO_ACTIVE_CONTENT": _choice("inline", "download"),
    "MINIO_URL_EXPIRY_HOURS": _duration(),
    "MINIO_URL_WINDOW": _duration(timedelta(minutes=15)),
    "MINIO_MULTIPART_UPLOAD": _IGNORED,
    "MINIO_MULTIPART_THRESHOLD": _integer(None, lowest=0),
    "MINIO_MULTIPART_PART_SIZE": _integer(8 * _MIB, lowest=5 * _MIB),
    "MINIO_URL_CACHING_ENABLED": _IGNORED,
    "MINIO_URL_CACHE_TIMEOUT": _IGNORED,
    "MINIO_URL_CACHE_PREFIX": _IGNORED,
    "MINIO_URL_CACHING_TIMEOUT": _IGNORED,
    "MINIO_URL_CACHING_PREFIX": _IGNORED,
    "MINIO_TESTING": _choice("memory", "prefix", "real"),
    "MINIO_SERVERS": Setting(
        {},
        "a dictionary that has a dictionary of settings for each server's name",
        _is_server_mapping,
        secret=True,
    ),
}

# Options of a storage that are not settings.
OPTIONS: dict[str, Setting] = {
    "bucket_name": _text(),
    "storage_name": _text(),
    "server": _text(),
    "prefix": _text(),
    "public": _flag(),
    "replace_existing": _flag(),
    "metadata": Setting(
        None,
        "a dictionary, a callable of (name, content) that returns one, or its dotted path",
        lambda value: isinstance(value, Mapping | str) or callable(value),
    ),
    "sse": _object_with("headers", "an encryption of minio.sse"),
    "progress": _object_with(
        "set_meta", "an object with set_meta() and update(), as the SDK's put_object does"
    ),
}

DEFAULTS: dict[str, Any] = {name: setting.default for name, setting in SETTINGS.items()}


def checked(name: str, value: Any) -> Any:
    """Return the value, or the default for None.

    Raise ``ConfigurationError`` if it is invalid, without showing a secret.
    """
    setting = SETTINGS[name]
    if value is None or value is setting.default:
        return setting.default
    if isinstance(value, Promise) or (isinstance(value, LazyObject) and isinstance(value, str)):
        value = str(value)  # regular expressions and the network take real strings only
    if setting.is_right(value):
        return value
    # Overwritten, so that a debug page cannot show a secret in a local variable.
    value = setting.shown(value)
    raise ConfigurationError(f"{name} is {value}. It takes {setting.takes}.")


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ``ConfigurationError`` if a storage option that is not a setting has an invalid value."""
    for name, value in options.items():
        option = OPTIONS[name]
        if value is not None and not option.is_right(value):
            raise ConfigurationError(
                f"The option {name!r} of a storage is {option.shown(value)}. It takes {option.takes}."
            )
