"""``UploadedObject``: a directly uploaded file, as an ``UploadedFile`` for forms and models."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from ..exceptions import ServerError
from ..s3.bucket import Bucket, ObjectInfo
from ..s3.reading import ObjectFile, ObjectReader

logger = logging.getLogger(__name__)


class UploadedObject(UploadedFile):  # type: ignore[type-arg]
    """An object below ``incoming/``, read by range, in one version only.

    A storage on the same server stores it by a copy on the server. ``name`` and ``content_type`` come from
    the browser; ``size`` (bytes) is that of the stored object.
    """

    _file: Any = None
    key_headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, bucket: Bucket, info: ObjectInfo, name: str, content_type: str) -> None:
        super().__init__(None, name, content_type, info.size)
        self.bucket = bucket
        self.info = info

    def __repr__(self) -> str:
        return f"<UploadedObject: {self.name} ({self.content_type})>"

    @property
    def file(self) -> Any:
        if self._file is None:
            self._file = ObjectFile(self._open_reader, self.name or "")
        return self._file

    @file.setter
    def file(self, file: Any) -> None:
        """Accept None from Django: the object is opened when it is read."""
        self._file = file

    def _open_reader(self) -> ObjectReader:
        return self.bucket.open_described(self.info, self.key_headers)

    @property
    def closed(self) -> bool:
        return self._file is None or self._file.closed

    def open(self, mode: str | None = None, *args: Any, **kwargs: Any) -> UploadedObject:
        """Seek to the start; after ``close()``, open the object again."""
        self.file.open(mode, *args, **kwargs)
        return self

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def forget(self) -> None:
        """Remove the object below ``incoming/`` after the commit: it is needed again after a rollback."""
        connection = transaction.get_connection()
        if connection.in_atomic_block:
            transaction.on_commit(partial(self._remove), robust=True)
        else:
            self._remove()

    def _remove(self) -> None:
        """Remove the object. Only log a failure: the file is stored, and the object expires."""
        try:
            self.bucket.delete(self.info.key)
        except ServerError as error:
            logger.warning(
                "%r could not be removed from the bucket %r: %s", self.info.key, self.bucket.name, error
            )


class StoredFile(UploadedObject):
    """A stored file for a metadata function, which is read only on access."""
