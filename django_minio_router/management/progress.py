"""A progress bar, shown on a terminal only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_WIDTH = 30


class ProgressBar:
    """Redraw one line as work advances; with a ``total`` of 0, draw nothing."""

    def __init__(self, stdout: Any, total: int) -> None:
        self._stdout = stdout
        self._total = total
        self._done = 0
        self._shown = total > 0 and stdout.isatty()

    def __enter__(self) -> ProgressBar:
        self._draw()
        return self

    def __exit__(self, *exception: object) -> None:
        self._erase()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Advance by one. Output within the block stays above the bar."""
        self._erase()
        yield
        self._done += 1
        self._draw()

    def _draw(self) -> None:
        if self._shown:
            filled = _WIDTH * self._done // self._total
            bar = "#" * filled + "." * (_WIDTH - filled)
            self._stdout.write(f"\r[{bar}] {self._done}/{self._total}", ending="")
            self._stdout.flush()

    def _erase(self) -> None:
        if self._shown:
            self._stdout.write("\r\x1b[K", ending="")
