"""Whatever is done, in whatever order and context: nobody reaches another tenant's object.

With ISOLATION=full the machine takes 20,000 steps. A server in memory lets it take many in the normal run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from minio import Minio

from django_minio_router import RoutingError
from django_minio_router.s3 import content
from django_minio_router.s3.memory import restored
from django_minio_router.settings.config import Config
from django_minio_router.strategies import BucketStrategy, PerTenant
from tests.support.memory import bare_client

from .files import FirstCome
from .leaks import LEAKS, LEAKS_AT_COMMIT, LEAKS_OF_UPLOADS, LEAKS_OF_WRITING, Leak
from .machine import Isolation
from .uploads import PART, Uploads
from .world import World, world

FULL = os.environ.get("ISOLATION") == "full"
STEPS = 20_000  # at full scale; only those count that have files to look at


def steps(examples: int, each: int) -> settings:
    return settings(
        max_examples=20 if FULL else examples,
        stateful_step_count=100 if FULL else each,
        phases=[Phase.generate],  # shrinking takes minutes, and begins with what earlier examples left
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def run(machine: type[Isolation], made: World, chosen: settings) -> None:
    """Run the examples; at full scale again and again, until there were enough steps."""
    while True:
        run_state_machine_as_test(lambda: machine(made), settings=chosen)
        if not FULL or made.steps >= STEPS:
            break


pytestmark = pytest.mark.django_db(transaction=True)  # threads have connections of their own


@pytest.fixture
def in_memory(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server in memory, as the SDK alone sees it, which takes small parts."""
    monkeypatch.setattr(content, "MIN_PART_SIZE", PART)
    monkeypatch.setattr(Config, "multipart", property(lambda config: (PART, PART)))
    settings.MINIO_ENDPOINT = "memory:"
    with restored(empty=True):
        yield bare_client()


def test_nobody_reaches_another_tenants_files(bare: Minio, use: Callable[..., None]) -> None:
    with world(bare, use) as made:
        run(Isolation, made, steps(4, 30))


def test_nor_in_many_more_steps(in_memory: Minio, use: Callable[..., None]) -> None:
    with world(in_memory, use) as made:
        run(Isolation, made, steps(10, 50))


def test_nobody_uses_another_tenants_upload(in_memory: Minio, use: Callable[..., None]) -> None:
    with world(in_memory, use) as made:
        run(Uploads, made, steps(6, 40))


class WithoutRenames(Isolation):
    """A rename ends half-way where files are not where they belong, and no example could be repeated."""

    rename = None  # type: ignore[assignment]


SHOWN = (AssertionError, DatabaseError, FileNotFoundError, RoutingError)
UNTIL_FOUND = settings(steps(40, 40), max_examples=400, derandomize=True)


class OnlyRows(WithoutRenames):
    """What the faults are about, so that they are found within seconds."""

    save = read = follow_the_link = delete = look = try_to_get_out = None  # type: ignore[assignment]
    open_and_keep = read_what_was_kept = fail_inside = None  # type: ignore[assignment]


class OnlyWritten(OnlyRows):
    """Finds what goes wrong where a row is written in one context within another."""

    read_a_row = use_a_row = delete_the_file_of_a_row = take_turns = None  # type: ignore[assignment]
    delete_after_the_commit = copy_a_row = None  # type: ignore[assignment]


class OnlyLate(OnlyRows):
    """Finds whose file is deleted after the commit, when another tenant is active."""

    use_a_row = delete_the_file_of_a_row = take_turns = None  # type: ignore[assignment]
    write_a_row = copy_a_row = None  # type: ignore[assignment]


def machine_for(fault: Leak) -> type[Isolation]:
    if fault in LEAKS_OF_UPLOADS:
        return Uploads
    return OnlyWritten if fault in LEAKS_OF_WRITING else OnlyRows


def test_a_strategy_that_leaks_is_found(in_memory: Minio, use: Callable[..., None]) -> None:
    leaks = []

    def leaky(own: BucketStrategy) -> BucketStrategy:
        if isinstance(own, PerTenant):
            own = FirstCome(own)
            leaks.append(own)
        return own

    with world(in_memory, use, leaky) as made:

        def machine() -> WithoutRenames:
            for leak in leaks:  # each example in a new process, so to say
                leak.found.clear()
            return WithoutRenames(made)

        with pytest.raises(AssertionError):
            run_state_machine_as_test(machine, settings=UNTIL_FOUND)


def test_each_fault_that_there_was_is_found(
    in_memory: Minio, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = []
    tries = [(fault, machine_for(fault)) for fault in LEAKS]
    tries += [(fault, OnlyLate) for fault in LEAKS_AT_COMMIT]
    with world(in_memory, use) as made:
        for fault, machine in tries:
            with monkeypatch.context() as patch:
                fault(patch)
                try:
                    run_state_machine_as_test(partial(machine, made), settings=UNTIL_FOUND)
                    missed.append((fault.__name__, machine.__name__))
                except SHOWN:
                    connection.set_schema_to_public()  # which an example may not have left

    assert missed == []
