"""Watch the memory of the site's processes for growth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import psutil

MEBIBYTE = 1024 * 1024


class Sample(NamedTuple):
    """The total memory of the workers at one moment, and their process ids."""

    mebibytes: float
    descriptors: float
    sockets: float
    threads: float
    workers: tuple[int, ...] = ()


MAY_GROW = Sample(mebibytes=24, descriptors=16, sockets=16, threads=0)
"""More than this between the second quarter of the time and the last is a leak. A minute is not long enough
for less: until then the C library makes a heap for each thread, and keeps it."""


def sample(master: int) -> Sample:
    """Measure the workers of gunicorn's master process."""
    workers = psutil.Process(master).children()
    return Sample(
        sum(worker.memory_info().rss for worker in workers) / MEBIBYTE,
        sum(worker.num_fds() for worker in workers),
        sum(len(worker.net_connections()) for worker in workers),
        sum(worker.num_threads() for worker in workers),
        tuple(worker.pid for worker in workers),
    )


def quarters(samples: Sequence[Sample]) -> list[Sample]:
    """Return the medians of each quarter of the time; nothing where it was too short for quarters."""
    size = len(samples) // 4
    parts = [samples[number * size : (number + 1) * size] for number in range(4 if size else 0)]
    return [Sample(*(median(column) for column in list(zip(*part, strict=True))[:4])) for part in parts]


def growth(samples: Sequence[Sample]) -> Iterator[str]:
    """Yield what grew from the second quarter, when pools and caches are full, to the last."""
    medians = quarters(samples)
    if not medians:
        yield f"The workers were looked at {len(samples)} times, which tells nothing about growth."
        return
    _, second, _, last = medians
    for what in ("mebibytes", "descriptors", "sockets", "threads"):
        before, after, limit = (getattr(each, what) for each in (second, last, MAY_GROW))
        if after > before + limit:
            yield f"The workers' {what} grew from {before:.1f} to {after:.1f}."
    settled = samples[len(samples) // 4 :]
    if len({each.workers for each in settled}) > 1:
        yield "A worker ended, and another took its place."
