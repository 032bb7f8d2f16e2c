"""``MinioBackend``: Django's Storage API for one bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.utils import timezone
from django.utils.deconstruct import deconstructible

from ..exceptions import BucketNotFound, ServerError
from ..naming import check_new_name, check_object_name, quote_object_name, text_of
from ..s3.bucket import ObjectInfo
from ..s3.content import size_of
from ..s3.limits import limited
from ..s3.modes import is_writing
from ..s3.reading import ObjectFile, ObjectReader
from ..s3.writing import ObjectWriter
from .asynchronous import AsyncMethods
from .base import BucketStorage
from .links import NO_OVERRIDES, LinkOptions, ResponseOverrides, check_put_link, seconds_of, window_start
from .saving import ObjectStorage, PendingSave
from .signals import bucket_missing, object_deleted, object_saved, tell
from .tracing import traced
from .uploaded import UploadedObject

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")

_MAX_NAMES = 100


@deconstructible(path="django_minio_router.models.MinioBackend")
class MinioBackend(ObjectStorage, AsyncMethods, BucketStorage):
    """Store files in one bucket, by default the media bucket.

    ``replace_existing`` overwrites files instead of choosing another name. ``metadata``, ``sse`` and
    ``progress`` mean the same as in the SDK's ``put_object``; ``metadata`` may also be a callable that takes
    ``(name, content)``, or its dotted path. ``http_client`` is a ``urllib3`` pool.
    ``server`` names an entry of ``MINIO_SERVERS``, ``storage_name`` an alias of ``STORAGES`` whose
    ``MINIO_*`` options apply; you can also pass such options here. ``public`` says whether links are plain;
    by default, the settings decide. ``prefix`` is a folder, such as ``"acme/"``, that contains all names and
    that no call leaves. ``defaults`` are settings that apply if the project does not set them; with them, a
    bucket need not be declared, and is then private.

    The async methods are ``asave``, ``aopen``, ``adelete``, ``aexists``, ``asize``, ``alistdir``, ``aurl``
    and ``aget_modified_time``.

    Every method raises ``SuspiciousFileOperation`` for an unsafe name before any request, ``ServerError``
    if the server is unreachable or refuses, and ``BucketNotFound`` if the bucket does not exist.
    """

    # Saving

    @traced
    @limited
    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store the content under the name, or under another one if that is taken; return the name.

        Takes one conditional request for a free name, and one more for each taken one. Nothing is overwritten
        unless ``replace_existing`` is set. The name has at most ``max_length`` characters.
        """
        return self.save_for(self, name, content, max_length)

    def save_for(self, storage: Storage, name: str | None, content: Any, max_length: int | None) -> str:
        """Save for the storage that was called, using its hooks."""
        if name is None:
            name = getattr(content, "name", None)
        if not hasattr(content, "chunks"):
            content = File(content, name)
        name = check_new_name(name or "")
        source = self.objects.source(content)
        save = PendingSave(storage, self, content, source, self.replace_existing)
        stored = self._creating_bucket(lambda: self._save_under_free_name(save, name, max_length))
        tell(object_saved, self, stored, source.sent or source.size)
        return stored

    def _creating_bucket(self, store: Callable[[], T]) -> T:
        """Call ``store``; if the bucket is missing, create it and call it again.

        The bucket is created if ``MINIO_BUCKET_CHECK_ON_SAVE`` is set, or by a receiver of
        ``bucket_missing``.
        """
        try:
            return store()
        except BucketNotFound:
            if self.config.makes_buckets:
                self.check_bucket_existence()
            elif not any(created for _, created in bucket_missing.send(type(self), storage=self)):
                raise
            return store()

    def _save_under_free_name(self, save: PendingSave, name: str, max_length: int | None) -> str:
        save.only_new = not save.may_replace and self.refuses_taken_names(name, save.content)
        if not save.only_new and not save.may_replace:
            save.taken.add(name)
        with save:
            for _ in range(_MAX_NAMES):
                candidate = save.choose_name(name, max_length)
                save.source.start()
                try:
                    return check_object_name(cast("Any", save.storage)._save(candidate, save.content))
                except FileExistsError:
                    save.taken.add(candidate)
        raise ServerError(
            f"{_MAX_NAMES} names for {name!r} were taken in the bucket {self.bucket!r}, which does not "
            "happen with random names. Check get_alternative_name() and the server."
        )

    def refuses_taken_names(self, name: str, content: File[Any]) -> bool:
        """Return whether the server refuses a taken name.

        This is tested once, with an empty object in the same folder.
        """
        known = self.objects.honours_conditions
        if known is not None:
            return known
        return self.objects.try_conditions(self.object_name(name), self.headers_of(name, content))

    def _save(self, name: str, content: File[Any]) -> str:
        """Store the content. ``FileExistsError`` if the name is taken and must not be replaced."""
        save = PendingSave.of(self)
        # A subclass that chooses a name although exists() returned True wants to replace it.
        may_replace = self.replace_existing or (save is not None and name in save.taken)
        key, headers = self.object_name(check_new_name(name)), self.headers_of(name, content)
        only_new = not may_replace and (save is None or save.only_new)
        if isinstance(content, UploadedObject) and self.objects.can_copy_from(content.bucket):
            self.objects.copy_new(content.bucket, content.info, key, headers, only_new=only_new)
        else:
            source = save.source if save is not None and save.content is content else content
            self.objects.put(key, source, headers, only_new=only_new, progress=self.progress)
        if isinstance(content, UploadedObject):
            content.forget()
        if save is None:  # called directly; otherwise save() sends the signal
            tell(object_saved, self, name, size_of(content))
        return name

    # Reading

    @traced
    def open(self, name: str, mode: str = "rb", **text: Any) -> Any:
        """Open an object; it stays with this bucket.

        ``"rb"`` and ``"r"`` read, and raise ``FileNotFoundError`` if the object is missing. ``"wb"`` and
        ``"w"`` write, and upload in parts; ``close()`` makes the object visible, and an exception inside
        ``with`` stores nothing. They raise ``FileExistsError`` if the name is taken, unless
        ``replace_existing`` is set; ``"x"`` always does. Text modes take ``encoding`` (default UTF-8),
        ``errors`` and ``newline``. ``"a"`` raises ``ValueError``.
        """
        return self._open(name, mode, **text)

    def _open(self, name: str, mode: str = "rb", **text: Any) -> Any:
        if is_writing(name, mode):
            return self._writer(check_new_name(name), mode, text)
        return ObjectFile(lambda: self._read(name), text_of(name), mode, **text)

    def _writer(self, name: str, mode: str, text: dict[str, Any]) -> ObjectWriter:
        empty = ContentFile(b"")
        only_new = "x" in mode or not self.replace_existing
        if only_new and self._creating_bucket(lambda: self.exists(name)):
            raise FileExistsError(
                f"{name!r} is taken in the bucket {self.bucket!r}. Get another name from "
                "get_available_name(), or set replace_existing."
            )
        only_new = only_new and self.refuses_taken_names(name, empty)
        key, headers, bucket = self.object_name(name), self.headers_of(name, empty), self.objects

        def store(content: File[Any]) -> None:
            bucket.put(key, content, headers, only_new=only_new, progress=self.progress)

        return ObjectWriter(store, name, mode, bucket.multipart[0], **text)

    def _read(self, name: str) -> ObjectReader:
        return self.objects.open(self.object_name(name), self.reading_headers)

    def _head(self, name: str) -> ObjectInfo:
        return self.objects.head(self.object_name(name), self.reading_headers)

    @traced
    def exists(self, name: str) -> bool:
        """Return whether the object exists, or a folder with something in it; ``""`` is the bucket.

        Takes one request. If the last part of a missing name does not contain a dot, a second request checks
        for a folder; pass ``"v1.0/"`` for a folder with a dot. Only "not found" means False; any other error
        raises ``ServerError``.
        """
        save = PendingSave.of(self)
        taken = None if save is None else save.is_taken(name)
        if taken is not None:
            return taken
        name = text_of(name)
        if name in {"", "/"}:
            return self.objects.exists()
        if name.endswith("/"):
            return self._is_folder(name)
        return self._is_stored(name) or self._may_be_folder(name)

    def _is_stored(self, name: str) -> bool:
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def _may_be_folder(self, name: str) -> bool:
        try:
            return "." not in name.rpartition("/")[2] and self._is_folder(name)
        except ServerError as error:
            if error.status != 403:
                raise
            return False  # the key may not list, but the server has said that the object is missing

    def _is_folder(self, name: str) -> bool:
        folder = check_object_name(self.object_name(name).rstrip("/"))
        return any(True for _ in self._list(f"{folder}/"))

    @traced
    def size(self, name: str) -> int:
        """Return the size in bytes. Raise ``FileNotFoundError`` if the object is missing."""
        return self._head(name).size

    @traced
    def get_modified_time(self, name: str) -> datetime:
        """Return when the object was stored; aware under ``USE_TZ``, else naive in ``TIME_ZONE``."""
        modified = cast("datetime", self._head(name).modified)
        return modified if settings.USE_TZ else timezone.make_naive(modified)

    @traced
    def stat(self, name: str) -> Any:
        """Return the SDK's description of the object. Raise ``FileNotFoundError`` if it is missing."""
        return self.objects.stat(self.object_name(name), self.reading_headers)

    @traced
    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        """Return the names of folders and of files directly below the path."""
        path = text_of(path)
        folder = "" if path in {"", ".", "/"} else f"{check_object_name(path.rstrip('/'))}/"
        prefix = self._prefix + folder
        folders, files = [], []
        for found in self._list(prefix):
            name = found.key.removeprefix(prefix)
            if found.is_folder:
                folders.append(name.rstrip("/"))
            else:
                files.append(name)
        return folders, files

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        return (found for found in self.objects.list(prefix, recursive=False) if found.key != prefix)

    @traced
    def delete(self, name: str) -> None:
        """Delete the object. A missing object is not an error, as in Django's contract."""
        self.objects.delete(self.object_name(name), headers=self.reading_headers)
        tell(object_deleted, self, text_of(name))

    # Links

    def url(self, name: str | None, **options: Unpack[LinkOptions]) -> str:
        """Return a link for browsers, on the external endpoint: plain for a public bucket, else signed.

        A signed link is valid for at least ``expires`` (a ``timedelta`` or seconds; default
        ``MINIO_URL_EXPIRY_HOURS``) and stays the same within ``MINIO_URL_WINDOW``, so browsers can cache the
        file. ``filename``, ``disposition`` (``"inline"`` or ``"attachment"``) and the arguments named after a
        header set response headers; a plain link cannot carry them, so such a link is always signed. With the
        ``method`` ``"PUT"``, the link stores content under the name, and replaces what is there; see
        ``NO_COPY`` for the headers that the request needs. If active content is downloaded
        (``MINIO_ACTIVE_CONTENT``), a signed link to a name that is not known to be safe requests
        ``attachment``, unless you pass ``disposition``. Without a name, return the unsigned address of the
        bucket, or of the folder that contains all names.
        """
        connection = self._connection()
        if not name and (name is None or name == ""):
            return connection.objects.plain_link(f"{self._prefix}_").removesuffix("_")
        key = self._prefix + name if type(name) is str and name[0] != "/" else self.object_name(name)
        if options:
            return self._link_with(key, **options)
        if connection.plain_root:
            return connection.plain_root + quote_object_name(key)  # plain_link() would be a call more
        return connection.link(key)

    def _link_with(
        self, key: str, *, expires: timedelta | int | None = None, method: str = "GET", **headers: str | None
    ) -> str:
        connection, overrides = self._connection(), ResponseOverrides(**headers)
        is_default = expires is None and method == "GET" and overrides == NO_OVERRIDES
        if is_default and connection.plain_root:
            return connection.objects.plain_link(key)
        config = connection.config
        life, window = config.url_expiry if expires is None else config.expiry(seconds_of(expires))
        if method != "GET":
            check_put_link(method, overrides)
            return connection.objects.link_for_put(key, life, window_start(window))
        query = overrides.query(key, connection.downloads_active)
        return connection.sign(key, life, window_start(window), query)
