"""What `python3 dev.py load` calls growth. The visitors themselves run in .ci/nightly."""

from __future__ import annotations

import pytest

from tools.load.report import text
from tools.load.watch import MAY_GROW, Sample, growth

STEADY = Sample(mebibytes=230.0, descriptors=50, sockets=24, threads=15, workers=(1, 2, 3))
SECONDS = 60


def test_workers_that_stay_as_they_are_do_not_grow():
    assert list(growth([STEADY] * SECONDS)) == []


def test_what_grows_at_the_start_alone_is_no_growth():
    begun = Sample(100.0, 20, 4, 4, workers=(1,))

    assert list(growth([begun] * (SECONDS // 4) + [STEADY] * SECONDS)) == []


def test_one_moment_is_no_growth():
    peak = STEADY._replace(mebibytes=900.0, sockets=500)

    assert list(growth([*[STEADY] * SECONDS, peak])) == []


@pytest.mark.parametrize("what", ["mebibytes", "descriptors", "sockets", "threads"])
def test_what_grows_all_the_time_is_told(what: str):
    step = 3 * (getattr(MAY_GROW, what) + 1) / SECONDS
    samples = [STEADY._replace(**{what: getattr(STEADY, what) + step * n}) for n in range(SECONDS)]

    (told,) = growth(samples)

    assert what in told


def test_a_worker_that_ends_is_told():
    samples = [STEADY._replace(workers=(1, 2, 3 + n // 40)) for n in range(SECONDS)]

    (told,) = growth(samples)

    assert told == "A worker ended, and another took its place."


@pytest.mark.parametrize("count", [0, 3])
def test_a_time_that_is_too_short_is_told_and_hides_no_other_problem(count: int):
    samples = [STEADY] * count

    (told,) = growth(samples)

    assert told == f"The workers were looked at {count} times, which tells nothing about growth."
    assert "quarter" not in text([], samples, files=0)
