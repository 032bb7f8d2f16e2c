"""One file from one place to another: copied by the server where it can, streamed otherwise, then compared.

Nothing is replaced. Before a server copies, the name is claimed by an empty object with a header of ours, in
the conditional write that saves use too: SeaweedFS 4.48 keeps a condition on a copy, but of 150 saves at the
same moment as one, 6 were lost.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast
from urllib.parse import quote

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage

from ..exceptions import BucketNotFound, ServerError
from ..s3.content import MAX_PARTS, Source
from ..s3.uploads import KEPT_HEADERS, Upload
from ..s3.xml import parsed
from ..storage.backend import MinioBackend
from ..storage.fallback import CLAIM_HEADER, is_claim, is_deleted

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

logger = logging.getLogger(__name__)

COPY_LIMIT = 5 * 1024**3  # bytes; a larger object is copied in parts
COPY_PART = 512 * 1024**2
_BLOCK = 1024 * 1024
_MD5 = re.compile("[0-9a-f]{32}")


class Found(NamedTuple):
    """A file as a place describes it: ``size`` in bytes; ``version`` changes when the file does."""

    size: int
    etag: str
    version: str
    headers: Mapping[str, str]

    @property
    def is_deleted(self) -> bool:
        return is_deleted(self.headers)

    @property
    def is_claim(self) -> bool:
        return is_claim(self.headers)


class Origin(Protocol):
    """Where files come from."""

    @property
    def key(self) -> str:
        """What tells this place from others."""
        ...

    def object_name(self, name: str) -> str:
        """Return the name among all that the place may hold."""
        ...

    def look(self, name: str) -> Found | None:
        """Describe a file; None if it is missing."""
        ...

    def read(self, name: str) -> AbstractContextManager[Any]:
        """Open a file for reading."""
        ...

    def object_names(self) -> Iterator[str]:
        """Yield the names of all objects here."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file."""
        ...


