"""Static files in a public bucket, with plain or hashed names."""

from __future__ import annotations

import logging
import posixpath
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, cast
from urllib.parse import urldefrag

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files import File
from django.utils.deconstruct import deconstructible
from django.utils.functional import SimpleLazyObject

from ..exceptions import BucketNotFound, ServerError
from ..s3.bucket import ObjectInfo
from ..settings.config import Config
from .backend import MinioBackend
from .collecting import BucketListing, compared_with_source
from .uploaded import StoredFile

logger = logging.getLogger(__name__)

_RECENT = 1.0  # seconds
_CACHE_FOREVER = "max-age=31536000, immutable"


@deconstructible(path="django_minio_router.models.MinioBackendStatic")
class MinioBackendStatic(MinioBackend):
    """Store static files in ``MINIO_STATIC_FILES_BUCKET``, with plain links unless it is declared private.

    Before a process stores its first file, it creates the bucket if it is missing: public, unless it is
    declared private. An existing bucket keeps its policy: ``initialize_buckets`` sets it.
    Files are always replaced, as no page would link to a second copy under another name.
    ``collectstatic`` uploads only files whose content changed, in one request each.
    """

    def __init__(self, bucket_name: str = "", storage_name: str = "staticfiles", **options: Any) -> None:
        super().__init__(bucket_name, storage_name, **{**options, "replace_existing": True})
        self._prepared = False
        self._folders: set[str] = set()
        self._seen: tuple[str, float, ObjectInfo] | None = None
        self._listed = BucketListing()
        self._to_replace = ("", 0.0)

    @property
    def base_url(self) -> str:
        """The base URL of static files, with a trailing slash, as in Django's static files storage."""
        return super().url("")

    def _default_bucket(self, config: Config) -> str:
        return config.static_bucket

    def _declared_public(self, config: Config, bucket: str) -> bool:
        return bucket not in config.declared[0]

    def _downloads_active(self, config: Config) -> bool:
        return False  # the files are the project's own

    def _save(self, name: str, content: File[Any]) -> str:
        if not self._prepared:
            if not self.objects.exists():
                self.check_bucket_existence()
                what = "public" if self.is_bucket_public else "private"
                logger.warning("Created the bucket %r for static files, %s.", self.bucket, what)
            self._prepared = True
        stored = super()._save(name, content)
        self._listed.put(stored)
        return stored

    def exists(self, name: str) -> bool:
        """Return whether the file exists. A missing bucket, which the first file creates, has no files.

        ``collectstatic --clear`` also checks folders: the root, ``""``, and those just listed.
        """
        if not name or name.endswith("/"):
            return super().exists(name)
        if name in self._folders:
            self._folders.discard(name)
            return True
        listed = self._listed.lookup(self.objects, self.prefix)
        try:
            found = self._head(name) if listed is None else listed[name]
        except BucketNotFound:
            return False
        except FileNotFoundError:
            return self._may_be_folder(name)
        except KeyError:
            return any(known.startswith(f"{name}/") for known in listed or ())
        self._seen = name, time.monotonic(), found
        return True

    def get_modified_time(self, name: str) -> datetime:
        """Return when the file was stored.

        Right after ``exists``, as in ``collectstatic``, it sends no request, and returns the time of the
        project's own file if the content is the same, else an earlier one.
        """
        seen, self._seen = self._seen, None
        if seen is not None and seen[0] == name and time.monotonic() - seen[1] < _RECENT:
            comparison = compared_with_source(name, seen[2], self.objects.multipart[0])
            if comparison is not None:
                modified, is_same = comparison
                self._to_replace = ("", 0.0) if is_same else (name, time.monotonic())
                return modified
        return super().get_modified_time(name)

    def delete(self, name: str) -> None:
        """Delete the file, unless it is about to be replaced: visitors would miss it until then."""
        (replaced, since), self._to_replace = self._to_replace, ("", 0.0)
        if name != replaced or time.monotonic() - since > _RECENT:
            self._listed.discard(name)
            super().delete(name)

    def post_process(self, paths: Any, dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Process nothing, but note that ``collectstatic`` is finished."""
        self._listed.forget()
        return iter(())

    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        folders, files = super().listdir(path)
        self._folders.update(posixpath.join(path, folder) for folder in folders)
        return folders, files

    def url(self, name: str | None, **options: Any) -> str:
        """Return the link, also to a folder for scripts to append to, as with ``{% static "" %}``."""
        folder = (name or "").rstrip("/")
        if not name or folder == name or options or not self._connection().plain_root:
            return super().url(name, **options)
        return super().url(f"{folder}/_".lstrip("/")).removesuffix("_")


class MinioManifestStaticStorage(ManifestFilesMixin, MinioBackendStatic):  # type: ignore[misc]
    """The same with a hash of the content in each name, like Django's ``ManifestStaticFilesStorage``.

    The manifest is read with the first link. ``collectstatic`` uploads new files and replaces the manifest,
    and removes nothing that visitors may still load.
    """

    # The names in the bucket during post-processing: Django checks each several times.
    _existing: set[str] | None = None
    _sources: Collection[str] = ()  # the collected ones among them, without a hash in the name

    def load_manifest(self) -> Any:
        load: Any = cache(super().load_manifest)  # lazy, since the constructor must not send a request
        return SimpleLazyObject(lambda: load()[0]), SimpleLazyObject(lambda: load()[1])

    def read_manifest(self) -> Any:
        """Return the text of the manifest, reading again if it was replaced meanwhile."""
        try:
            return super().read_manifest()
        except ServerError as error:
            if error.code != "PreconditionFailed":
                raise
        return super().read_manifest()

    def post_process(self, paths: Any, dry_run: bool = False, **options: Any) -> Iterator[Any]:
        self._existing, self._sources = set() if dry_run else set(self._names()), paths
        self._connected = None  # links differ from now on
        try:
            yield from super().post_process(paths, dry_run=dry_run, **options)
        finally:
            self._existing = self._connected = None
            self._listed.forget()

    def _has_plain_links(self) -> bool:
        # Files refer to each other by name alone: a signed link would expire.
        return self._existing is not None or super()._has_plain_links()

    def _url(
        self, hashed_name_func: Callable[..., str], name: str, force: bool = False, hashed_files: Any = None
    ) -> str:
        """Return the link. Django would unquote a signed one."""
        if self._connection().plain_root or (settings.DEBUG and not force):
            return str(cast("Any", super())._url(hashed_name_func, name, force, hashed_files))
        clean_name, fragment = urldefrag(name)
        path = clean_name.partition("?")[0]
        if not path.endswith("/"):
            path = hashed_name_func(path, *([] if hashed_files is None else [hashed_files]))
        return MinioBackendStatic.url(self, path) + (f"#{fragment}" if fragment else "")

    def _names(self) -> Iterator[str]:
        with suppress(BucketNotFound):
            for found in self.objects.list(self.prefix):
                yield found.key.removeprefix(self.prefix)

    def exists(self, name: str) -> bool:
        return super().exists(name) if self._existing is None else name in self._existing

    def _save(self, name: str, content: File[Any]) -> str:
        if self._existing is None:
            return super()._save(name, content)
        if name not in self._existing or not self._has_hash(name):
            super()._save(name, content)
            self._existing.add(name)
        return name

    def headers_of(self, name: str, content: File[Any]) -> dict[str, str]:
        """Return the headers. Browsers may cache a file with a hash in its name forever."""
        headers = super().headers_of(name, content)
        return {"cache-control": _CACHE_FOREVER, **headers} if self._is_hashed(name, content) else headers

    def _is_hashed(self, name: str, content: File[Any]) -> bool:
        if self._existing is not None:
            return self._has_hash(name)
        # Only for stored files: while files are collected, the manifest is outdated.
        return isinstance(content, StoredFile) and name in self.hashed_files.values()

    def _has_hash(self, name: str) -> bool:
        """Return whether the name contains a hash, and so determines the content."""
        unhashed = name == self.manifest_name or name in self._sources
        return not (unhashed or self.keep_intermediate_files)

    def delete(self, name: str) -> None:
        """Delete the file, except during post-processing, where it would only be stored again."""
        if self._existing is None:
            super().delete(name)
