"""A save in progress: whose hooks run, which names it found taken, and what ``exists`` may say unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.files.storage import Storage

if TYPE_CHECKING:
    from django.core.files import File

    from ..s3.content import Source
    from .backend import MinioBackend


@dataclass
class PendingSave:
    """One call of ``save``: ``storage`` was called, so its hooks run, and ``backend`` stores.

    With ``only_new`` the server refuses a taken name; ``may_replace`` is the storage's ``replace_existing``.
    ``offered`` is the name that is being chosen: ``exists`` takes it for free until the server refuses it.
    """

    storage: Storage
    backend: MinioBackend
    content: File[Any]
    source: Source
    only_new: bool
    may_replace: bool
    taken: set[str] = field(default_factory=set)
    offered: str | None = None

    @classmethod
    def of(cls, storage: Storage) -> PendingSave | None:
        """Return the save that this storage is in the middle of, in this thread or task."""
        save = _current.get()
        return save if save is not None and (save.storage is storage or save.backend is storage) else None

    @contextmanager
    def active(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def choose_name(self, name: str, max_length: int | None) -> str:
        """Return what the hook of the storage makes of the name."""
        self.offered = name
        try:
            return self.storage.get_available_name(name, max_length=max_length)
        finally:
            self.offered = None

    def is_taken(self, name: str) -> bool | None:
        """Tell whether the name being chosen is taken. None if the server must be asked."""
        if name != self.offered:
            return None
        if name in self.taken:
            return True
        # The save itself will tell. After a second taken name, names are not random: look first.
        return False if self.may_replace or (self.only_new and len(self.taken) < 2) else None


_current: ContextVar[PendingSave | None] = ContextVar("minio_router_save", default=None)


class ChoosesNames(Storage):
    """Which name is free, as Django chooses it, with the hooks of the storage that was called."""

    replace_existing: bool

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name if it is free, or may be replaced; else another one that is free.

        With ``replace_existing`` only a name that is too long is changed, and then as Django does it: two
        long names must not become one.
        """
        if self.replace_existing and (max_length is None or len(name) <= max_length):
            return name
        save = PendingSave.of(self)
        if save is None:
            return _slashes(super().get_available_name(name, max_length=max_length))
        if name == save.offered and self.is_name_available(name, max_length):
            return name  # save() has checked it, so Django need not, which takes longer than all else here
        return _slashes(Storage.get_available_name(_Offers(self, save), name, max_length=max_length))

    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        return _slashes(super().generate_filename(filename))

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Tell whether the name is short enough and free. Django has it from 5.1 on."""
        return (not max_length or len(name) <= max_length) and not self.exists(_slashes(name))


def _slashes(name: str) -> str:
    """Return the name as it is everywhere: on Windows Django joins its parts with backslashes."""
    return name.replace("\\", "/")


class _Offers(Storage):
    """What Django chooses a name with: it notes each one that is offered, which no request asks for."""

    def __init__(self, storage: ChoosesNames, save: PendingSave) -> None:
        self._storage = storage
        self._save_under_way = save

    def exists(self, name: str) -> bool:
        self._save_under_way.offered = name = _slashes(name)
        return self._storage.exists(name)

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        self._save_under_way.offered = name = _slashes(name)
        return self._storage.is_name_available(name, max_length=max_length)

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        return self._storage.get_alternative_name(file_root, file_ext)
