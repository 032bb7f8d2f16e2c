"""A bucket whose files are still being moved: files that are not there yet are read from the old place."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from django.core.files.base import ContentFile
from django.core.files.storage import Storage

from ..caches import BoundedCache
from ..naming import check_object_name
from ..s3.bucket import Bucket, ObjectInfo
from ..s3.modes import is_writing
from ..s3.reading import ObjectReader
from ..tenancy import get_tenancy
from .active_content import link_disposition
from .backend import MinioBackend
from .base import Connection
from .saving import PendingSave
from .signals import object_deleted, tell

T = TypeVar("T")

DELETED_HEADER = "x-amz-meta-deleted-before-move"
CLAIM_HEADER = "x-amz-meta-being-moved"


def is_deleted(headers: Mapping[str, str]) -> bool:
    """Return whether a response is for the mark of a deleted file, not for a file."""
    return DELETED_HEADER in headers


def is_claim(headers: Mapping[str, str]) -> bool:
    """Return whether a response is for the empty object that claims the name of a file being moved."""
    return CLAIM_HEADER in headers and headers.get("Content-Length") == "0"


def is_file(headers: Mapping[str, str]) -> bool:
    """Return whether a response is for a file, not for a mark or a claim."""
    return not (is_deleted(headers) or is_claim(headers))


def mark_deleted(objects: Bucket, key: str, headers: Mapping[str, str], *, only_new: bool = False) -> None:
    """Store the mark of a deleted file. With ``only_new``, ``FileExistsError`` if the name is taken."""
    mark = {**headers, DELETED_HEADER: "1", "Content-Type": "application/octet-stream"}
    objects.put(key, ContentFile(b""), mark, only_new=only_new)


def mark_beside(key: str) -> str:
    """Return the name of the second mark, for a file that is deleted while it is copied.

    The copy replaces the first mark, so the copying process checks for this one afterwards.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return posixpath.join(posixpath.dirname(key), f"{digest}.deleted")


# How long an object that was seen is assumed to be in the new place, so that a link to it needs no request.
_SEEN_TTL = 300.0  # seconds
_seen: BoundedCache[str, bool] = BoundedCache(16_384, ttl=_SEEN_TTL)


class DeletedFile(FileNotFoundError):
    """The file was deleted before it was moved, so its copy in the old place does not count."""


def is_same_place(one: Storage, other: Storage) -> bool:
    """Return whether both storages use the same bucket, server and folder."""
    return (
        isinstance(one, MinioBackend)
        and isinstance(other, MinioBackend)
        and (one.objects, one.prefix) == (other.objects, other.prefix)
    )


def _in_context(method: str) -> Any:
    """Return a method that calls the one of the other storage in the tenant's context."""

    def call(self: ForTenant, *args: Any, **kwargs: Any) -> Any:
        with get_tenancy().context(self._tenant):
            return getattr(self._storage, method)(*args, **kwargs)

    return call


class ForTenant(Storage):
    """A storage of another package, used for another tenant than the connection's.

    Such a storage, for example ``TenantFileSystemStorage``, knows the tenant only from the connection, and
    would return another tenant's file.
    """

    def __init__(self, storage: Storage, tenant: Any) -> None:
        self._storage = storage
        self._tenant = tenant

    open = _in_context("open")
    exists = _in_context("exists")
    size = _in_context("size")
    get_modified_time = _in_context("get_modified_time")
    url = _in_context("url")


