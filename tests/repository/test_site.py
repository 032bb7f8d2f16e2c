"""The site of the documentation leads to every page."""

from __future__ import annotations

import re
from pathlib import Path

from tools import command_reference

ROOT = Path(__file__).parents[2]


def test_every_page_is_in_the_navigation_once() -> None:
    named = re.findall(r'"([\w-]+\.md)"', (ROOT / "zensical.toml").read_text())

    assert sorted(named) == sorted(page.name for page in ROOT.glob("docs/*.md"))


def test_every_page_of_the_site_is_in_the_readme() -> None:
    linked = set(re.findall(r"\(docs/([\w-]+\.md)[)#]", (ROOT / "README.md").read_text()))

    assert {page.name for page in ROOT.glob("docs/*.md")} - linked <= {"index.md", "architecture.md"}


def test_the_commands_are_described_as_they_are() -> None:
    assert command_reference.PAGE.read_text() == command_reference.page()
