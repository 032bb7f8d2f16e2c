"""Writing: content is sent as it is written, and visible once the file is closed without an error."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from queue import Full, Queue
from threading import Thread
from typing import Any, TypeAlias

from django.core.files import File
from django.core.files.base import ContentFile

from .content import PIECE
from .modes import as_mode

Store: TypeAlias = Callable[["File[Any]"], None]

_AHEAD = 16  # pieces that wait for the network
_END, _DISCARD = b"", None


class _Discarded(Exception):
    """Ends an upload whose file was not closed, or whose block failed."""


class _Pieces(File):  # type: ignore[type-arg]
    """The content of an upload that is under way in a thread, while more of it is written."""

    size: int = 0

    def __init__(self, store: Store) -> None:
        super().__init__(None)
        self._waiting: Queue[bytes | None] = Queue(_AHEAD)
        self._error: BaseException | None = None
        self._thread = Thread(target=copy_context().run, args=(self._run, store), daemon=True)
        self._thread.start()

    def _run(self, store: Store) -> None:
        try:
            store(self)
        except BaseException as error:
            self._error = error

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        while (piece := self._waiting.get()) != _END:
            if piece is None:  # _DISCARD
                raise _Discarded
            yield piece

    def add(self, piece: bytes | None) -> None:
        """Send on a piece. Raises what the upload failed with."""
        while self._thread.is_alive():
            try:
                return self._waiting.put(piece, timeout=0.1)
            except Full:
                pass
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Let the upload be completed, and wait for that."""
        self.add(_END)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def discard(self) -> None:
        """Let what was sent be removed, and wait for that; what failed already has removed it itself."""
        with suppress(Exception):
            self.add(_DISCARD)
        self._thread.join()


class _Outgoing(io.RawIOBase):
    """What was written: kept until it fills a request, then sent on as it comes. ``store`` sends a file."""

    def __init__(self, store: Store, part_size: int) -> None:
        self._store, self._part_size = store, part_size
        self._kept: list[bytes] = []
        self._pieces: _Pieces | None = None
        self._is_over = False
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._is_over:
            return len(view)
        for at in range(0, len(view), PIECE):
            self._add(bytes(view[at : at + PIECE]))
        return len(view)

    def _add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._pieces is None:
            self._kept.append(piece)
            if self.size <= self._part_size:
                return
            self._pieces = _Pieces(self._store)
        kept, self._kept = self._kept or [piece], []
        for piece in kept:
            self._pieces.add(piece)

    def finish(self) -> None:
        """Store it. A failure stores nothing."""
        self._is_over = True
        if self._pieces is not None:
            self._pieces.end()
        else:
            self._store(ContentFile(b"".join(self._kept)))

    def discard(self) -> None:
        if not self._is_over:
            self._is_over = True
            if self._pieces is not None:
                self._pieces.discard()

    def close(self) -> None:
        if not self.closed and not self._is_over:
            warnings.warn(
                f"A file that was being written ({self.size} bytes) was not closed, so it is not stored.",
                ResourceWarning,
                stacklevel=2,
            )
            self.discard()
        super().close()


class ObjectWriter(File):  # type: ignore[type-arg]
    """An object opened for writing; Django's ``File``, on the bucket that opened it.

    Nothing is visible before ``close()``, which stores what was written, whole, or raises. After an exception
    within ``with``, and without ``close()``, nothing is stored. ``before_store`` and ``after_store`` get the
    size in bytes around the last step; what the first raises keeps it from being stored.
    """

    def __init__(self, store: Store, name: str, mode: str, part_size: int, **text: Any) -> None:
        self._outgoing = _Outgoing(store, part_size)
        super().__init__(as_mode(io.BufferedWriter(self._outgoing, PIECE), mode, text), name)
        self.mode = mode
        self.before_store: Callable[[int], object] = int
        self.after_store: Callable[[int], object] = int

    @property
    def size(self) -> int:
        """What was written, in bytes."""
        if not self.closed:
            self.file.flush()  # type: ignore[union-attr]
        return self._outgoing.size

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> ObjectWriter:
        """Do nothing, as Django opens what it is about to write; what was closed stays closed."""
        if self.closed or mode not in (None, self.mode):
            raise ValueError(f"{self.name!r} is open for writing. Open it anew with its storage.")
        return self

    def close(self) -> None:
        if self.closed:
            return
        try:
            size = self.size
            self.before_store(size)
            self._outgoing.finish()
        finally:
            self._discard()
        self.after_store(size)

    def _discard(self) -> None:
        self._outgoing.discard()
        self.file.close()  # type: ignore[union-attr]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None and not self.closed:
            self._discard()
        self.close()
