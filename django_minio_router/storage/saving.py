"""A save in progress: the storage whose hooks run, and the names found taken so far."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core.files import File
from django.core.files.storage import Storage

from ..s3.content import Source

if TYPE_CHECKING:
    from .backend import MinioBackend


@dataclass
class PendingSave:
    """One call of ``save``: the hooks of ``storage``, which was called, run, and ``backend`` stores.

    With ``only_new``, the server refuses a taken name. ``may_replace`` is the storage's ``replace_existing``.
    ``offered`` is the name being tried: ``exists`` assumes that it is free until the server refuses it.
    """

    storage: Storage
    backend: MinioBackend
    content: File[Any]
    source: Source
    may_replace: bool
    only_new: bool = False
    taken: set[str] = field(default_factory=set)
    offered: str | None = None

    @classmethod
    def of(cls, storage: Storage) -> PendingSave | None:
        """Return the current save of this storage in this thread or task."""
        save = _current.get()
        return save if save is not None and (save.storage is storage or save.backend is storage) else None

    def __enter__(self) -> None:
        self._token = _current.set(self)

    def __exit__(self, *failure: object) -> None:
        _current.reset(self._token)

    def choose_name(self, name: str, max_length: int | None) -> str:
        """Return the available name that the storage's hook chooses."""
        self.offered = name
        try:
            return self.storage.get_available_name(name, max_length=max_length)
        finally:
            self.offered = None

    def is_taken(self, name: str) -> bool | None:
        """Return whether the name being tried is taken. None if only the server knows."""
        if name != self.offered:
            return None
        if name in self.taken:
            return True
        # The save itself will find out. After two taken names, names are not random, so check first.
        return False if self.may_replace or (self.only_new and len(self.taken) < 2) else None


_current: ContextVar[PendingSave | None] = ContextVar("minio_router_save", default=None)


class ObjectStorage(Storage):
    """Choose an available name as Django does, with the hooks of the storage that was called.

    There are no paths, and no times but the last change.
    """

    replace_existing: bool

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name if it is free or may be replaced, else another free name.

        With ``replace_existing``, only a name that is too long is changed, and then as in Django: two long
        names must not become the same.
        """
        if self.replace_existing and (max_length is None or len(name) <= max_length):
            return name
        save = PendingSave.of(self)
        if save is not None and name == save.offered and self.is_name_available(name, max_length):
            return name  # checked in save(); Django's check would take longer than everything else here
        return _slashes(Storage.get_available_name(_NameProbe(self, save), name, max_length=max_length))

    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        return _slashes(super().generate_filename(filename))

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return whether the name is short enough and free. New in Django 5.1."""
        return (not max_length or len(name) <= max_length) and not self.exists(_slashes(name))

    # Not supported by S3

    def path(self, name: str) -> str:
        raise NotImplementedError("Objects have no path on a local disk. Use open() or url().")

    def get_accessed_time(self, name: str) -> datetime:
        raise NotImplementedError("S3 does not store access times.")

    def get_created_time(self, name: str) -> datetime:
        raise NotImplementedError("S3 does not store creation times. Use get_modified_time().")


def _slashes(name: str) -> str:
    """Return the name with slashes: on Windows, Django joins its parts with backslashes."""
    return name.replace("\\", "/")


class _NameProbe(Storage):
    """The storage that Django chooses a name with: it records each name that a save tries."""

    def __init__(self, storage: ObjectStorage, save: PendingSave | None) -> None:
        self._storage = storage
        self._pending_save = save

    def exists(self, name: str) -> bool:
        return self._storage.exists(self._record(name))

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        return self._storage.is_name_available(self._record(name), max_length=max_length)

    def _record(self, name: str) -> str:
        name = _slashes(name)
        if self._pending_save is not None:
            self._pending_save.offered = name
        return name

    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        return self._storage.get_alternative_name(file_root, file_ext)
