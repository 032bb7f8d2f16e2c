"""Helpers and fixtures of tests are in ``tests/support`` or a ``conftest.py``, models in ``tests/apps``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import plugin

TESTS = Path(__file__).parents[1]
MODULES = sorted(TESTS.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Yield the full names of what a file imports; each name of a ``from`` import by itself."""
    package = path.relative_to(TESTS.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: -node.level]] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def test_no_module_imports_from_a_test_module() -> None:
    assert [
        f"{path.relative_to(TESTS)}: {name}"
        for path in MODULES
        for name in imported(path)
        if any(part.startswith("test_") for part in name.split("."))
    ] == []


def test_models_are_in_apps_alone() -> None:
    models = {path.relative_to(TESTS).parts[0] for path in MODULES if path.name == "models.py"}
    assert models <= {"apps", "takeover"}  # a project of its own, which is copied


def test_what_the_plugin_names_is_there() -> None:
    named = {
        *plugin.LONG,
        *plugin.ON_ANY_SERVER,
        *(path.removeprefix("tests/") for path in plugin.OF_THE_DEMO),
    }
    assert [name for name in sorted(named) if not (TESTS / name).exists()] == []


def test_long_files_come_first(request: pytest.FixtureRequest) -> None:
    """Of those that this run has."""
    ranks = [plugin.rank(item.path) for item in request.session.items]
    assert ranks == sorted(ranks)
