"""Where files are kept while a project is tested: in this process, unless a setting says otherwise."""

from __future__ import annotations

import sys
import zlib
from typing import Any

from django.conf import settings

from .declared import checked
from .endpoints import split_endpoint

MEMORY = "memory:"  # as an endpoint: no server at all


def is_under_test() -> bool:
    """Tell whether Django's test environment is set up: its runner, pytest-django and parallel workers do it.

    Asked for at each call of a storage, so without an import. What ``setup_test_environment()`` saves is a
    sign that nothing else leaves: ``mail.outbox`` is there also in a project with the locmem e-mail backend.
    """
    utils = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


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
