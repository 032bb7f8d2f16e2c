"""How much is tried: little in each run of the suite, as much as the promise asks with RELIABILITY=full."""

from __future__ import annotations

import os

FULL = os.environ.get("RELIABILITY") == "full"


def scale(short: int, full: int) -> int:
    return full if FULL else short
