"""What takes long to import comes with the first use of a server, and not with the start of every process.

urllib3 and the SDK, with its admin client and its cryptography, take several times as long as all else of
this package. ``manage.py``, and tests that keep their files in memory, do without both; whatever does not ask
for the SDK's own client does without that.
This is the one place, beside optional dependencies, where something is imported within a function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def connections() -> ModuleType:
    """Return ``connections``, and with it urllib3."""
    from . import connections

    return connections


def sdk() -> ModuleType:
    """Return ``sdk``, and with it ``minio``."""
    from . import sdk

    return sdk


def warm_up() -> None:
    """Import all that the first request would import otherwise, in some tenths of a second.

    For a worker before its first request, and for a server that forks its workers before it does.
    """
    sdk()
    connections()
