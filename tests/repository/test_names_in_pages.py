"""What the pages name is there: modules and what they export, files, and the tests of promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils.module_loading import import_string

from tests.support.pages import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
EXAMPLES = sorted(ROOT.glob("examples/*/README.md"))
# The test of a promise stands beside it: in a column of its table, or in a comment that readers do not see.
BESIDE = re.compile(r"<!-- (test_\w+(?:, test_\w+)*) -->")
NAMED = re.compile(r"\btest_\w+|\btests/|\bTest[A-Z]")
PROMISE = re.compile(r"\b(?:never|always|at most|refuse[sd]?)\b", re.IGNORECASE)
# The others list measurements, help of commands, and differences that one test compares.
PROMISING = [
    page
    for page in sorted(ROOT.glob("docs/*.md"))
    if page.name not in {"benchmarks.md", "commands.md", "compatibility.md", "reliability.md"}
]
LOGGERS = {"django_minio_router.requests"}
TESTS = {
    name for path in ROOT.glob("tests/**/*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_of_modules_lead_somewhere(page: Path) -> None:
    for path in sorted(set(re.findall(r"\bdjango_minio_router(?:\.\w+)+", page.read_text())) - LOGGERS):
        module = ROOT / path.replace(".", "/")
        if not (module.is_dir() or module.with_suffix(".py").is_file()):
            if "contrib.health" in path:
                pytest.importorskip("health_check")  # needs Python 3.11
            import_string(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_are_there(page: Path) -> None:
    for path in re.findall(
        r"\b(?:\w+/)+\w+\.py\b", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    ):
        assert (ROOT / path).is_file() or (ROOT / "django_minio_router" / path).is_file(), path


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=lambda page: f"{page.parent.name}-{page.name}")
def test_tests_are_there(page: Path) -> None:
    text = page.read_text()
    named = {name for comment in BESIDE.findall(text) for name in comment.split(", ")}

    assert named | set(re.findall(r"`(test_\w+)`", text)) <= TESTS


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=lambda page: f"{page.parent.name}-{page.name}")
def test_a_comment_breaks_no_paragraph(page: Path) -> None:
    """One at the start of a line would end the paragraph, on the site and on GitHub."""
    assert re.findall(r"^ *<!-- test_.*", page.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("page", PROMISING, ids=lambda page: page.name)
def test_a_promise_names_its_test(page: Path) -> None:
    """In the same paragraph, list item or row: in a column of the table, or in a comment beside it."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    blocks = re.split(r"\n\n|\n(?= *[-*|] )|\n(?= *\d+\. )", text)

    promises = [block for block in blocks if PROMISE.search(block) and not block.startswith("#")]
    assert [block for block in promises if not NAMED.search(block)] == []
