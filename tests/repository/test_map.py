"""README's map of the code is true: it names what is there, all of it, and fits into fifteen lines."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "django_minio_router"
# Paths for projects and their migrations, and what every Django app has.
OUTSIDE_THE_MAP = {"apps.py", "dates.py", "fields.py", "models.py", "static.py", "testing.py", "py.typed"}


def rows() -> list[str]:
    section = (ROOT / "README.md").read_text().partition("## Map of the code")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_the_map_names_every_room_and_nothing_else() -> None:
    named = {name for row in rows() for name in re.findall(r"`([a-z0-9_]+(?:/|\.py))`", row.split("|")[1])}
    there = {f"{path.name}/" if path.is_dir() else path.name for path in PACKAGE.iterdir()}
    assert named == {name for name in there if not name.startswith("__")} - OUTSIDE_THE_MAP - {"testing/"}


def test_the_map_fits_into_fifteen_lines() -> None:
    assert len(rows()) + 2 <= 15
