"""The goals, each with the number that the run measured, and the request budget that must never be broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from . import links
from .rounds import Results, Series

PEERS = ("five", "dmb", "dms", "dst", "dst-u")
MIB = 1024 * 1024

BUDGET = {
    "first save": 4,
    "save, new name": 1,
    "save, taken name": 2,
    "open + read": 1,
    "exists": 1,
    "size": 1,
    "private link": 0,
    "public link": 0,
    "delete": 1,
    "100 buckets, first run": 301,
    "100 buckets, second run": 101,
}
GLANCE = 260_000  # bytes


def broken_budgets(results: Results) -> Iterator[str]:
    """Yield the operations that send too many requests."""
    for row, limit in BUDGET.items():
        sent = results.requests["ours"][row]
        if sent > limit:
            yield f"{row}: {sent} requests instead of {limit}"
    if results.bytes["ours"] > GLANCE:
        yield f"100 bytes of 16 MiB: {results.bytes['ours']} bytes instead of {GLANCE}"


@dataclass(frozen=True)
class Goal:
    """A number that should be at most (or, with ``at_least``, at least) its limit."""

    label: str
    limit: float
    unit: str
    of: Callable[[Results, str], list[float]]
    at_least: bool = False

    def measured(self, results: Results) -> list[float]:
        return self.of(results, "ours")

    def holds(self, results: Results) -> bool:
        number = median(self.measured(results))
        return number >= self.limit if self.at_least else number <= self.limit

    def best_peer(self, results: Results) -> float | None:
        found = [median(numbers) for peer in PEERS if (numbers := self.of(results, peer))]
        return (max if self.at_least else min)(found, default=None)


def operation(kind: str) -> Callable[[Results, str], list[float]]:
    return lambda results, name: results.operations[kind].get(name, [])


def link(kind: str) -> Callable[[Results, str], list[float]]:
    return lambda results, name: [own / floor for own, floor in results.links[kind].get(name, [])]


def large(kind: str, what: str) -> Callable[[Results, str], list[float]]:
    """``what`` is the ratio to the floor, or the growth of the memory in MiB."""

    def numbers(results: Results, name: str) -> list[float]:
        rows = results.large[kind].get(name, [])
        if what == "time":
            return [row["time"] / row["floor"] for row in rows]
        return [row["growth"] / MIB for row in rows]

    return numbers


def throughput(kind: str) -> Callable[[Results, str], list[float]]:
    """Return the bytes a second of a streamed download, as a share of the floor's."""

    def ratios(results: Results, name: str) -> list[float]:
        rows = results.downloads.get(kind, []) if name == "ours" else []
        return [row["floor"] / row["time"] for row in rows]

    return ratios


def routing(results: Results, name: str) -> list[float]:
    """Return the worst of all kinds of router, in microseconds a call above the backend."""
    if name != "ours":
        return []
    return max(([ns / 1000 for ns in series] for series in results.routing.values()), key=median)


def rows_above_schemas(results: Results, name: str) -> list[float]:
    """Return what tenants as rows cost above schemas, in microseconds a call."""
    if name != "ours":
        return []
    pairs = zip(results.routing[links.ROWS], results.routing["per tenant"], strict=True)
    return [(rows - schemas) / 1000 for rows, schemas in pairs]


def bucket_time(run: int) -> Callable[[Results, str], list[float]]:
    """Return the time of the first (0) or second (1) run as a multiple of the raw loop's in its round."""

    def ratios(results: Results, name: str) -> list[float]:
        series: Series[tuple[int, int]] = results.buckets
        return [own[run] / raw[run] for own, raw in zip(series.get(name, []), series["raw"], strict=False)]

    return ratios


GOALS = (
    Goal("save 10 KiB", 1.15, "× floor", operation("save")),
    Goal("read 10 KiB", 1.06, "× floor", operation("read")),
    Goal("exists", 1.08, "× floor", operation("exists")),
    Goal("private link, new name", 1.5, "× floor", link("new")),
    Goal("private link, same name within its window", 0.3, "× floor", link("same")),
    Goal("public link", 1.2, "× floor", link("public")),
    Goal("8 threads, operations a second", 0.85, "× floor", lambda r, name: r.threads.get(name, []), True),
    Goal("256 MiB saved: time", 1.05, "× floor", large("save", "time")),
    Goal("256 MiB saved: growth of memory", 24, "MiB", large("save", "growth")),
    Goal("256 MiB read: time", 1.1, "× floor", large("read", "time")),
    Goal("256 MiB read: growth of memory", 2, "MiB", large("read", "growth")),
    Goal("256 MiB downloaded under WSGI, bytes a second", 0.8, "× floor", throughput("WSGI"), True),
    Goal("256 MiB downloaded under ASGI, bytes a second", 0.8, "× floor", throughput("ASGI"), True),
    Goal("router above backend, a call", 3, "µs", routing),
    Goal("tenants as rows above schemas, a call", 1, "µs", rows_above_schemas),
    Goal("500 public buckets, first run", 0.5, "× raw loop", bucket_time(0)),
    Goal("500 public buckets, second run", 0.5, "× raw loop", bucket_time(1)),
)
