"""The originals and this package do the same, but for what docs/compatibility.md lists.

Each runs the same script on the same server, in an interpreter of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.identity.environments import FIVE, FOUR, Original, Unavailable

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
SCRIPT = Path(__file__).with_name("operations.py")
COLUMNS = ["what", "version", "original", "here", "why"]
LAYOUTS = {FIVE.version: "flat", FOUR.version: "options"}

Seen = dict[str, str]


@dataclass(frozen=True)
class Difference:
    """A row of the page: what is seen with the original and with this package, in one version or in all."""

    what: str
    version: str
    original: str
    here: str
    why: str

    def holds_for(self, version: str) -> bool:
        return self.version in (version, "both")


def listed_differences() -> list[Difference]:
    """Return the rows of the tables in docs/compatibility.md that compare."""
    lines = [line.strip("| ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [[cell.strip().replace("`", "") for cell in line.split(" | ")] for line in lines]
    return [Difference(*row) for row in rows if len(row) == len(COLUMNS) and row != COLUMNS]


def given(package: str, layout: str) -> dict[str, str]:
    """Return what the script needs to know."""
    return {
        "package": package,
        "layout": layout,
        "token": f"identity-{secrets.token_hex(6)}",
        "endpoint": os.environ["MINIO_ENDPOINT"],
        "access_key": os.environ["MINIO_ACCESS_KEY"],
        "secret_key": os.environ["MINIO_SECRET_KEY"],
    }


def run(python: Path, package: str, layout: str, arguments: Sequence[str], folder: Path) -> Seen:
    """Return what the script sees."""
    folder.mkdir()
    file = folder / "seen.json"
    file.write_text(json.dumps(given(package, layout)))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT) if "router" in package else ""}
    done = subprocess.run(
        [python, SCRIPT, file, *arguments], env=environment, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seen: Seen = json.loads(file.read_text())
    return seen


def run_each(pythons: dict[str, Path], layout: str, folder: Path) -> list[Seen]:
    """Return what the script sees with each package, with the clock running and stopped.

    All at once, as most of it is waiting for servers that do not answer.
    """
    runs = [(package, clock) for package in pythons for clock in ([], ["--stopped-clock"])]
    with ThreadPoolExecutor(len(runs)) as threads:
        seen = [
            threads.submit(run, pythons[package], package, layout, clock, folder / str(number))
            for number, (package, clock) in enumerate(runs)
        ]
    return [
        running.result() | stopped.result() for running, stopped in zip(seen[::2], seen[1::2], strict=True)
    ]


@pytest.fixture(scope="module", params=[FIVE, FOUR], ids=lambda original: original.version)
def original(request: pytest.FixtureRequest) -> Original:
    return request.param


@pytest.fixture(scope="module")
def seen(original: Original, tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen]:
    """What is seen with the original, and with this package under the same layout of the settings."""
    try:
        python = original.python()
    except Unavailable as reason:
        pytest.skip(f"No side by side with {original.version}: {reason}.")
    folder, layout = tmp_path_factory.mktemp("identity"), LAYOUTS[original.version]
    pythons = {"django_minio_backend": python, "django_minio_router": Path(sys.executable)}
    theirs, ours = run_each(pythons, layout, folder)
    return theirs, ours


def test_the_same_was_looked_at(seen: tuple[Seen, Seen]) -> None:
    theirs, ours = seen

    assert list(theirs) == list(ours)
    assert len(ours) > 100


def test_every_difference_is_listed_and_every_listed_one_occurs(
    original: Original, seen: tuple[Seen, Seen]
) -> None:
    theirs, ours = seen
    found = {(what, theirs[what], ours[what]) for what in ours if theirs[what] != ours[what]}
    rows = (row for row in listed_differences() if row.holds_for(original.version))
    listed = {(row.what, row.original, row.here) for row in rows}

    unlisted, stale = sorted(found - listed), sorted(listed - found)
    assert not unlisted, "differs, and is not listed: " + "\n".join(map(str, unlisted))
    assert not stale, "is listed, and does not differ so: " + "\n".join(map(str, stale))


def test_every_listed_difference_has_a_reason() -> None:
    rows = listed_differences()

    assert rows
    for row in rows:
        assert len(row.why) >= len("As above"), row.what
        assert row.version in {"both", *LAYOUTS}, row.what
