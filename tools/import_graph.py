"""The rooms of the package and who imports whom, as docs/architecture.md draws it.

python3 dev.py run tools.import_graph    # renews the page
"""

from __future__ import annotations

from pathlib import Path

import grimp

PACKAGE = "django_minio_router"
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "```mermaid\n", "```\n"


def main() -> None:
    PAGE.write_text(with_graph(PAGE.read_text()))


def with_graph(page: str) -> str:
    """Return the page with the current graph."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END, 1)
    return before + BEGIN + mermaid(rooms()) + END + after


def rooms() -> dict[str, set[str]]:
    """Return which other rooms each room imports from."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    for room in graph.find_children(PACKAGE):
        graph.squash_module(room)
    names = {room: room.removeprefix(f"{PACKAGE}.") for room in graph.find_children(PACKAGE)}
    imported = {room: graph.find_modules_directly_imported_by(room) for room in names}
    return {names[room]: {names[used] for used in imported[room] & names.keys() - {room}} for room in names}


def mermaid(imports: dict[str, set[str]]) -> str:
    """Draw the rooms, without arrows that other arrows imply."""
    lines = [
        f"    {room} --> {used}\n"
        for room in sorted(imports)
        for used in sorted(imports[room])
        if not any(used in reachable(imports, other) for other in imports[room] - {used})
    ]
    return "flowchart TD\n" + "".join(lines)


def reachable(imports: dict[str, set[str]], room: str) -> set[str]:
    """Return all rooms that a room imports, directly or indirectly."""
    found: set[str] = set()
    ahead = {room}
    while ahead:
        found |= ahead
        ahead = set().union(*(imports[each] for each in ahead)) - found
    return found - {room}


if __name__ == "__main__":
    main()
