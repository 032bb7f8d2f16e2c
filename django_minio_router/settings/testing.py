"""Where files go while a project's tests run: in this process, unless a setting says otherwise.

A test can only remove its own files: those in memory, or in buckets made for the run.
"""

from __future__ import annotations

import os
import secrets
import sys
import zlib
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections

from ..exceptions import ConfigurationError
from ..naming import MAX_BUCKET_NAME
from .declared import checked
from .endpoints import split_endpoint

if TYPE_CHECKING:
    from .server import Server

MEMORY = "memory:"  # as an endpoint: no server at all

# Set by this package's own test suite, whose servers hold nothing else. There is no setting for it: a
# project's tests may delete in memory and in buckets with the prefix only.
servers_hold_only_tests = False

_START = secrets.token_hex(8)  # two runs on one machine may use databases of the same name
_DIGEST = 8  # characters of the digest that replaces the end of a long name


def is_under_test() -> bool:
    """Return whether Django's test environment is set up, as its runner, pytest-django and workers do.

    Every storage call asks, so nothing is imported here. Only ``setup_test_environment()`` leaves
    ``saved_data``; ``mail.outbox`` also exists in a project with the locmem e-mail backend.
    """
    utils = sys.modules.get("django.test.utils")
    return utils is not None and "saved_data" in vars(utils._TestState)  # hasattr() takes four times as long


def test_state() -> str | None:
    """Return None if no tests are running, else the prefix of their buckets."""
    return prefix_of_tests() if is_under_test() else None


def is_isolated() -> bool:
    """Return whether files are kept in memory because tests are running."""
    return is_under_test() and testing_mode() == "memory"


def testing_mode() -> str:
    """Return ``MINIO_TESTING``. ``ConfigurationError`` if it is invalid."""
    mode: str = checked("MINIO_TESTING", getattr(settings, "MINIO_TESTING", None))
    return mode


def path_of_site() -> str:
    """Return the path before the URLs of the site, without a slash at the end; none in tests."""
    return "" if is_isolated() else (settings.FORCE_SCRIPT_NAME or "").rstrip("/")


def memory_options(server: str, endpoint: str) -> dict[str, Any]:
    """Return the settings of the in-memory server that replaces this one; each server has its own."""
    name = f"{zlib.crc32(server.encode()):08x}.memory" if server else "memory"
    _, host, path = split_endpoint(endpoint)
    return {
        "MINIO_ENDPOINT": name if endpoint in ("", MEMORY) else host + path.replace("/", "-"),
        "MINIO_USE_HTTPS": True,
        "MINIO_ACCESS_KEY": "memory",
        "MINIO_SECRET_KEY": "memory",
        "MINIO_CONDITIONAL_WRITES": True,
        "MINIO_HTTP_CLIENT": None,
    }


def prefix_of_tests() -> str:
    """Return the prefix of this process's buckets while its tests use real servers; else empty.

    It differs by database, and so by worker of a parallel run.
    """
    if not is_under_test() or testing_mode() != "prefix":
        return ""
    databases = [str(values.get("NAME")) for values in connections.settings.values()]
    digest = sha256(repr((_START, os.getpid(), databases)).encode()).hexdigest()
    return f"test-{digest[:10]}-"


def with_prefix(prefix: str, name: str) -> str:
    """Return the bucket's name with the prefix, added once; a digest replaces the end of a long name."""
    if name.startswith(prefix):
        return name
    whole = prefix + name
    if len(whole) <= MAX_BUCKET_NAME:
        return whole
    start = whole[: MAX_BUCKET_NAME - _DIGEST - 1].rstrip("-.")
    return f"{start}-{sha256(name.encode()).hexdigest()[:_DIGEST]}"


def refuse_in_tests(server: Server, place: str) -> None:
    """Raise ``ConfigurationError`` if tests are running and the files of the place are not their own."""
    is_own = server.memory or server.test_prefix
    if not is_own and is_under_test() and not servers_hold_only_tests:
        raise ConfigurationError(
            f"Tests are running with MINIO_TESTING = {testing_mode()!r}, so nothing is deleted from {place}: "
            "its files may not be theirs. Set MINIO_TESTING to 'memory' or 'prefix'."
        )
