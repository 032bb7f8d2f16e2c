"""The number of repetitions: small in normal runs, full with RELIABILITY=full."""

from __future__ import annotations

import os

FULL = os.environ.get("RELIABILITY") == "full"


def scale(short: int, full: int) -> int:
    return full if FULL else short
