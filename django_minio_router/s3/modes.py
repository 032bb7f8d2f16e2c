"""The modes that an object can be opened in: whole, for reading or for writing, in bytes or as text."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any

_READING = {"r", "rb", "rt"}
_WRITING = {"w", "wb", "wt", "x", "xb", "xt"}
_OF_OPEN = ("buffering", "encoding", "errors", "newline")


def is_writing(name: object, mode: str) -> bool:
    """Tell whether the mode writes. ``ValueError`` for one that changes a part of what is stored."""
    if mode not in _READING and mode not in _WRITING:
        raise ValueError(
            f"{name!r} cannot be opened with the mode {mode!r}: an object is stored whole. Use 'rb' or 'r' "
            "to read, 'wb' or 'w' to store another content."
        )
    return mode in _WRITING


def text_options(*args: Any, **options: Any) -> dict[str, Any]:
    """Return what ``open()`` is told about text, in its order or by name."""
    told = {**dict(zip(_OF_OPEN, args, strict=False)), **options}
    told.pop("buffering", None)
    return told


def as_mode(file: Any, mode: str, options: Mapping[str, Any]) -> IO[Any]:
    """Return the binary file, or the text in it, which is UTF-8 unless ``encoding`` says otherwise."""
    if "b" in mode:
        return file  # type: ignore[no-any-return]
    return io.TextIOWrapper(file, **{"encoding": "utf-8", **options})
