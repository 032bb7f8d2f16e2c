"""Whatever is done, in whatever order and context: nobody reaches another tenant's object.

ISOLATION=full tries a hundred times as much.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from minio import Minio

from django_minio_router.strategies import BucketStrategy, Location, PerTenant

from .machine import Isolation
from .world import world

FULL = os.environ.get("ISOLATION") == "full"
OFTEN = settings(
    max_examples=300 if FULL else 10,
    stateful_step_count=100 if FULL else 30,
    phases=[Phase.generate, Phase.shrink] if FULL else [Phase.generate],  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
    database=None,
)


pytestmark = pytest.mark.django_db(transaction=True)  # threads have connections of their own


def test_nobody_reaches_another_tenants_files(bare: Minio, use: Callable[..., None]) -> None:
    with world(bare, use) as made:
        run_state_machine_as_test(lambda: Isolation(made), settings=OFTEN)


class FirstCome(BucketStrategy):
    """Leaks, as storages do that decide on their bucket once: all go where the first one went."""

    def __init__(self, own: BucketStrategy) -> None:
        self.own = own
        self.found: list[str | Location] = []

    def bucket_for(self, model: type[Model] | None) -> str | Location:
        if not self.found:
            self.found.append(self.own.bucket_for(model))
        return self.found[0]

    def buckets_for(self, models: Any) -> Any:
        return self.own.buckets_for(models)


class WithoutRenames(Isolation):
    """A rename ends half-way where files are not where they belong, and no example could be repeated."""

    rename = None  # type: ignore[assignment]


def test_a_strategy_that_leaks_is_found(bare: Minio, use: Callable[..., None]) -> None:
    leaks = []

    def leaky(own: BucketStrategy) -> BucketStrategy:
        if isinstance(own, PerTenant):
            own = FirstCome(own)
            leaks.append(own)
        return own

    once_is_enough = settings(OFTEN, max_examples=20, stateful_step_count=30, phases=[Phase.generate])
    with world(bare, use, leaky) as made:

        def machine() -> WithoutRenames:
            for leak in leaks:  # each example in a new process, so to say
                leak.found.clear()
            return WithoutRenames(made)

        with pytest.raises(AssertionError):
            run_state_machine_as_test(machine, settings=once_is_enough)
