"""The site of the documentation leads to every page."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from nox.project import load_toml

import dev
from tools import command_reference

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_navigation_once() -> None:
    named = re.findall(r'"([\w-]+\.md)"', (ROOT / "zensical.toml").read_text())

    assert sorted(named) == sorted(page.name for page in ROOT.glob("docs/*.md"))


def test_every_page_of_the_site_is_in_the_readme() -> None:
    linked = set(re.findall(r"\(docs/([\w-]+\.md)[)#]", (ROOT / "README.md").read_text()))

    assert {page.name for page in ROOT.glob("docs/*.md")} - linked <= {"index.md", "architecture.md"}


def test_pages_of_the_root_are_in_the_site_with_links_that_lead_on(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    for name in dev.PAGES_OF_THE_ROOT:
        (tmp_path / name).write_text("[A](docs/a.md#b), [B](SECURITY.md), [C](https://example.com/D.md)")
    dev.add_pages_of_the_root()

    in_the_site = re.findall(r'"(project/[\w-]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(in_the_site) == [f"project/{name.lower()}" for name in dev.PAGES_OF_THE_ROOT]
    for name in in_the_site:
        text = (tmp_path / "docs" / name).read_text()
        assert text == "[A](../a.md#b), [B](security.md), [C](https://example.com/D.md)"


def test_the_commands_are_described_as_they_are() -> None:
    assert command_reference.PAGE.read_text() == command_reference.page()


def page_on_the_index(pyproject: dict[str, Any]) -> str:
    told = pyproject["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text, _, rest = (ROOT / "README.md").read_text().partition(told["fragments"][0]["end-before"])
    assert rest, "the first fragment ends where README says it does"
    for change in told["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text


def test_the_page_of_the_package_index_has_no_link_or_picture_that_leads_nowhere() -> None:
    """The index has none of the repository's files."""
    text = page_on_the_index(load_toml(ROOT / "pyproject.toml"))

    assert re.findall(r"\]\((?!https?:)[^)]*\)", text) == []
    assert "storage=MinioRouter(strategy=PerTenant())" in text


def test_a_release_names_the_addresses_of_the_repository_that_makes_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    github = {
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "someone/storage",
        "GITHUB_REPOSITORY_OWNER": "someone",
        "GITHUB_REF_NAME": "v1.2",
    }
    subprocess.run([tmp_path / ".ci" / "add_project_urls"], env=os.environ | github, check=True)

    before, after = (load_toml(folder / "pyproject.toml") for folder in (ROOT, tmp_path))
    files = "https://github.example/someone/storage/blob/v1.2"
    assert f"[takes over]({files}/docs/moving.md)" in page_on_the_index(after)
    assert re.findall(r"\]\((?!https?:)[^)]*\)", page_on_the_index(after)) == []
    assert after["project"].pop("urls") == {
        "Documentation": "https://someone.github.io/storage/",
        "Source": "https://github.example/someone/storage",
        "Changelog": f"{files}/CHANGELOG.md",
        "Issues": "https://github.example/someone/storage/issues",
    }
    assert after["project"] == before["project"]
    assert "run: .ci/add_project_urls\n" in (ROOT / ".github" / "workflows" / "release.yml").read_text()


README_COLUMNS = {"this package": "**this package**", "django-storages": "dst-u"}
README_COLUMNS |= {"django-minio-backend": "dmb", "django-minio-storage": "dms"}


def test_the_readme_compares_with_numbers_of_the_benchmark() -> None:
    benchmarks = (ROOT / "docs" / "benchmarks.md").read_text()
    found = table((ROOT / "README.md").read_text(), "this package")
    requests = table(benchmarks, "**this package**")
    times, large = table(benchmarks, "save"), table(benchmarks, "save: time")

    for column, theirs in README_COLUMNS.items():
        shown = {row: cells[column] for row, cells in found.items()}
        assert shown["requests: save a new name"] == requests["save, new name"][theirs]
        assert shown["requests: open and read"] == requests["open + read"][theirs]
        assert shown["read 100 bytes of 16 MiB"] == requests["bytes: open, read 100 bytes of 16 MiB"][theirs]
        assert shown["save 10 KiB, time"] == times[theirs]["save"].split()[0]
        assert shown["private link, time"] == times[theirs]["private link"]
        assert shown["save 256 MiB, memory"] == large[theirs]["memory"]


def table(text: str, column: str) -> dict[str, dict[str, str]]:
    """Return the first table with this column head: for each row what is in which column."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if f"| {column} |" in line)
    head, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    )
    # Of two columns with one name the first counts.
    return {row[0]: dict(reversed(list(zip(head[1:], row[1:], strict=True)))) for row in rows}
