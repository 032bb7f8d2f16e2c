"""Imports that take long, deferred to the first use of a server.

urllib3 and the SDK, with its admin client and its cryptography, take several times as long as the rest of
this package. ``manage.py`` and tests with files in memory need neither; only code that uses the SDK's client
needs that. Besides optional dependencies, this is the only module that imports within functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def connections() -> ModuleType:
    """Import and return ``connections``, and with it urllib3."""
    from . import connections

    return connections


def sdk() -> ModuleType:
    """Import and return ``sdk``, and with it ``minio``."""
    from . import sdk

    return sdk


def warm_up() -> None:
    """Import what the first request would otherwise import, which takes some tenths of a second.

    Call it in a worker before its first request, or in a server before it forks its workers.
    """
    sdk()
    connections()
