"""SVG bar charts, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping
from math import log10
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 720, 130, 70, 26, 40
_OURS, _OTHERS, _LINE = "#1a7f37", "#8c959f", "#cf222e"


def bars(title: str, numbers: Mapping[str, float], *, line: bool = False, log: bool = False) -> str:
    """Return a chart with a bar a number; the package's own stands out. ``line`` draws one at 1."""
    largest = max([*numbers.values(), 1] if line else numbers.values())
    ends = {label: _length(number, largest, log) for label, number in numbers.items()}
    height = _TOP + _ROW * len(numbers) + 10
    rows = [_row(place, label, numbers[label], end) for place, (label, end) in enumerate(ends.items())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="10" y="22" font-weight="bold" fill="#1f2328">{escape(title)}</text>',
            *rows,
            *([_line(_length(1, largest, log), height)] if line else []),
            "</svg>\n",
        ]
    )


def _length(number: float, largest: float, log: bool) -> float:
    """Return the length of a bar in pixels; on a logarithmic scale it starts at a half."""
    room = _WIDTH - _LEFT - _RIGHT
    if log:
        return room * log10(max(number, 0.5) / 0.5) / log10(largest / 0.5)
    return room * number / largest


def _row(place: int, label: str, number: float, length: float) -> str:
    y = _TOP + _ROW * place
    colour = _OURS if label == "this package" else _OTHERS
    text = f"{number:.2f}" if number < 10 else f"{number:.0f}"
    return (
        f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end" fill="#1f2328">{escape(label)}</text>'
        f'<rect x="{_LEFT}" y="{y + 2}" width="{length:.1f}" height="{_ROW - 8}" fill="{colour}"/>'
        f'<text x="{_LEFT + length + 6:.1f}" y="{y + 15}" fill="#1f2328">{text}</text>'
    )


def _line(length: float, height: int) -> str:
    x = _LEFT + length
    return (
        f'<line x1="{x:.1f}" y1="{_TOP - 4}" x2="{x:.1f}" y2="{height - 8}" stroke="{_LINE}" '
        'stroke-dasharray="4 3"/>'
    )
