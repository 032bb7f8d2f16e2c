"""Write the page from the results: tables, plots, and the versions of machine and packages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from string import Template

from . import plots
from .environments import CACHE, ROOT
from .goals import GOALS, MIB, Goal
from .rounds import OPERATIONS, Results

PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
KEPT = CACHE / "results.json"

NAMES = {
    "ours": "**this package**",
    "five": "five",
    "dmb": "dmb",
    "dms": "dms",
    "dst": "dst",
    "dst-u": "dst-u",
    "raw": "bare SDK",
}


def write(results: Results) -> None:
    """Write the page and its plots, and keep the results, from which ``python -m tools.benchmarks.report``
    does the same again."""
    KEPT.write_text(json.dumps(asdict(results)))
    PLOTS.mkdir(exist_ok=True)
    for name, svg in drawn(results).items():
        (PLOTS / f"{name}.svg").write_text(svg)
    page = Template(Path(__file__).with_name("page.md").read_text())
    PAGE.write_text(page.substitute(parts(results)))
    print(f"Written: {PAGE.relative_to(ROOT)}")


def parts(results: Results) -> dict[str, str]:
    """Return the values for the template."""
    return {
        "goals": goals(results),
        "requests": requests(results),
        "times": times(results),
        "large": large(results),
        "buckets": buckets(results),
        "growth": growth(results),
        "routing": routing(results),
        "layers": layers(results),
        "profiles": profiles(results),
        "machine": machine(results),
    }


def summary(results: Results) -> str:
    """Return the tables for a terminal."""
    return "\n\n".join([requests(results), times(results), large(results), layers(results)])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(numbers: list[float], digits: int = 2) -> str:
    """Return the median and, after it, the lowest and the highest round."""
    if not numbers:
        return "–"
    low, high = min(numbers), max(numbers)
    return f"{median(numbers):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def short(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number:.2f}" if number < 10 else f"{number:.0f}"


def goals(results: Results) -> str:
    def row(goal: Goal) -> list[str]:
        sign = "≥" if goal.at_least else "≤"
        return [
            goal.label,
            short(goal.best_peer(results)),
            f"{sign} {goal.limit:g} {goal.unit}",
            spread(goal.measured(results)),
            "yes" if goal.holds(results) else "**no**",
        ]

    return table(["", "best of the others", "goal", "measured", "holds"], map(row, GOALS))


def requests(results: Results) -> str:
    rows = list(results.requests["ours"])
    found = [name for name in NAMES if name in results.requests]
    lines = [[row, *(str(results.requests[name].get(row, "–")) for name in found)] for row in rows]
    glance = [f"{results.bytes[name] / 1e6:.2f} MB" for name in found]
    lines.append(["bytes: open, read 100 bytes of 16 MiB", *glance])
    return table(["", *(NAMES[name] for name in found)], lines)


def times(results: Results) -> str:
    found = [name for name in NAMES if name in results.threads]

    def row(name: str) -> list[str]:
        cells = [spread(results.operations[kind][name]) for kind in OPERATIONS]
        for kind in ("new", "same", "public"):
            ratios = [own / floor for own, floor in results.links[kind][name]]
            cells.append(short(median(ratios)) if ratios else "–")
        return [NAMES[name], *cells, spread(results.threads[name])]

    head = ["save", "read", "exists", "private link", "same link again", "public link", "8 threads"]
    return table(["", *head], map(row, found))


def large(results: Results) -> str:
    def cells(name: str) -> Iterable[str]:
        yield NAMES[name]
        for kind in ("save", "read"):
            rows = results.large[kind][name]
            yield spread([row["time"] / row["floor"] for row in rows])
            yield f"{median(row['growth'] for row in rows) / MIB:.0f} MiB"
            yield f"{max(row['files'] for row in rows):g}"

    head = ["save: time", "memory", "temporary files", "read: time", "memory", "temporary files"]
    return table(["", *head], (cells(name) for name in NAMES if name in results.large["save"]))


def downloads(results: Results) -> str:
    """Return how fast a file is streamed, as a share of the floor, and what that takes of memory."""

    def row(kind: str) -> list[str]:
        rows = results.downloads[kind]
        grown = max(row["growth"] for row in rows) / MIB
        return [kind, spread([row["floor"] / row["time"] for row in rows]), f"{grown:.1f} MiB"]

    return table(["", "bytes a second, × floor", "memory"], map(row, results.downloads))


def buckets(results: Results) -> str:
    raw = results.buckets["raw"]

    def row(name: str) -> list[str]:
        cells = []
        for run in (0, 1):
            pairs = zip(results.buckets[name], raw, strict=True)
            cells.append(spread([own[run] / base[run] for own, base in pairs]))
        return [NAMES[name], *cells]

    found = [name for name in NAMES if name in results.buckets]
    return table(["", "first run, × raw loop", "second run, × raw loop"], map(row, found))


def growth(results: Results) -> str:
    """Return the cost of one bucket among many, as a multiple of its cost among 500."""
    fewest = min(results.growth)
    base = [time / fewest for time in results.growth[fewest]]
    rows = []
    for count, times in results.growth.items():
        costs = (time / count / one for time, one in zip(times, base, strict=True))
        rows.append([f"{count:,}", *(f"{cost:.2f}" for cost in costs)])
    return table(["buckets", "first run, cost a bucket", "second run, cost a bucket"], rows)


def routing(results: Results) -> str:
    rows = [[kind, spread([ns / 1000 for ns in series])] for kind, series in results.routing.items()]
    return table(["router", "µs a call above the backend"], rows)


def layers(results: Results) -> str:
    rows = [
        [f"{kind}: {label}", f"{ratio:.2f}"]
        for kind, ratios in results.layers.items()
        for label, ratio in ratios.items()
    ]
    return table(["", "× floor"], rows)


def profiles(results: Results) -> str:
    """Return the Python time of each place, as a share of all that the floor's call takes of it."""
    places = sorted({place for of in results.profiles.values() for side in of.values() for place in side})
    rows = []
    for kind, sides in results.profiles.items():
        whole = sum(sides["floor"].values())
        for label, side in (("floor", sides["floor"]), ("this package", sides["ours"])):
            cells = [f"{side.get(place, 0) / whole:.2f}" for place in places]
            rows.append([f"{kind}: {label}", *cells, f"{sum(side.values()) / whole:.2f}"])
    return table(["", *places, "all"], rows)


