"""What ``collectstatic`` finds in the bucket: listed once, and compared with the project's files by content.

A fresh checkout gives each file a new time, and an older version an old one, so times do not tell.
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

_PAUSE = 5.0  # seconds; questions that follow each other faster are those of one run


class Listed:
    """The objects of a bucket by name, while somebody asks for one after the other.

    The first question asks the server, and so does each that comes alone.
    """

    def __init__(self) -> None:
        self._asked = 0.0
        self._found: dict[str, ObjectInfo] | None = None
        self._may_list = True

    def forget(self) -> None:
        """The run is over: the next question begins another one."""
        self._asked, self._found = 0.0, None

    def ask(self, objects: Bucket, prefix: str) -> dict[str, ObjectInfo] | None:
        """Return what is there, or None for a question that comes alone, and where the key may not list."""
        before, self._asked = self._asked, time.monotonic()
        if self._asked - before > _PAUSE:
            self._found = None
        elif self._found is None and self._may_list:
            self._found = self._list(objects, prefix)
        return self._found

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
        """Note a file that was stored; its content is not compared in this run."""
        if self._found is not None:
            self._found[name] = ObjectInfo(name, -1)

    def drop(self, name: str) -> None:
        """Note a file that was deleted."""
        if self._found is not None:
            self._found.pop(name, None)


def beside_source(name: str, found: ObjectInfo, part_size: int) -> tuple[datetime, bool] | None:
    """Return a time that tells ``collectstatic`` whether the object has the content of the project's file,
    and whether it has: the time of that file, else an earlier one. None if the project has no such file."""
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
    """Tell whether the entity tag is that of the file. One that holds no MD5, such as of an encrypted object,
    tells nothing, so the file is stored anew."""
    if found.size != path.stat().st_size:
        return False
    whole, parts = _md5(), _md5()
    count = 0
    with path.open("rb") as file:
        while part := file.read(part_size):
            whole.update(part)
            parts.update(_md5(part).digest())
            count += 1
    return found.etag in {whole.hexdigest(), f"{parts.hexdigest()}-{count}"}


def _md5(data: bytes = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)
