"""The numbers of a run, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .watch import Sample, quarters


def text(statistics: Sequence[dict[str, Any]], samples: Sequence[Sample], files: int) -> str:
    end = f"Files in the buckets at the end: {files:,}"
    return "\n".join([*_requests(statistics), "", *_held(samples), "", end])


def _requests(statistics: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| request | count | failed | median, ms | 95 %, ms |"
    yield "|---|---|---|---|---|"
    for entry in sorted(statistics, key=lambda entry: entry["name"]):
        counts = _milliseconds(entry)
        yield (
            f"| {entry['name']} | {entry['num_requests']:,} | {entry['num_failures']:,} "
            f"| {_share(counts, 0.5):.0f} | {_share(counts, 0.95):.0f} |"
        )
    total, failed = (sum(entry[key] for entry in statistics) for key in ("num_requests", "num_failures"))
    yield f"| **all** | **{total:,}** | **{failed:,}** | | |"


def _milliseconds(entry: dict[str, Any]) -> list[tuple[float, int]]:
    return sorted((float(time), count) for time, count in entry["response_times"].items())


def _share(counts: list[tuple[float, int]], share: float) -> float:
    """Return the response time at this percentile."""
    left = share * sum(count for _, count in counts)
    for time, count in counts:
        left -= count
        if left <= 0:
            return time
    return 0.0


def _held(samples: Sequence[Sample]) -> Iterator[str]:
    yield "| the workers hold, in all | memory, MiB | descriptors | sockets among them | threads |"
    yield "|---|---|---|---|---|"
    for number, each in enumerate(quarters(samples), 1):
        held = f"{each.mebibytes:.1f} | {each.descriptors:.0f} | {each.sockets:.0f} | {each.threads:.0f}"
        yield f"| quarter {number}, median | {held} |"
