"""This package beside an earlier commit of it, in one run: which ratio became worse, beyond its spread?"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median

from . import links
from .environments import CACHE, ROOT, make_environment, newest_python
from .report import spread, table
from .rounds import LINKS, OPERATIONS, Run, Series, Size, prepare_buckets, say
from .worker import Worker

BEFORE, NOW = "before", "ours"


def compare(commit: str) -> str:
    """Measure the files of the commit and those of today in turn, and return the table."""
    run = Run(_interpreters(commit), Size())
    prepare_buckets()
    rows = [*_quick(run), *_large(run)]
    return table(["lower is better, except with ≥", "before", "now", "now ÷ before", ""], rows)


def _interpreters(commit: str) -> Mapping[str, str]:
    python = newest_python()
    source = _checked_out(commit)
    made = {
        BEFORE: make_environment(source.name, python, [f"{source}[tenants]", "psycopg[binary]"]),
        NOW: make_environment(NOW, python),
    }
    found = {name: interpreter for name, interpreter in made.items() if interpreter}
    if found != made:
        sys.exit("Without both environments there is nothing to compare.")  # why, is printed above
    return found


def _checked_out(commit: str) -> Path:
    """Return a folder with the files of the commit, named by its hash: a branch moves on."""
    found = subprocess.run(
        ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True, text=True
    )
    if found.returncode:
        sys.exit(f"{commit!r} is not a commit here: {found.stderr.strip()}. Give a hash, a tag or a branch.")
    folder = CACHE / "commits" / found.stdout.strip()
    files = subprocess.run(["git", "archive", folder.name], cwd=ROOT, check=True, capture_output=True)
    with tarfile.open(fileobj=io.BytesIO(files.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _quick(run: Run) -> Iterator[list[str]]:
    with run.workers() as workers:
        for kind in OPERATIONS:
            yield _row(f"{kind}, × floor", run.in_turn(workers, partial(run.ratio, kind)))
        for kind in LINKS:
            yield _row(f"{kind} link, × floor", run.in_turn(workers, partial(_link, run, kind)))
        for kind in ("fixed", "per tenant", "per model"):
            yield _row(f"router, {kind}, µs", run.in_turn(workers, partial(_routing, kind)))
        yield _row("link of a row, µs", run.in_turn(workers, _link_of_a_row))
        yield _row("8 threads, × floor, ≥", run.in_turn(workers, run.rate))


def _link(run: Run, kind: str, worker: Worker, number: int) -> float:
    package, floor = worker.measure(links.means, kind, run.size.links)
    return package / floor


def _routing(kind: str, worker: Worker, number: int) -> float:
    router, backend = worker.measure(links.routing, kind, 2000)
    return (router - backend) / 1000


def _link_of_a_row(worker: Worker, number: int) -> float:
    return worker.measure(links.of_a_row, 2000) / 1000


def _large(run: Run) -> Iterator[list[str]]:
    run.large()
    for kind, measured in run.results.large.items():
        times = {name: [r["time"] / r["floor"] for r in results] for name, results in measured.items()}
        yield _row(f"large {kind}, × floor", times)


def _row(label: str, series: Series[float]) -> list[str]:
    say(label)
    before, now = series[BEFORE], series[NOW]
    ratios = [new / old for old, new in zip(before, now, strict=True)]
    worse = median(now) < min(before) if label.endswith("≥") else median(now) > max(before)
    return [label, spread(before), spread(now), spread(ratios), "**worse**" if worse else ""]
