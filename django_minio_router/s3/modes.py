"""The modes of ``open()``: reading or writing a whole object, as bytes or text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any

_READING = {"r", "rb", "rt"}
_WRITING = {"w", "wb", "wt", "x", "xb", "xt"}
_OPEN_ARGUMENTS = ("buffering", "encoding", "errors", "newline")


def is_writing(name: object, mode: str) -> bool:
    """Return whether the mode writes. ``ValueError`` for an unknown one, or one that would change a part."""
    if mode not in _READING and mode not in _WRITING:
        raise ValueError(
            f"{name!r} cannot be opened with the mode {mode!r}: objects are stored as a whole. Use 'rb' or "
            "'r' to read, 'wb' or 'w' to store new content."
        )
    return mode in _WRITING


def text_options(*args: Any, **options: Any) -> dict[str, Any]:
    """Return the text options of ``open()``, from its positional or keyword arguments."""
    options = {**dict(zip(_OPEN_ARGUMENTS, args, strict=False)), **options}
    options.pop("buffering", None)
    return options


def as_mode(file: Any, mode: str, options: Mapping[str, Any]) -> IO[Any]:
    """Return the binary file, or a text wrapper around it, by default in UTF-8."""
    if "b" in mode:
        return file  # type: ignore[no-any-return]
    return io.TextIOWrapper(file, **{"encoding": "utf-8", **options})
