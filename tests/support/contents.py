"""Content for storages that is not an ordinary file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from django.core.files.base import File


class OneWay(io.RawIOBase):
    """A stream like a pipe: it can be read once, and does not know its length."""

    def __init__(self, content: bytes) -> None:
        self._left = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        return self._left.readinto(buffer)


class Generated(File):
    """A file without an underlying file, with generated content."""

    def __init__(self, block: Any, times: int) -> None:
        super().__init__(None, "generated.bin")
        self.block, self.times = block, times

    def chunks(self, chunk_size: int | None = None) -> Iterator[Any]:
        for _ in range(self.times):
            yield self.block
