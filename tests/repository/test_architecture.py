"""The rooms of the package: no import runs up or hides in a function, and the page shows how they are."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.import_graph import PAGE, with_graph

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "django_minio_router"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LINTER = Path(sys.executable).with_name("lint-imports")

# Where a function may import: from packages that a project need not have, and where Django says that
# all apps are loaded.
OPTIONAL = {"PIL", "opentelemetry", "django_tenants", "django_tasks", "django_tasks_db", "celery"}
MAY_IMPORT = {
    ("apps.py", "ready"),
    ("direct/apps.py", "ready"),
    # The module of tasks needs Django 6 or django-tasks.
    ("management/commands/bucket_tasks.py", "_state"),
    ("management/enqueue.py", "_task"),
    # urllib3 comes with the first use of a server, and the SDK when its client is asked for.
    ("s3/late.py", "connections"),
    ("s3/late.py", "sdk"),
}


def test_the_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_an_import_that_runs_up_breaks_a_contract(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    with (tmp_path / PACKAGE.name / "naming.py").open("a") as naming:
        naming.write("\nfrom django_minio_router import inventory\n")

    done = lint(tmp_path)

    assert done.returncode == 1
    assert "A room uses rooms below it, never above BROKEN" in done.stdout
    assert "django_minio_router.naming -> django_minio_router.inventory" in done.stdout


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LINTER, "--no-cache"], cwd=folder, capture_output=True, text=True)


def test_no_function_imports_but_what_a_project_need_not_have() -> None:
    assert sorted(hidden_imports()) == []


def hidden_imports() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        where = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                and (where, node.name) not in MAY_IMPORT
            ):
                yield from (f"{where}: {node.name} imports {name}" for name in imported(node) - OPTIONAL)


def imported(function: ast.AST) -> set[str]:
    """Return the top names that a function imports; a dot for those of its own package."""
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else str(node.module).split(".")[0])
    return names


def test_the_page_draws_the_imports_as_they_are() -> None:
    page = PAGE.read_text()
    assert with_graph(page) == page, "Renew it: python3 dev.py run tools.import_graph"


def test_the_page_lists_the_rooms_in_the_order_of_the_contract() -> None:
    layers = re.search(
        r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE
    )
    rows = re.findall(r"^\| (`.*?`) \|", PAGE.read_text(), re.MULTILINE)

    assert layers is not None
    wanted = re.findall(r'"(.*)"', layers[1])
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [layer.split(" | ") for layer in wanted]
