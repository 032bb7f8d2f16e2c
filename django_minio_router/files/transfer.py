"""Transfer one file from one place to another: by a server copy if possible, else streamed, then compare.

Nothing is replaced. Before a server copy, the name is claimed by an empty object with a special header, with
the same conditional write as in saves: SeaweedFS 4.48 accepts a condition on a copy, but of 150 saves during
one, 6 were lost.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Protocol

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, Storage

from ..exceptions import BucketNotFound, ServerError
from ..s3.bucket import Bucket, ObjectInfo
from ..s3.errors import is_outcome_unknown
from ..settings.testing import refuse_in_tests
from ..storage.backend import MinioBackend
from ..storage.fallback import (
    CLAIM_HEADER,
    is_claim,
    is_same_place,
    mark_beside,
    mark_deleted,
)
from ..storage.signals import object_moved, tell

logger = logging.getLogger(__name__)

_PAUSE = 0.1  # seconds, doubled each time
_BLOCK = 1024 * 1024
_MD5 = re.compile("[0-9a-f]{32}")
_CLAIM = {CLAIM_HEADER: "1"}


class Origin(Protocol):
    """The place that files come from."""

    @property
    def key(self) -> str:
        """The identity of this place."""
        ...

    def object_name(self, name: str) -> str:
        """Return the full name of a file in the place."""
        ...

    def find(self, name: str) -> ObjectInfo | None:
        """Return the description of a file, or None if it is missing."""
        ...

    def read(self, name: str) -> AbstractContextManager[Any]:
        """Open a file for reading."""
        ...

    def object_names(self) -> Iterator[str]:
        """Yield the full names of all objects in the place."""
        ...

    def remove(self, name: str, version: str) -> None:
        """Delete a file. ``ServerError`` with the status 412 if it has another version."""
        ...


class Folder:
    """Files in another storage than ours, such as ``MEDIA_ROOT``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        # Evaluated now, since the folder may depend on the active tenant.
        local = isinstance(storage, FileSystemStorage)
        self.key = str(storage.location) if local else type(storage).__name__  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return self.key

    def object_name(self, name: str) -> str:
        """Return the normalized name of a local file: a row may also have a path, or ``./name``."""
        if not name or not isinstance(self._storage, FileSystemStorage):
            return name
        try:
            return Path(self._storage.path(name)).relative_to(self.key).as_posix()
        except (SuspiciousFileOperation, ValueError):  # not in this folder
            return name

    def find(self, name: str) -> ObjectInfo | None:
        if not self._storage.exists(name):
            return None
        try:
            size, modified = self._storage.size(name), self._storage.get_modified_time(name)
        except FileNotFoundError:
            return None
        return ObjectInfo(name, size, last_modified=modified.isoformat())

    def read(self, name: str) -> AbstractContextManager[Any]:
        return self._storage.open(name, "rb")

    def object_names(self) -> Iterator[str]:
        # For display only: a name may not be valid text.
        return (os.fsencode(name).decode(errors="backslashreplace") for name in self._below(""))

    def _below(self, folder: str) -> Iterator[str]:
        try:
            folders, files = self._storage.listdir(folder)
        except FileNotFoundError:
            return
        yield from (f"{folder}{name}" for name in files)
        for name in folders:
            yield from self._below(f"{folder}{name}/")

    def remove(self, name: str, version: str) -> None:
        found = self.find(name)
        if found is not None and found.version != version:
            raise ServerError(f"{name!r} in {self} was replaced meanwhile.", status=412)
        self._storage.delete(name)


