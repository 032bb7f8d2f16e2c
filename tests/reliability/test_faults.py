"""Each operation under each fault: the right result, or a clear error within the time limit.

Nothing partial is ever visible, no part is left behind, and afterwards the same storage works.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from tests.support.proxy import Action, Proxy, Request

from . import faults
from .conftest import forget_clients, names_in, options_for, put, stored, uploads_with_parts_in
from .operations import HELD, OLD, OPERATIONS, PART, Operation
from .patience import TIME_LIMIT, Outcome, is_clear, within_patience

TRIES = 2
WAIT = 1.0  # seconds, the limit where each request waits for it
FAST = [*faults.TRANSIENT, *faults.WRONG]


class NotReached(AssertionError):
    """The operation ended before the request that the fault was meant for."""


def storage_at(
    endpoint: str, bucket: str, operation: Operation, time_limit: float = TIME_LIMIT
) -> MinioBackend:
    options = options_for(
        endpoint,
        MINIO_CONNECT_TIMEOUT=time_limit,
        MINIO_READ_TIMEOUT=time_limit,
        MINIO_RETRIES=TRIES - 1,
        MINIO_MULTIPART_PART_SIZE=PART,
        MINIO_CONDITIONAL_WRITES=True,
    )
    return MinioBackend(bucket, replace_existing=operation.replaces, **options)


@dataclass
class Trial:
    """One operation, on a bucket of its own if it changes anything, through a proxy that does harm."""

    bare: Minio
    library: str
    operation: Operation
    time_limit: float = TIME_LIMIT

    def __post_init__(self) -> None:
        self.bucket = self.library
        if self.operation.changes:
            self.bucket = f"trial-{secrets.token_hex(12)}"
            self.bare.make_bucket(bucket_name=self.bucket)
            put(self.bare, self.bucket, "old.bin", OLD)
        if self.operation.name == "delete":  # of a file whose save is not known it is not told if it is new
            place = MinioBackend(
                self.bucket, **options_for(os.environ["MINIO_ENDPOINT"]), replace_existing=True
            )
            place.save("old.bin", ContentFile(OLD))

    def run(self, fault: Action, *, step: int = 0, times: int | None = 1) -> Outcome:
        with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
            seen: list[Request] = []

            def reached(request: Request) -> bool:
                seen.append(request)
                return len(seen) > step

            storage = storage_at(proxy.endpoint, self.bucket, self.operation, self.time_limit)
            proxy.when(fault, where=reached, times=times)
            outcome = within_patience(lambda: self.operation.run(storage))
            if len(seen) <= step:
                raise NotReached(f"{self.operation} ended before request {step + 1}: {outcome.error!r}")
            outcome.hit = len(seen) - step
            self.judge(outcome, proxy)
            if times is not None and self.operation.changes:  # else the server cannot be told
                self.find_no_part()
            proxy.forget()
            again = within_patience(lambda: [storage.exists("old.bin") for _ in range(3)])
            assert again.error is None, f"the pool gives out a connection that is not sound: {again.error!r}"
        return outcome

    def judge(self, outcome: Outcome, proxy: Proxy) -> None:
        if outcome.error is None:
            assert self.operation.is_right(outcome.result), outcome.result
        else:
            assert is_clear(outcome.error, proxy.endpoint), repr(outcome.error)
        if self.operation.changes:
            self.find_all_whole(outcome)

    def find_all_whole(self, outcome: Outcome) -> None:
        """Each object is what it was, or what was written; a name that was returned holds the latter."""
        # A large save claims its name with an empty object on servers whose last step is not atomic. Where
        # every request after that fails too, nothing can take the claim back; docs/files.md says so.
        claim = b"" if self.operation.name == "save_parts" and outcome.error else self.operation.writes
        for name in names_in(self.bare, self.bucket):
            held = stored(self.bare, self.bucket, name)
            assert held in (HELD.get(name), self.operation.writes, claim), f"{name} is not whole"
        if self.operation.writes is not None and outcome.error is None:
            assert stored(self.bare, self.bucket, outcome.result) == self.operation.writes
        if self.operation.name != "delete" and not self.operation.replaces:
            assert stored(self.bare, self.bucket, "old.bin") == OLD

    def find_no_part(self) -> None:
        # An upload that begins, and whose answer is lost, stays without parts; docs/reliability.md says so.
        for name in {"", "new.bin", "old.bin", *names_in(self.bare, self.bucket)}:
            assert uploads_with_parts_in(self.bare, self.bucket, name) == []


@pytest.fixture(scope="module")
def library(bare: Minio) -> str:
    """A bucket with the objects that are only read."""
    name = f"library-{secrets.token_hex(12)}"
    bare.make_bucket(bucket_name=name)
    for object_name, content in HELD.items():
        put(bare, name, object_name, content)
    return name


@pytest.fixture(autouse=True)
def _later_ports_are_free():
    yield
    forget_clients()


def steps(operations: list[Operation] = OPERATIONS) -> list[tuple[Operation, int]]:
    """Each request of each operation, as a fault may happen at any of them."""
    return [(operation, step) for operation in operations for step in range(operation.requests)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_operation_takes_the_requests_that_faults_are_tried_on(
    operation: Operation, bare: Minio, library: str, proxy: Proxy
) -> None:
    trial = Trial(bare, library, operation)

    result = operation.run(storage_at(proxy.endpoint, trial.bucket, operation))

    assert operation.is_right(result)
    assert len(proxy.requests) == operation.requests


@pytest.mark.parametrize("fault", faults.TRANSIENT, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize(("operation", "step"), steps())
def test_a_failure_that_passes_changes_nothing(
    operation: Operation, step: int, fault: Action, bare: Minio, library: str
) -> None:
    outcome = Trial(bare, library, operation).run(fault, step=step)

    assert outcome.error is None


@pytest.mark.parametrize("fault", faults.WRONG, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize(("operation", "step"), steps())
def test_a_wrong_answer_gives_the_right_result_or_a_clear_error(
    operation: Operation, step: int, fault: Action, bare: Minio, library: str
) -> None:
    Trial(bare, library, operation).run(fault, step=step)


@pytest.mark.parametrize("fault", FAST, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_failure_that_stays_is_a_clear_error(
    operation: Operation, fault: Action, bare: Minio, library: str
) -> None:
    Trial(bare, library, operation).run(fault, times=None)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_refused_connection_is_a_clear_error(operation: Operation, bare: Minio, library: str) -> None:
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        pass
    storage = storage_at(proxy.endpoint, Trial(bare, library, operation).bucket, operation)

    outcome = within_patience(lambda: operation.run(storage))

    assert is_clear(outcome.error, proxy.endpoint)


def test_a_link_needs_no_server() -> None:
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        pass

    assert MinioBackend("documents", **options_for(proxy.endpoint)).url("a.txt").startswith("http://")


def most_requests(operation: Operation) -> int:
    """Return how many requests a server that never answers may get from one call, as docs/files.md says.

    The time limit holds for each of them, so that this is what limits the call.
    """
    if not operation.writes:
        return TRIES
    if len(operation.writes) <= PART:
        return TRIES + 1  # was it stored?
    return 3 * TRIES + 3  # two parts at a time, and what takes the upload back


def reaching(run: Callable[[], Outcome]) -> Outcome:
    """Run it again where a busy machine let the time limit strike before the fault, as that shows nothing."""
    for _ in range(2):
        with suppress(NotReached):
            return run()
    return run()


@pytest.mark.any_server
@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("fault", faults.SLOW, ids=lambda fault: fault.__name__)
def test_waiting_ends_within_the_time_limit(
    fault: Action, times: int | None, bare: Minio, library: str
) -> None:
    def attempt(case: tuple[Operation, int]) -> None:
        operation, step = case
        outcome = reaching(lambda: Trial(bare, library, operation, WAIT).run(fault, step=step, times=times))
        if fault in faults.SILENT and times is None:
            assert outcome.hit <= most_requests(operation), f"{operation} waited {outcome.hit} times"

    with ThreadPoolExecutor(32) as threads:  # they mostly wait
        for _ in threads.map(attempt, steps()):
            pass
