"""Create many public buckets, for the first time and again."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

from .subjects import sdk
from .workbench import Workbench, duration


def new_names(bench: Workbench, count: int) -> list[str]:
    return [f"bench-{secrets.token_hex(8)}" for _ in range(count)]


def initialize(bench: Workbench, names: list[str]) -> int:
    """Create these public buckets with the package, and return the nanoseconds."""
    run = bench.subject.initialize
    assert run is not None
    return duration(lambda: run(names))


def remove(bench: Workbench, names: list[str]) -> None:
    client = sdk(bench.server)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: client.remove_bucket(bucket_name=name), names))
