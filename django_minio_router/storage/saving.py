"""A save in progress: which names it found taken, and what ``exists`` may say of a name without a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.core.files import File
    from django.core.files.storage import Storage

    from ..s3.content import Source


@dataclass
class PendingSave:
    """One call of a storage's ``save``.

    With ``only_new`` the server refuses a taken name; ``may_replace`` is the storage's ``replace_existing``.
    """

    storage: Storage
    content: File[Any]
    source: Source
    only_new: bool
    may_replace: bool
    taken: set[str] = field(default_factory=set)
    is_choosing_name: bool = False

    @classmethod
    def of(cls, storage: Storage) -> PendingSave | None:
        """Return the save that this storage is in the middle of, in this thread or task."""
        save = _current.get()
        return save if save is not None and save.storage is storage else None

    @contextmanager
    def active(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    @contextmanager
    def choosing_name(self) -> Iterator[None]:
        """Within this block ``exists`` takes a name for free until the server refuses it."""
        self.is_choosing_name = True
        try:
            yield
        finally:
            self.is_choosing_name = False

    def is_taken(self, name: str) -> bool | None:
        """Tell whether the name being chosen is taken. None if the server must be asked."""
        if not self.is_choosing_name:
            return None
        if name in self.taken:
            return True
        # The save itself will tell. After a second taken name, names are not random: look first.
        return False if self.may_replace or (self.only_new and len(self.taken) < 2) else None


_current: ContextVar[PendingSave | None] = ContextVar("minio_router_save", default=None)
