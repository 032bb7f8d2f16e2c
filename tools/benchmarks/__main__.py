"""Measure, and write docs/benchmarks.md: `python3 dev.py bench`, with `--short` for a quick look.

The short run takes this package, the bare SDK and the floor, and prints instead of writing. Both fail when
a request budget is broken, never because of a time. `--downloads` measures and prints nothing else, and
`--before` sets an earlier commit of this package beside it.
"""

from __future__ import annotations

import argparse
import sys

from . import before, environments, report
from .goals import broken_budgets
from .rounds import SHORT, Run, Size
from .subjects import COMPARED


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--short", action="store_true", help="a quick look, in the environment that runs this")
    which.add_argument("--downloads", action="store_true", help="streamed downloads alone")
    which.add_argument("--before", metavar="COMMIT", help="beside that commit of this package")
    options = parser.parse_args()
    if options.before:
        print(before.compare(options.before))
        return
    here = {"ours": sys.executable, "raw": sys.executable}
    if options.downloads:
        run = Run(here, Size())
        print(report.downloads(run.only(run.downloads)))
        return
    if options.short:
        results = Run(here, SHORT).everything()
        print(report.summary(results))
    else:
        results = Run(environments.interpreters(COMPARED), Size()).everything()
        report.write(results)
    broken = list(broken_budgets(results))
    if broken:
        sys.exit("The request budget is broken.\n" + "\n".join(broken))


if __name__ == "__main__":
    main()
