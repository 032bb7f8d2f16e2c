"""Functions and modules of the package stay small.

A function's lines are those from ``def`` to its end, without its docstring and its decorators; a module's are
all of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[2] / "django_minio_router"
MODULES = sorted(PACKAGE.rglob("*.py"))


def function_lengths() -> Iterator[tuple[int, str]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield lines(node) - docstring_lines(node), f"{path.relative_to(PACKAGE)}: {node.name}"


def lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return 0 if ast.get_docstring(node) is None else lines(node.body[0])


def test_half_of_the_functions_have_six_lines_or_less() -> None:
    assert median(length for length, _ in function_lengths()) <= 6


def test_no_function_has_more_than_forty_lines() -> None:
    assert [where for length, where in function_lengths() if length > 40] == []


def test_no_module_has_more_than_four_hundred_lines() -> None:
    count = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in MODULES}
    assert {where: length for where, length in count.items() if length > 400} == {}
