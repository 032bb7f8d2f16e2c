"""The pages of the documentation: their sections and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def section(page: str, title: str) -> str:
    """Return the text below a heading, up to the next one of its level or above."""
    text = (ROOT / page).read_text()
    # Blank out code first, since comments in it look like headings.
    prose = BLOCK.sub(lambda block: " " * len(block[0]), text)
    start = re.search(rf"^(#+) {re.escape(title)}$", prose, re.MULTILINE)
    assert start, f"{page} has no section {title!r}"
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(prose, start.end())
    return text[start.end() : end.start() if end else None]


def blocks(text: str, language: str) -> list[str]:
    return [code for kind, code in BLOCK.findall(text) if kind == language]
