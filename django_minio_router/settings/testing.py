"""Where files are kept while a project is tested: in this process, unless a setting says otherwise.

What a test removes is its own: in memory, or in buckets that were made for it.
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

# Set by this package's own suite, whose servers hold nothing but what it made. No setting does it: the tests
# of a project remove what is theirs in memory, and with a prefix.
servers_hold_only_tests = False

_START = secrets.token_hex(8)  # two runs on one machine may have databases of one name
_DIGEST = 8  # characters that stand for the rest of a long name


def is_under_test() -> bool:
    """Tell whether Django's test environment is set up: its runner, pytest-django and parallel workers do it.

    Asked at each call of a storage, so without an import. What ``setup_test_environment()`` saves is a
    sign that nothing else leaves: ``mail.outbox`` is there also in a project with the locmem e-mail backend.
    """
    utils = sys.modules.get("django.test.utils")
    return utils is not None and "saved_data" in vars(utils._TestState)  # hasattr() takes four times as long


def test_state() -> str | None:
    """Return None if no tests are running, else what buckets begin with."""
    return prefix_of_tests() if is_under_test() else None


def is_isolated() -> bool:
    """Tell whether files are kept in memory since tests are running."""
    return is_under_test() and testing_mode() == "memory"


def testing_mode() -> str:
    """Return ``MINIO_TESTING``. ``ConfigurationError`` if it is wrong."""
    mode: str = checked("MINIO_TESTING", getattr(settings, "MINIO_TESTING", None))
    return mode


def memory_options(server: str, endpoint: str) -> dict[str, Any]:
    """Return the settings of what stands in for a server: named as it is, so that servers stay apart."""
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
    """Return what this process's buckets begin with while its tests use real servers; else empty.

    It is another one for each database, and so for each worker of a parallel run.
    """
    if not is_under_test() or testing_mode() != "prefix":
        return ""
    databases = [str(values.get("NAME")) for values in connections.settings.values()]
    digest = sha256(repr((_START, os.getpid(), databases)).encode()).hexdigest()
    return f"test-{digest[:10]}-"


def with_prefix(prefix: str, name: str) -> str:
    """Return the bucket's name with the prefix, once; the end of a long name becomes a digest."""
    if name.startswith(prefix):
        return name
    whole = prefix + name
    if len(whole) <= MAX_BUCKET_NAME:
        return whole
    kept = whole[: MAX_BUCKET_NAME - _DIGEST - 1].rstrip("-.")
    return f"{kept}-{sha256(name.encode()).hexdigest()[:_DIGEST]}"


def refuse_in_tests(server: Server, place: str) -> None:
    """Raise ``ConfigurationError`` if tests are running and what is in the place is not their own."""
    is_own = server.memory or server.test_prefix
    if not is_own and is_under_test() and not servers_hold_only_tests:
        raise ConfigurationError(
            f"Tests are running, so nothing is deleted from {place}: it is not known to be theirs. "
            f"MINIO_TESTING is {testing_mode()!r}. Set it to 'memory' or 'prefix'."
        )