class BucketFiles:
    """The files in the bucket of a backend, without any fallback, as the source or target of a move.

    It never replaces a file.
    """

    def __init__(self, backend: MinioBackend) -> None:
        self._backend = backend
        self.bucket = backend.bucket

    def __str__(self) -> str:
        return f"{self.bucket}/{self._backend.prefix}".rstrip("/")

    @property
    def objects(self) -> Bucket:
        return self._backend.objects

    @property
    def key(self) -> str:
        return self.objects.address

    def object_name(self, name: str) -> str:
        return self._backend.object_name(name)

    @property
    def is_there(self) -> bool:
        return self.objects.exists()

    def is_in(self, backend: MinioBackend) -> bool:
        """Return whether this is the place of the backend."""
        return is_same_place(self._backend, backend)

    def find(self, name: str) -> ObjectInfo | None:
        try:
            return self.objects.head(self.object_name(name), self._backend.reading_headers)
        except (FileNotFoundError, BucketNotFound):
            return None

    def read(self, name: str) -> AbstractContextManager[Any]:
        return self.objects.open(self.object_name(name), self._backend.reading_headers)

    def object_names(self) -> Iterator[str]:
        return (found.key for found in self.objects.list(self._backend.prefix))

    def remove(self, name: str, version: str) -> None:
        refuse_in_tests(self.objects.client.server, self.key)
        key_headers = self._backend.reading_headers
        self.objects.delete(self.object_name(name), if_match=version, headers=key_headers)

    def send_moved(self, name: str, found: ObjectInfo) -> None:
        """Send ``object_moved`` for a file that is in this place now."""
        tell(object_moved, self._backend, name, found.size)

    def receive(self, name: str, found: ObjectInfo, origin: Origin, claimed: bool) -> None:
        """Store a file from the origin. ``FileExistsError`` if the name is taken meanwhile.

        If it is ``claimed``, by an interrupted or concurrent run, the claim is used, but never removed: it
        may have become the only copy of the file.
        """
        try:
            self._receive(name, found, origin, claimed)
        finally:
            self._restore_mark(name)

    def _restore_mark(self, name: str) -> None:
        """Mark the file as deleted again if that happened during the copy: see ``mark_beside``."""
        key, headers = self.object_name(name), self._backend.headers
        try:
            self.objects.head(mark_beside(key), headers.reading())
        except FileNotFoundError:
            return
        mark_deleted(self.objects, key, headers.encryption())

    def _receive(self, name: str, found: ObjectInfo, origin: Origin, claimed: bool) -> None:
        if claimed and not self._is_claimed(name):
            raise FileExistsError(f"{name!r} in {self} is no longer claimed.")
        if isinstance(origin, BucketFiles) and self._can_copy_from(origin):
            self._copy(name, found, origin, claimed)
        else:
            self._stream(name, found, origin, claimed)

    def _can_copy_from(self, origin: BucketFiles) -> bool:
        """Return whether the server can copy the file.

        Not if objects are encrypted with customer-provided keys. Nor if saves replace files: a save between
        claim and copy would be lost.
        """
        own, other = self._backend, origin._backend
        return self.objects.can_copy_from(origin.objects) and not (
            own.sse or other.sse or own.replace_existing
        )

    def _copy(self, name: str, found: ObjectInfo, origin: BucketFiles, claimed: bool) -> None:
        if not claimed:
            self._put(name, ContentFile(b""), _CLAIM)
        try:
            self._copy_over_claim(name, found, origin)
        except BaseException as error:
            if not claimed:
                self.drop_claim(name)
            if not isinstance(error, ServerError) or error.status not in (403, 501):
                raise
            logger.info("The server cannot copy %r (%s), so it is streamed.", name, error)
        else:
            return
        self._stream(name, found, origin, claimed)

    def _copy_over_claim(self, name: str, found: ObjectInfo, origin: BucketFiles) -> None:
        """Copy while the claim exists. After a lost response, the file may exist, or be deleted again."""
        headers = self._backend.headers.guarded(name, found.metadata)
        for number in range(self.objects.client.server.retries + 1):
            try:
                return self.objects.copy(origin.objects, found, self.object_name(name), headers)
            except ServerError as error:
                if not is_outcome_unknown(error) or number == self.objects.client.server.retries:
                    raise
            if not self._is_claimed(name):
                return
            time.sleep(_PAUSE * 2**number)

    def _is_claimed(self, name: str) -> bool:
        new = self.find(name)
        return new is not None and is_claim(new.headers)

    def drop_claim(self, name: str) -> None:
        """Remove the claim, unless another run has used it."""
        with suppress(OSError):
            new = self.find(name)
            if new is not None and is_claim(new.headers):
                self.remove(name, new.version)

    def _stream(self, name: str, found: ObjectInfo, origin: Origin, claimed: bool) -> None:
        with origin.read(name) as content:
            file = content if isinstance(content, File) else File(content)
            own, kept = self._backend.headers, found.metadata
            headers = (
                own.guarded(name, kept) | own.encryption() if kept else self._backend.headers_of(name, file)
            )
            self._put(name, file, headers, may_replace=claimed)

    def _put(
        self, name: str, content: File[Any], headers: Mapping[str, str], *, may_replace: bool = False
    ) -> None:
        # Without conditions, the name was checked before, and saves use random names.
        only_new = not may_replace and self._backend.refuses_taken_names(name, content)
        self.objects.put(self.object_name(name), content, headers, only_new=only_new, claim_headers=_CLAIM)


def origin_of(storage: Storage) -> Origin:
    return BucketFiles(storage) if isinstance(storage, MinioBackend) else Folder(storage)


# Comparing


def source_of(origin: Origin) -> tuple[str, str]:
    """Return the place, and the folder in it that contains all names of the origin."""
    return origin.key, origin.object_name("")


def is_same(name: str, found: ObjectInfo, origin: Origin, new: ObjectInfo, target: BucketFiles) -> bool:
    """Return whether the file has the same content in both places.

    Different sizes mean no. Equal entity tags, or a local file whose MD5 is the tag, mean yes. Otherwise,
    such as after a multipart upload, both are read.
    """
    tag, new_tag = found.etag, new.etag
    if found.size != new.size:
        return False
    if tag and tag == new_tag:
        return True
    if not tag and _MD5.fullmatch(new_tag) and _digest(origin, name, "md5") == new_tag:
        return True
    return _digest(origin, name, "sha256") == _digest(target, name, "sha256")


def is_one(name: str, found: ObjectInfo, origin: Origin, new: ObjectInfo, target: BucketFiles) -> bool:
    """Return whether the two are the same object, on a server with two names or keys."""
    return (
        isinstance(origin, BucketFiles)
        and (origin.bucket, origin.object_name(name)) == (target.bucket, target.object_name(name))
        and found.modified == new.modified
    )


def _digest(place: Origin, name: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with place.read(name) as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