class MovingBackend(MinioBackend):
    """The storage ``new``, which reads missing files from ``old``. It never changes ``old``.

    A name that only ``old`` has is taken, since a row may refer to it. To delete a file that ``old`` has, an
    empty object in ``new`` marks its name, so that the file does not reappear.
    """

    links_take_requests = True

    def __init__(self, new: MinioBackend, old: Storage) -> None:
        arguments, options = new.made_with
        super().__init__(*arguments, **options)
        self.new = new
        self.old = old

    def _connection(self) -> Connection:
        return self.new._connection()

    def _open(self, name: str, mode: str = "rb", **text: Any) -> Any:
        if is_writing(name, mode):
            return super()._open(name, mode, **text)
        return self._first(
            lambda: super(MovingBackend, self)._open(name, mode, **text),
            lambda: self.old.open(name, mode, **text),
        )

    def _read(self, name: str) -> ObjectReader:
        reader = super()._read(name)
        try:
            self._refuse_placeholder(name, reader.response_headers)
        except FileNotFoundError:
            reader.close()
            raise
        return reader

    def size(self, name: str) -> int:
        return self._first(lambda: super(MovingBackend, self).size(name), lambda: self.old.size(name))

    def get_modified_time(self, name: str) -> Any:
        return self._first(
            lambda: super(MovingBackend, self).get_modified_time(name),
            lambda: self.old.get_modified_time(name),
        )

    def exists(self, name: str) -> bool:
        save = PendingSave.of(self)
        if save is not None and save.offered == name:
            return super().exists(name) or self.old.exists(name)
        return super().exists(name)

    def _is_stored(self, name: str) -> bool:
        try:
            self._first(lambda: self._head(name), lambda: self._exists_in_old(name))
        except FileNotFoundError:
            return False
        return True

    def _exists_in_old(self, name: str) -> None:
        if not self.old.exists(name):
            raise FileNotFoundError(name)

    def _first(self, in_new: Callable[[], T], in_old: Callable[[], T]) -> T:
        """Try the new place, the old one, and the new one again: the file may be moved in between."""
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

    def _head(self, name: str) -> ObjectInfo:
        found = super()._head(name)
        self._refuse_placeholder(name, found.headers)
        return found

    def _refuse_placeholder(self, name: str, headers: Mapping[str, str]) -> None:
        if is_deleted(headers):
            raise DeletedFile(f"{name!r} was deleted from the bucket {self.bucket!r}.")
        if is_claim(headers):
            raise FileNotFoundError(f"{name!r} is being moved to the bucket {self.bucket!r}.")

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        """List the new place only: the old one may hold the files of others."""
        for found in super()._list(prefix):
            if found.is_folder or found.size or self._why_missing(found.key) is None:
                yield found

    def is_mark(self, object_name: str) -> bool:
        """Return whether an object marks a file that was deleted before it was moved."""
        return isinstance(self._why_missing(object_name), DeletedFile)

    def _why_missing(self, object_name: str) -> FileNotFoundError | None:
        try:
            self._head(object_name.removeprefix(self.prefix))
        except FileNotFoundError as error:
            return error
        return None

    def delete(self, name: str) -> None:
        """Delete the file. If the old place has it too, which must not change, mark its name."""
        check_object_name(self.object_name(name))
        _seen.discard(self._address(name))
        if not self.old.exists(name):
            self.new.delete(name)
            return
        self._mark(name)
        tell(object_deleted, self, name)

    def _mark(self, name: str) -> None:
        """Mark the name so that a concurrent copy sees the mark before or afterwards."""
        objects, key, headers = self.objects, self.object_name(name), self.headers.encryption()
        if objects.honours_conditions is not False:
            try:
                return mark_deleted(objects, key, headers, only_new=True)
            except FileExistsError:
                pass
        if self._may_be_claimed(name):
            mark_deleted(objects, mark_beside(key), headers)
        mark_deleted(objects, key, headers)

    def _may_be_claimed(self, name: str) -> bool:
        try:
            return is_claim(super()._head(name).headers)
        except FileNotFoundError:  # the claim was just released, and may come back
            return True

    def url(self, name: str | None, **options: Any) -> str:
        """Return a link to the current place: one request, unless the file was seen there recently."""
        if not name or options.get("method") == "PUT" or self._is_moved(name):
            return self.new.url(name, **options)
        if not isinstance(self.old, MinioBackend):
            return self.old.url(name)  # storages of other packages have no options
        if self.headers.downloads_active:  # the same rule for links to the old place
            link_options = {key: options.get(key) for key in ("disposition", "filename", "content_type")}
            options["disposition"] = link_disposition(name, **link_options)
        return self.old.url(name, **options)

    def _is_moved(self, name: str) -> bool:
        address = self._address(name)
        if _seen.get(address):
            return True
        missing = self._why_missing(self.object_name(name))
        if missing is None:
            _seen.set(address, True)
        return missing is None or isinstance(missing, DeletedFile)

    def _address(self, name: str) -> str:
        return f"{self.objects.address}/{self.object_name(name)}"
