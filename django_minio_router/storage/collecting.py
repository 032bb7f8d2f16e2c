"""The bucket as ``collectstatic`` sees it: listed once, and compared with the project's files by content.

Times do not help: a fresh checkout gives each file a new one, and an older version has an old one.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils.timezone import make_naive

from ..exceptions import BucketNotFound, ServerError
from ..s3.bucket import Bucket, ObjectInfo

_PAUSE = 5.0  # seconds; lookups that follow each other faster belong to one run


class BucketListing:
    """The objects of a bucket by name, listed for a series of lookups.

    The first lookup, and a single one, go to the server instead.
    """

    def __init__(self) -> None:
        self._last_lookup = 0.0
        self._objects: dict[str, ObjectInfo] | None = None
        self._may_list = True

    def forget(self) -> None:
        """End the run: the next lookup starts another one."""
        self._last_lookup, self._objects = 0.0, None

    def lookup(self, objects: Bucket, prefix: str) -> dict[str, ObjectInfo] | None:
        """Return the listing, or None for a single lookup and if the key may not list."""
        before, self._last_lookup = self._last_lookup, time.monotonic()
        if self._last_lookup - before > _PAUSE:
            self._objects = None
        elif self._objects is None and self._may_list:
            self._objects = self._list(objects, prefix)
        return self._objects

    def _list(self, objects: Bucket, prefix: str) -> dict[str, ObjectInfo] | None:
        try:
            return {found.key.removeprefix(prefix): found for found in objects.list(prefix)}
        except BucketNotFound:
            return {}
        except ServerError as error:
            if error.status != 403:
                raise
            self._may_list = False
            return None

    def put(self, name: str) -> None:
        """Note a stored file; its content is not compared in this run."""
        if self._objects is not None:
            self._objects[name] = ObjectInfo(name, -1)

    def discard(self, name: str) -> None:
        """Note a deleted file."""
        if self._objects is not None:
            self._objects.pop(name, None)


def compared_with_source(name: str, found: ObjectInfo, part_size: int) -> tuple[datetime, bool] | None:
    """Return a modification time for ``collectstatic``, and whether the object has the content of the source.

    The time is that of the project's file if the content is the same, else an earlier one. None if the
    project has no such file.
    """
    source = finders.find(name)
    if not source:
        return None
    path = Path(source)
    modified = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    is_same = _has_content(found, path, part_size)
    if not is_same:
        modified -= timedelta(seconds=2)
    return (modified if settings.USE_TZ else make_naive(modified)), is_same


def _has_content(found: ObjectInfo, path: Path, part_size: int) -> bool:
    """Return whether the entity tag matches the file.

    A tag that is not an MD5, such as that of an encrypted object, never does, so the file is stored again.
    """
    if found.size != path.stat().st_size:
        return False
    full, parts = _md5(), _md5()
    count = 0
    with path.open("rb") as file:
        while part := file.read(part_size):
            full.update(part)
            parts.update(_md5(part).digest())
            count += 1
    return found.etag in {full.hexdigest(), f"{parts.hexdigest()}-{count}"}


def _md5(data: bytes = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)