def machine(results: Results) -> str:
    versions = "\n".join(
        f"- {NAMES[name].strip('*')}: " + ", ".join(f"{package} {v}" for package, v in found.items())
        for name, found in results.versions.items()
    )
    return f"{results.machine['system']}, {results.machine['cores']} cores.\n\n{versions}"


def drawn(results: Results) -> dict[str, str]:
    found = [name for name in NAMES if name in results.threads]
    titles = {name: NAMES[name].strip("*") for name in found}

    def bars(name: str, title: str, numbers: dict[str, float], **options: bool) -> tuple[str, str]:
        return name, plots.bars(title, {titles[key]: number for key, number in numbers.items()}, **options)

    operations = {
        kind: {name: median(series) for name, series in results.operations[kind].items()}
        for kind in OPERATIONS
    }
    links = {
        name: median([own / floor for own, floor in series])
        for name, series in results.links["new"].items()
        if series
    }
    memory = {name: median(r["growth"] for r in rows) / MIB for name, rows in results.large["save"].items()}
    raw = [median(times) for times in zip(*results.buckets["raw"], strict=True)]
    made = {name: median(times[0] for times in series) / raw[0] for name, series in results.buckets.items()}
    threads = {name: median(series) for name, series in results.threads.items()}
    return dict(
        [
            *(
                bars(kind, f"{kind}, 10 KiB: time as a multiple of the floor", operations[kind], line=True)
                for kind in OPERATIONS
            ),
            bars(
                "links",
                "private link: time as a multiple of the floor (logarithmic)",
                links,
                line=True,
                log=True,
            ),
            bars("memory", "256 MiB saved: growth of memory, MiB", memory),
            bars("buckets", "500 public buckets: time as a multiple of a raw loop", made, line=True),
            bars("threads", "8 threads: operations a second as a share of the floor's", threads, line=True),
        ]
    )


if __name__ == "__main__":
    kept = json.loads(KEPT.read_text())
    kept["growth"] = {int(count): times for count, times in kept["growth"].items()}
    write(Results(**kept))
