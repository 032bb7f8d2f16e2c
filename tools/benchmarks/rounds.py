"""The run: measurements, rounds, and their order, which spreads drift of the machine evenly."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from tests.support.proxy import Proxy
from tools.servers import new_s3

from . import buckets, downloads, large, links, operations, steps
from .environments import versions
from .floor import Server
from .subjects import ENVIRONMENT_OF, PRIVATE, PUBLIC, public_policy, sdk
from .worker import Worker

T = TypeVar("T")
Series = dict[str, list[T]]
"""The result of each round, by package."""

OPERATIONS = ("save", "read", "exists")
LINKS = ("new", "same", "public")
ROUTERS = ("fixed", "per tenant", links.ROWS, "per model")
MAKE_BUCKETS = ("raw", "five", "dmb", "dms", "ours")


@dataclass(frozen=True)
class Size:
    """The amount of work to measure."""

    rounds: int = 15
    pairs: int = 60
    links: int = 400
    threads: int = 8
    calls: int = 480
    mebibytes: int = 256
    large_rounds: int = 5
    buckets: int = 500
    bucket_rounds: int = 3
    growth: tuple[int, ...] = (500, 1000, 10_000)


SHORT = Size(
    rounds=3, pairs=30, calls=160, mebibytes=64, large_rounds=1, buckets=60, bucket_rounds=1, growth=()
)


@dataclass
class Results:
    """All results for the page. Times are paired with those of the floor in the same loop."""

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    operations: dict[str, Series[float]] = field(default_factory=dict)
    links: dict[str, Series[list[float]]] = field(default_factory=dict)
    routing: Series[float] = field(default_factory=dict)
    threads: Series[float] = field(default_factory=dict)
    large: dict[str, Series[large.Result]] = field(default_factory=dict)
    downloads: Series[large.Result] = field(default_factory=dict)
    """By the kind of site."""
    buckets: Series[tuple[int, int]] = field(default_factory=dict)
    growth: dict[int, tuple[int, int]] = field(default_factory=dict)
    layers: dict[str, dict[str, float]] = field(default_factory=dict)
    profiles: dict[str, Any] = field(default_factory=dict)


class Run:
    """One run over packages, each with its interpreter, on the server that the environment names."""

    def __init__(self, pythons: Mapping[str, str], size: Size) -> None:
        self.size = size
        self.pythons = pythons
        self.names = list(pythons)
        self.results = Results(machine=_machine(), versions=_versions(pythons))

    def everything(self) -> Results:
        # The many buckets last, as a server with thousands of them may do all else more slowly.
        return self.only(
            *(self.requests, self.operations, self.steps),
            *(self.large, self.downloads, self.buckets, self.growth),
        )

    def only(self, *measures: Callable[[], None]) -> Results:
        prepare_buckets()
        for measure in measures:
            say(measure.__name__)
            measure()
        return self.results

    def requests(self) -> None:
        for name in self.names:
            with Proxy(os.environ["MINIO_ENDPOINT"]) as wire, self.worker(name, wire.endpoint) as worker:
                self.results.requests[name] = dict(_count(worker, wire))
                self.results.bytes[name] = _glance(worker, wire)
                if name in MAKE_BUCKETS:
                    self.results.requests[name] |= _count_buckets(worker, wire)

    def operations(self) -> None:
        """Measure everything that is quick, with all workers running: one round of each in turn."""
        with self.workers() as workers:
            for kind in OPERATIONS:
                self.results.operations[kind] = self.in_turn(workers, partial(self.ratio, kind))
            for kind in LINKS:
                self.results.links[kind] = self.in_turn(workers, partial(self._link, kind))
            self.results.threads = self.in_turn(workers, self.rate)
            for kind in ROUTERS:
                timed = [workers[0].measure(links.routing, kind, 2000) for _ in range(self.size.rounds)]
                self.results.routing[kind] = [router - backend for router, backend in timed]

    def ratio(self, kind: str, worker: Worker, number: int) -> float:
        return _paired(worker.measure(operations.pairs, kind, self.size.pairs))

    def _link(self, kind: str, worker: Worker, number: int) -> list[float] | None:
        return worker.measure(links.means, kind, self.size.links)

    def rate(self, worker: Worker, number: int) -> float:
        size = self.size
        package, floor = worker.measure(operations.rates, size.threads, size.calls, bool(number % 2))
        return package / floor

    def in_turn(self, workers: list[Worker], measure: Callable[[Worker, int], T | None]) -> Series[T]:
        """Measure each package once in each round; the first round is for warming up."""
        series: Series[T] = {worker.name: [] for worker in workers}
        for number in range(self.size.rounds + 1):
            for worker in workers:
                result = measure(worker, number)
                if number and result is not None:
                    series[worker.name].append(result)
        return series

    def large(self) -> None:
        """Each file in a fresh process, whose memory nothing else has grown."""
        self.results.large = {kind: {name: [] for name in self.names} for kind in ("save", "read")}
        there = self._large_object()
        for number in range(self.size.large_rounds):
            for name in self.names:
                with self.worker(name) as worker:
                    saved = worker.measure(large.save, self.size.mebibytes, bool(number % 2))
                with self.worker(name) as worker:
                    read = worker.measure(large.read, there, bool(number % 2))
                self.results.large["save"][name].append(saved)
                self.results.large["read"][name].append(read)

    def downloads(self) -> None:
        """Many downloads in one process, as a worker of a site has them."""
        there = self._large_object()
        for kind in ("WSGI", "ASGI"):
            with self.worker("ours") as worker:
                self.results.downloads[kind] = [
                    worker.measure(downloads.stream, there, kind == "ASGI", bool(number % 2))
                    for number in range(2 * self.size.large_rounds)
                ]

    def _large_object(self) -> str:
        with self.worker("ours") as worker:
            return worker.measure(large.put, self.size.mebibytes)

    def buckets(self) -> None:
        makers = [name for name in MAKE_BUCKETS if name in self.names]
        self.results.buckets = {name: [] for name in makers}
        with self.workers(makers) as workers:
            for _ in range(self.size.bucket_rounds):
                for worker in workers:
                    names = worker.measure(buckets.new_names, self.size.buckets)
                    self.results.buckets[worker.name].append(_make_buckets(worker, names))
                    worker.measure(buckets.remove, names)

    def growth(self) -> None:
        for count in self.size.growth:
            with _new_server() as environment, Worker(self.pythons["ours"], "ours", environment) as worker:
                names = worker.measure(buckets.new_names, count)
                self.results.growth[count] = _make_buckets(worker, names)

    def steps(self) -> None:
        with self.worker("ours") as worker:
            for kind in OPERATIONS:
                worker.measure(operations.pairs, kind, 20)
                timed = worker.measure(steps.layers, kind, self.size.rounds * 40)
                self.results.layers[kind] = {label: _paired(pairs) for label, pairs in timed.items()}
                self.results.profiles[kind] = worker.measure(steps.profile, kind, 1000)

    def worker(self, name: str, endpoint: str = "") -> Worker:
        environment = dict(os.environ)
        if endpoint:
            environment["MINIO_ENDPOINT"] = endpoint
        return Worker(self.pythons[name], name, environment)

    @contextmanager
    def workers(self, names: list[str] | None = None) -> Iterator[list[Worker]]:
        with ExitStack() as stack:
            yield [stack.enter_context(self.worker(name)) for name in names or self.names]


def _versions(pythons: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: versions(python) for name, python in pythons.items() if name not in ENVIRONMENT_OF}


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "system": f"{platform.system()} on {platform.machine()}"}


def prepare_buckets() -> None:
    """Create the private and the public bucket that all packages share."""
    client = sdk(Server.from_environment())
    for bucket in (PRIVATE, PUBLIC):
        if not client.bucket_exists(bucket_name=bucket):
            client.make_bucket(bucket_name=bucket)
    client.set_bucket_policy(bucket_name=PUBLIC, policy=public_policy(PUBLIC))


def _count(worker: Worker, wire: Proxy) -> Iterator[tuple[str, int]]:
    """Yield what each call sends: the first save of the process, and then the steady state."""
    for row, kind, name in (
        ("first save", "save", "first.txt"),
        ("save, new name", "save", "new.txt"),
        ("save, taken name", "save", "new.txt"),
        ("open + read", "read", "new.txt"),
        ("exists", "exists", "new.txt"),
        ("size", "size", "new.txt"),
        ("private link", "private link", "new.txt"),
        ("public link", "public link", "new.txt"),
        ("delete", "delete", "new.txt"),
    ):
        if row != "first save":  # which includes what the package does when it is set up
            wire.forget()
        if worker.measure(operations.once, kind, f"{worker.name}/{name}"):
            yield row, len(wire.requests)


def _glance(worker: Worker, wire: Proxy) -> int:
    """Return the bytes that opening a 16 MiB object and reading 100 bytes brings to the client."""
    name = worker.measure(large.put, 16)
    wire.forget()
    worker.measure(operations.once, "glance", name)
    return wire.sent


def _count_buckets(worker: Worker, wire: Proxy) -> dict[str, int]:
    names = worker.measure(buckets.new_names, 100)
    counts = {}
    for row in ("100 buckets, first run", "100 buckets, second run"):
        wire.forget()
        worker.measure(buckets.initialize, names)
        counts[row] = len(wire.requests)
    worker.measure(buckets.remove, names)
    return counts


def _make_buckets(worker: Worker, names: list[str]) -> tuple[int, int]:
    """Return the nanoseconds of the first run and of the second."""
    return worker.measure(buckets.initialize, names), worker.measure(buckets.initialize, names)


@contextmanager
def _new_server() -> Iterator[dict[str, str]]:
    """Yield the environment of a server that goes with its buckets; removing ten thousand takes minutes."""
    with TemporaryDirectory() as folder, new_s3("seaweedfs", Path(folder)) as address:
        yield {**os.environ, **address}


def _paired(pairs: list[tuple[int, int]]) -> float:
    return median(package for package, _ in pairs) / median(floor for _, floor in pairs)


def say(text: str) -> None:
    print(text, flush=True)
