"""Writing: content is sent while it is written, and visible once the file is closed without an error."""

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

_AHEAD = 16  # pieces waiting for the network
_END, _DISCARD = b"", None


class _Discarded(Exception):
    """Abort the upload of a file that was not closed, or whose block failed."""


class _Pieces(File):  # type: ignore[type-arg]
    """The content of an upload that runs in a thread while more is written."""

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
        """Pass a piece to the upload. Raise the error if the upload failed."""
        while self._thread.is_alive():
            try:
                return self._waiting.put(piece, timeout=0.1)
            except Full:
                pass
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Complete the upload, and wait for it."""
        self.add(_END)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def discard(self) -> None:
        """Abort the upload and wait for it; one that failed has removed its parts already."""
        with suppress(Exception):
            self.add(_DISCARD)
        self._thread.join()


class _Outgoing(io.RawIOBase):
    """Buffer what is written until it fills a request, then send it as it comes. ``store`` sends a file."""

    def __init__(self, store: Store, part_size: int) -> None:
        self._store, self._part_size = store, part_size
        self._buffered: list[bytes] = []
        self._pieces: _Pieces | None = None
        self._is_finished = False
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._is_finished:
            return len(view)
        for at in range(0, len(view), PIECE):
            self._add(bytes(view[at : at + PIECE]))
        return len(view)

    def _add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self._pieces is None:
            self._buffered.append(piece)
            if self.size <= self._part_size:
                return
            self._pieces = _Pieces(self._store)
        pieces, self._buffered = self._buffered or [piece], []
        for piece in pieces:
            self._pieces.add(piece)

    def finish(self) -> None:
        """Store the content. If that fails, nothing is stored."""
        self._is_finished = True
        if self._pieces is not None:
            self._pieces.end()
        else:
            self._store(ContentFile(b"".join(self._buffered)))

    def discard(self) -> None:
        if not self._is_finished:
            self._is_finished = True
            if self._pieces is not None:
                self._pieces.discard()

    def close(self) -> None:
        if not self.closed and not self._is_finished:
            warnings.warn(
                f"A file opened for writing ({self.size} bytes) was not closed, so it is not stored.",
                ResourceWarning,
                stacklevel=2,
            )
            self.discard()
        super().close()


class ObjectWriter(File):  # type: ignore[type-arg]
    """An object opened for writing: a Django ``File`` bound to the bucket that opened it.

    Nothing is visible before ``close()``, which stores all that was written, or raises. After an exception in
    a ``with`` block, and without ``close()``, nothing is stored. ``before_store`` and ``after_store`` are
    called with the size in bytes around the last step; if the first raises, nothing is stored.
    """

    def __init__(self, store: Store, name: str, mode: str, part_size: int, **text: Any) -> None:
        self._outgoing = _Outgoing(store, part_size)
        super().__init__(as_mode(io.BufferedWriter(self._outgoing, PIECE), mode, text), name)
        self.mode = mode
        self.before_store: Callable[[int], object] = int
        self.after_store: Callable[[int], object] = int

    @property
    def size(self) -> int:
        """The size written so far, in bytes."""
        if not self.closed:
            self.file.flush()  # type: ignore[union-attr]
        return self._outgoing.size

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> ObjectWriter:
        """Return the file: Django opens what it is about to write. ``ValueError`` if it is closed."""
        if self.closed or mode not in (None, self.mode):
            raise ValueError(f"{self.name!r} is open for writing. Open it again with its storage.")
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
