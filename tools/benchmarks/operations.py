"""Save, read and check files: one at a time, in threads, and once to count requests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .subjects import PRIVATE
from .workbench import BODY, Call, Workbench, duration


def once(bench: Workbench, kind: str, name: str) -> bool:
    """Make one call, whose requests the run counts. Return False if the package has no such call."""
    private, public = bench.private, bench.subject.public
    calls: dict[str, Call] = {
        "save": bench.saving(name),
        "read": partial(bench.read, name),
        "glance": partial(_glance, bench, name),
        "exists": partial(private.exists, name),
        "size": partial(private.size, name),
        "delete": partial(private.delete, name),
        "private link": partial(private.url, name),
    }
    if public is not None:
        calls["public link"] = partial(public.url, name)
    if kind in calls:
        calls[kind]()
    return kind in calls


def _glance(bench: Workbench, name: str) -> None:
    with bench.private.open(name) as file:
        file.read(100)


def pairs(bench: Workbench, kind: str, count: int) -> list[tuple[int, int]]:
    """Return (package, floor) in nanoseconds for each of ``count`` pairs, which alternate in one loop."""
    timed = []
    for number, (package, floor) in zip(range(count), PAIRS[kind](bench), strict=False):
        if number % 2:
            timed.append((duration(package), duration(floor)))
        else:
            timed.append((duration(floor), duration(package))[::-1])
    return timed


def _saves(bench: Workbench) -> Iterator[tuple[Call, Call]]:
    while True:
        target = bench.floor.target("PUT", PRIVATE, bench.new_name())
        yield bench.saving(bench.new_name()), partial(bench.floor.request, "PUT", target, BODY)


def _reads(bench: Workbench) -> Iterator[tuple[Call, Call]]:
    name = bench.stored()
    floor = partial(bench.floor.request, "GET", bench.floor.target("GET", PRIVATE, name))
    while True:
        yield partial(bench.read, name), floor


def _looks(bench: Workbench) -> Iterator[tuple[Call, Call]]:
    name = bench.stored()
    floor = partial(bench.floor.request, "HEAD", bench.floor.target("HEAD", PRIVATE, name))
    while True:
        yield partial(bench.private.exists, name), floor


PAIRS = {"save": _saves, "read": _reads, "exists": _looks}


def rates(bench: Workbench, threads: int, count: int, floor_first: bool) -> list[float]:
    """Return operations a second of (package, floor): as many saves as reads of 10 KiB, in threads."""
    saves, reads = _saves(bench), _reads(bench)
    both = [next(source) for _ in range(count // 2) for source in (saves, reads)]
    package, floor = [pair[0] for pair in both], [pair[1] for pair in both]
    if floor_first:
        return [_rate(floor, threads), _rate(package, threads)][::-1]
    return [_rate(package, threads), _rate(floor, threads)]


def _rate(calls: list[Call], threads: int) -> float:
    warm_up, timed = calls[: 4 * threads], calls[4 * threads :]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(_run, warm_up))  # connections
        taken = duration(lambda: list(pool.map(_run, timed)))
    return len(timed) * 1e9 / taken


def _run(call: Call) -> None:
    call()