class Folder:
    """Files in a storage that is not ours, such as ``MEDIA_ROOT``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        # Now, since the folder of a storage for tenants depends on who is active.
        local = isinstance(storage, FileSystemStorage)
        self.key = str(storage.location) if local else type(storage).__name__  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return self.key

    def object_name(self, name: str) -> str:
        """Return the one name of a local file, which a row may also have as a path, or as ``./name``."""
        if not name or not isinstance(self._storage, FileSystemStorage):
            return name
        try:
            return Path(self._storage.path(name)).relative_to(self.key).as_posix()
        except (SuspiciousFileOperation, ValueError):  # nothing that is here
            return name

    def look(self, name: str) -> Found | None:
        if not self._storage.exists(name):
            return None
        try:
            size = self._storage.size(name)
            version = f"{size} {self._storage.get_modified_time(name)}"
        except FileNotFoundError:
            return None
        return Found(size, "", version, {})

    def read(self, name: str) -> AbstractContextManager[Any]:
        return self._storage.open(name, "rb")

    def object_names(self) -> Iterator[str]:
        # Only to be shown: no row and no terminal takes a name that is no text.
        return (os.fsencode(name).decode(errors="backslashreplace") for name in self._below(""))

    def _below(self, folder: str) -> Iterator[str]:
        try:
            folders, files = self._storage.listdir(folder)
        except FileNotFoundError:
            return
        yield from (f"{folder}{name}" for name in files)
        for name in folders:
            yield from self._below(f"{folder}{name}/")

    def remove(self, name: str) -> None:
        self._storage.delete(name)


class Bucket(MinioBackend):
    """The bucket of a backend, without any fallback: files come from it, and go there."""

    def __init__(self, backend: MinioBackend) -> None:
        vars(self).update(vars(backend))
        self._saves_replace = backend.replace_existing
        self.replace_existing = False  # nothing does here

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def key(self) -> str:
        return f"{self.base_url}/{self.bucket}"

    def object_name(self, name: str) -> str:
        return f"{self.prefix}{name}"

    @property
    def is_there(self) -> bool:
        route = self._route()
        return route.internal.has_bucket(route.bucket)

    def look(self, name: str) -> Found | None:
        try:
            headers = self._head(name).headers
        except (FileNotFoundError, BucketNotFound):
            return None
        etag = headers["ETag"].strip('"')
        return Found(int(headers["Content-Length"]), etag, etag, headers)

    def read(self, name: str) -> AbstractContextManager[Any]:
        return self.open(name)

    def object_names(self) -> Iterator[str]:
        route = self._route()
        with route.internal.plain_errors(route.bucket):
            for entry in self.client.list_objects(
                bucket_name=route.bucket, prefix=self.prefix, recursive=True
            ):
                yield str(entry.object_name)

    def remove(self, name: str) -> None:
        self.delete(name)

    def receive(self, name: str, found: Found, origin: Origin, claimed: bool) -> None:
        """Take over a file. ``FileExistsError`` if the name is taken meanwhile; nothing is replaced.

        Where it is ``claimed``, by a run that was interrupted or is at work, the claim is used and never
        removed: by then it may be the file, and the only one.
        """
        if isinstance(origin, Bucket) and self._can_copy_from(origin):
            self._copy(name, found, origin, claimed)
        else:
            self._stream(name, found, origin, claimed)

    def _can_copy_from(self, origin: Bucket) -> bool:
        """Tell whether one server has both, and may be asked to copy.

        Not if objects need keys. Not if saves replace either: one between claim and copy would be lost.
        """
        same_server = origin.client is self.client
        return same_server and not (self.sse or origin.sse or self._saves_replace)

    def _copy(self, name: str, found: Found, origin: Bucket, claimed: bool) -> None:
        if not claimed:
            self._upload(name, {CLAIM_HEADER: "1"}).run(self._source(ContentFile(b"")))
        try:
            self._copy_over_claim(name, found, origin)
        except BaseException as error:
            if not claimed:
                self._drop_claim(name)
            if not isinstance(error, ServerError) or error.status not in (403, 501):
                raise
            logger.info("The server does not copy %r itself (%s), so it is streamed.", name, error)
        else:
            return
        self._stream(name, found, origin, claimed)

    def _drop_claim(self, name: str) -> None:
        """Give the name up, unless another run has used the claim."""
        with suppress(OSError):
            there = self.look(name)
            if there is not None and there.is_claim:
                self.delete(name)

    def _copy_over_claim(self, name: str, found: Found, origin: Bucket) -> None:
        origin_path = origin._route().path(name)
        source = {"x-amz-copy-source": origin_path, "x-amz-copy-source-if-match": f'"{found.etag}"'}
        kept = kept_headers(found)
        guarded = self._guarded(name, kept)
        if found.size > COPY_LIMIT:
            copy = self._upload(name, guarded, _PartCopy, only_new=False, source=source)
            copy.run(cast("Source", _Ranges(found.size)))
            return
        if guarded != kept:
            source |= {"x-amz-metadata-directive": "REPLACE", **guarded}
        route = self._route()
        response = route.internal.request("PUT", route.path(name), headers=source)
        if response.status != 200:
            route.internal.refuse(response, route.bucket, name)
        self._refuse_late_error(response, name)

    def _refuse_late_error(self, response: BaseHTTPResponse, name: str) -> None:
        """S3 may say 200 before it copies, and then send an error."""
        route = self._route()
        if b"<ETag>" not in response.data:
            route.internal.refuse(response, route.bucket, name)

    def _stream(self, name: str, found: Found, origin: Origin, claimed: bool) -> None:
        condition: dict[str, Any] = {"only_new": False} if claimed else {}
        with origin.read(name) as content:
            kept = kept_headers(found)
            headers = self._guarded(name, kept) if kept else self._object_headers(name, content)
            upload = self._upload(name, {**headers, **self._encryption()}, **condition)
            upload.run(self._source(content))

    def _upload(
        self, name: str, headers: Mapping[str, str], kind: type[_Transfer] | None = None, **options: Any
    ) -> _Transfer:
        route = self._route()
        # A server without conditions was asked whether the name is free, and saves there have random names.
        options = {"only_new": self._keeps_conditions(name, ContentFile(b"")), **options}
        path = route.path(name)
        return (kind or _Transfer)(route.internal, route.bucket, name, path, headers, **options)


def kept_headers(found: Found) -> dict[str, str]:
    """Return what a copy keeps: the content type and the like, and all user metadata."""
    return {
        header.lower(): value
        for header, value in found.headers.items()
        if header.lower() in KEPT_HEADERS or header.lower().startswith("x-amz-meta-")
    }


def origin_of(storage: Storage) -> Origin:
    return Bucket(storage) if isinstance(storage, MinioBackend) else Folder(storage)


# Sending


@dataclass(frozen=True)
class _Transfer(Upload):
    """An upload whose claim of the name cannot be taken for an empty file."""

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        with Upload._claimed(replace(self, headers={**self.headers, CLAIM_HEADER: "1"})):
            yield


@dataclass(frozen=True)
class _PartCopy(_Transfer):
    """An upload in parts that the server takes from another object of its own."""

    source: Mapping[str, str] = field(default_factory=dict)

    def _send_part(self, upload_id: str, number: int, part: Any) -> tuple[str, str]:
        response = self.client.request(
            "PUT",
            self.path,
            f"partNumber={number}&uploadId={quote(upload_id, safe='')}",
            headers={**self.source, "x-amz-copy-source-range": f"bytes={part.start}-{part.stop - 1}"},
        )
        if response.status != 200:
            self.client.refuse(response, self.bucket, self.name)
        answer = parsed(self.client, self.bucket, response.data)
        return answer.findtext("ETag") or "", answer.findtext("ChecksumCRC32") or ""


@dataclass(frozen=True)
class _Ranges:
    """Stands for the content of an object that the server reads itself: its parts are ranges of bytes."""

    size: int

    def only_block(self) -> None:
        return None

    def blocks(self) -> Iterator[range]:
        part = max(COPY_PART, -(-self.size // MAX_PARTS))
        for start in range(0, self.size, part):
            yield range(start, min(start + part, self.size))


# Comparing


def source_of(origin: Origin) -> tuple[str, str]:
    """Return the place, and the folder in it that all names of the origin are below."""
    return origin.key, origin.object_name("")


def is_same(name: str, found: Found, origin: Origin, there: Found, target: Bucket) -> bool:
    """Tell whether both places have the same content.

    Never if the sizes differ; surely if the entity tags are equal, or if a local file has the MD5 that is
    the tag. Tags that say nothing, as after an upload in parts, let both be read.
    """
    if found.size != there.size:
        return False
    if found.etag and found.etag == there.etag:
        return True
    if not found.etag and _MD5.fullmatch(there.etag) and _digest(origin, name, "md5") == there.etag:
        return True
    return _digest(origin, name, "sha256") == _digest(target, name, "sha256")


def is_one(name: str, found: Found, origin: Origin, there: Found, target: Bucket) -> bool:
    """Tell whether the two are one object, of a server that is known under two names or with two keys."""
    return (
        isinstance(origin, Bucket)
        and (origin.bucket, origin.object_name(name)) == (target.bucket, target.object_name(name))
        and found.headers.get("Last-Modified") == there.headers.get("Last-Modified")
    )


def _digest(place: Origin, name: str, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with place.read(name) as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
