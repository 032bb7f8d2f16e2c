"""What the pages name is there: modules and what they export, files, and the tests of promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from tests.support.pages import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
LOGGERS = {"django_minio_router.requests"}
TESTS = {
    name for path in ROOT.glob("tests/**/*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_of_modules_lead_somewhere(page: Path) -> None:
    for path in sorted(set(re.findall(r"\bdjango_minio_router(?:\.\w+)+", page.read_text())) - LOGGERS):
        module = ROOT / path.replace(".", "/")
        if not (module.is_dir() or module.with_suffix(".py").is_file()):
            import_string(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_are_there(page: Path) -> None:
    for path in re.findall(
        r"\b(?:\w+/)+\w+\.py\b", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    ):
        assert (ROOT / path).is_file() or (ROOT / "django_minio_router" / path).is_file(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_are_there(page: Path) -> None:
    assert set(re.findall(r"`(test_\w+)`", page.read_text())) <= TESTS
