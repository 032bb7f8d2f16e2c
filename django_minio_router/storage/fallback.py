"""A bucket whose files are still on their way from another place: what is not here yet is read there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.core.files.base import ContentFile
from django.core.files.storage import Storage

from ..caches import BoundedCache
from ..naming import check_object_name
from ..s3.reading import ObjectReader
from ..s3.uploads import Upload
from ..tenancy import get_tenancy
from .active_content import disposition_of_link
from .backend import MinioBackend

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

T = TypeVar("T")

DELETED_HEADER = "x-amz-meta-deleted-before-move"
CLAIM_HEADER = "x-amz-meta-being-moved"


def is_deleted(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer is about the mark of a deleted file, and not about a file."""
    return DELETED_HEADER in headers


def is_claim(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer is about the empty object that holds the name of a file on its way."""
    return CLAIM_HEADER in headers and headers.get("Content-Length") == "0"


# Objects that are in the new place, so that a link to one takes no request: until when that is believed.
_SEEN_FOR = 300.0  # seconds
_seen: BoundedCache[str, float] = BoundedCache(16_384)


class DeletedFile(FileNotFoundError):
    """The file was deleted before it was moved; what the old place holds under its name does not count."""


def is_same_place(one: Storage, other: Storage) -> bool:
    """Tell whether the two are one bucket of one server, and one folder in it."""
    return (
        isinstance(one, MinioBackend)
        and isinstance(other, MinioBackend)
        and (one.client, one.bucket, one.prefix) == (other.client, other.bucket, other.prefix)
    )


class ForTenant(Storage):
    """A storage of another package, asked for a tenant that the connection does not have.

    Such a storage can know the tenant from the connection only, as ``TenantFileSystemStorage`` does, and
    would answer with the file of another one.
    """

    def __init__(self, storage: Storage, tenant: Any) -> None:
        self._storage = storage
        self._tenant = tenant

    def open(self, name: str, mode: str = "rb") -> Any:
        with get_tenancy().context(self._tenant):
            return self._storage.open(name, mode)

    def exists(self, name: str) -> bool:
        with get_tenancy().context(self._tenant):
            return self._storage.exists(name)

    def size(self, name: str) -> int:
        with get_tenancy().context(self._tenant):
            return self._storage.size(name)

    def get_modified_time(self, name: str) -> datetime:
        with get_tenancy().context(self._tenant):
            return self._storage.get_modified_time(name)

    def url(self, name: str | None) -> str:
        with get_tenancy().context(self._tenant):
            return self._storage.url(name)


class MovingBackend(MinioBackend):
    """``new``, reading from ``old`` what is not there yet. Nothing is written to ``old`` or deleted from it.

    A name that only ``old`` has is taken, as a row may refer to it. A file that ``old`` has is deleted by an
    empty object in ``new`` that marks its name, so that it does not come back.
    """

    def __init__(self, new: MinioBackend, old: Storage) -> None:
        vars(self).update(vars(new))
        self.new = new
        self.old = old

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.new, self.old)

    def _open(self, name: str, mode: str = "rb") -> Any:
        return self._first(lambda: self._open_moved(name), lambda: self.old.open(name, "rb"))

    def _open_moved(self, name: str) -> Any:
        file = super()._open(name)
        reader: ObjectReader = cast("Any", file.file).raw
        try:
            self._refuse_placeholder(name, reader.response_headers)
        except FileNotFoundError:
            file.close()
            raise
        return file

    def size(self, name: str) -> int:
        return self._first(lambda: super(MovingBackend, self).size(name), lambda: self.old.size(name))

    def get_modified_time(self, name: str) -> Any:
        return self._first(
            lambda: super(MovingBackend, self).get_modified_time(name),
            lambda: self.old.get_modified_time(name),
        )

    def exists(self, name: str) -> bool:
        save = self._save_under_way()
        if save is not None and save.choosing:
            return super().exists(name) or self.old.exists(name)
        try:
            self._first(lambda: self._head(name), lambda: self._exists_in_old(name))
        except FileNotFoundError:
            return False
        return True

    def _exists_in_old(self, name: str) -> None:
        if not self.old.exists(name):
            raise FileNotFoundError(name)

    def _first(self, in_new: Callable[[], T], in_old: Callable[[], T]) -> T:
        """Ask the new place, the old one, and the new one again: the file may be moved between the two."""
        try:
            return in_new()
        except DeletedFile:
            raise
        except FileNotFoundError:
            pass
        try:
            return in_old()
        except FileNotFoundError:
            return in_new()

    def _head(self, name: str) -> BaseHTTPResponse:
        response = super()._head(name)
        self._refuse_placeholder(name, response.headers)
        return response

    def _refuse_placeholder(self, name: str, headers: Mapping[str, str]) -> None:
        if is_deleted(headers):
            raise DeletedFile(f"{name!r} was deleted from the bucket {self.bucket!r}.")
        if is_claim(headers):
            raise FileNotFoundError(f"{name!r} is on its way to the bucket {self.bucket!r}.")

    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        """List the new place only: the old one may hold the files of others."""
        return super().listdir(path)

    def _list(self, prefix: str) -> Iterator[Any]:
        for entry in super()._list(prefix):
            if entry.is_dir or entry.size or not self._is_placeholder(entry.object_name):
                yield entry

    def _is_placeholder(self, object_name: str) -> bool:
        try:
            self._head(object_name.removeprefix(self.prefix))
        except FileNotFoundError:
            return True
        return False

    def is_mark(self, object_name: str) -> bool:
        """Tell whether an object stands for a file that was deleted before it was moved."""
        try:
            self._head(object_name.removeprefix(self.prefix))
        except FileNotFoundError as error:
            return isinstance(error, DeletedFile)
        return False

    def delete(self, name: str) -> None:
        """Remove the file, and mark its name if the old place has it too: it is not ours to touch."""
        check_object_name(name)
        _seen.discard(self._key(name))
        if self.old.exists(name):
            self._mark_deleted(name)
        else:
            super().delete(name)

    def _mark_deleted(self, name: str) -> None:
        route = self._route()
        headers = {**self._encryption(), DELETED_HEADER: "1", "Content-Type": "application/octet-stream"}
        Upload(
            client=route.internal,
            bucket=route.bucket,
            name=name,
            path=route.path(name),
            headers=headers,
            only_new=False,
        ).run(self._source(ContentFile(b"")))

    def url(self, name: str, **options: Any) -> str:  # type: ignore[override]
        """Return a link to where the file is now: one request, unless it was seen in the new place lately."""
        if self._is_moved(name):
            return super().url(name, **options)
        if isinstance(self.old, MinioBackend):
            return self.old.url(name, **self._guarded_link(name, options))
        return self.old.url(name)  # storages of others have no options

    def _guarded_link(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a link to the old place: what holds for links here holds there too."""
        if not self._route().downloads_active:
            return options
        asked = {key: options.get(key) for key in ("disposition", "filename", "content_type")}
        return {**options, "disposition": disposition_of_link(name, **asked)}

    def _is_moved(self, name: str) -> bool:
        key = self._key(name)
        if (_seen.get(key) or 0) > time.monotonic():
            return True
        try:
            self._head(name)
        except DeletedFile:
            return True
        except FileNotFoundError:
            return False
        _seen.set(key, time.monotonic() + _SEEN_FOR)
        return True

    def _key(self, name: str) -> str:
        route = self._route()
        return f"{route.internal.server.base_url}{route.path(name)}"
