"""The pages are plain to read: an example first, short paragraphs and lines of code, "is not" for "is no"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "strategies" / "README.md"]
MOST_WORDS = 80
WIDEST_CODE = 93  # characters; more than these scroll in a window that is 1280 pixels wide
WITHOUT_AN_EXAMPLE = {"design-notes.md"}  # decisions

COMMENT = re.compile(r" *<!-- .*? -->")  # names the test of a promise, or a tool that writes a table
CODE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
NOT_A_PARAGRAPH = re.compile(r" *(?:#|\||!\[|[-*] |\d+\. )")
# "There is no fallback" says what is absent; "public is no tenant" should be "is not a tenant".
BE = r"(?:is|are|was|were|be|been)"
INVERTED = re.compile(rf"\b{BE} no (?!longer\b|more\b|less\b|fewer\b)\w+", re.IGNORECASE)
ABSENT = re.compile(rf"\bthere(?: \w+)? {BE} no\b", re.IGNORECASE)


def paragraphs(page: Path) -> Iterator[str]:
    """Return the paragraphs of a page, without code, tables, lists and headings."""
    for block in COMMENT.sub("", CODE.sub("", page.read_text())).split("\n\n"):
        lines = block.strip("\n").splitlines()
        if lines and not NOT_A_PARAGRAPH.match(lines[0]):
            yield " ".join(line.strip() for line in lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.name}")
def test_no_paragraph_is_long(page: Path) -> None:
    long = [text for text in paragraphs(page) if len(text.split()) > MOST_WORDS]
    assert long == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_a_page_starts_with_an_example(page: Path) -> None:
    blocks = (block for block in page.read_text().split("\n\n") if not block.startswith("#"))
    assert page.name in WITHOUT_AN_EXAMPLE or next(blocks).startswith("```")


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_code_is_no_wider_than_the_site(page: Path) -> None:
    lines = (line for code in CODE.findall(page.read_text()) for line in code.splitlines())
    assert [line for line in lines if len(line) > WIDEST_CODE] == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_code_within_a_list_belongs_to_it(page: Path) -> None:
    """With less than four spaces, the site ends the list there, and counts from one again."""
    assert re.findall(r"^ {1,3}```.*", page.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.name}")
def test_what_is_not_so_is_denied_plainly(page: Path) -> None:
    text = " ".join(CODE.sub("", page.read_text()).split())
    found = [text[max(0, hit.start() - 30) : hit.end() + 20] for hit in INVERTED.finditer(text)]
    assert [words for words in found if not ABSENT.search(words)] == []
