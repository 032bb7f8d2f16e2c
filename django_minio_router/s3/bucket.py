"""``Bucket``: one bucket of one server, and its objects by full name. It knows nothing of storages."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.utils.crypto import get_random_string
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property

from ..exceptions import ServerError
from ..naming import MARK_OBJECT, path_of, quote_object_name
from . import late
from .content import MIN_PART_SIZE, Block, Source
from .copying import Copy
from .deleting import Deletion
from .limits import limited
from .listing import objects
from .reading import ObjectFile, ObjectReader
from .uploads import KEPT_HEADERS, Upload, checksum_of

if TYPE_CHECKING:
    from django.core.files import File

    from .client import Client
    from .xml import Element

# Servers that check the entity tag at the end of a copy of an object onto itself, or do not move its content.
# Of 200 concurrent saves, SeaweedFS 4.48 and MinIO lost up to 20. With a PUT with If-Match instead of the
# copy they lost none, but VersityGW did.
_SAFE_COPIES = ("AmazonS3", "VERSITYGW")

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def _if_source_is(etag: str) -> dict[str, str]:
    """Return the condition of a copy. Ceph RGW knows it by the second name, and ignores the first."""
    return dict.fromkeys(("x-amz-copy-source-if-match", "x-amz-copy-if-match"), f'"{etag}"')


# MinIO and Ceph accept headers that are not signed: with x-amz-copy-source, an upload link could copy any
# file that our keys may read. No object has this entity tag, so with this signed condition nothing can be
# copied; a plain PUT ignores it.
NO_COPY: Mapping[str, str] = _if_source_is("none")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as the server describes it: ``size`` in bytes, ``etag`` without quotes.

    ``last_modified`` is the time as the server wrote it: an HTTP date, or in a listing one of ISO 8601.

    A listing has no ``headers``. In a listing of one level, a key that ends with ``/`` is a folder.
    """

    key: str
    size: int = 0
    etag: str = ""
    last_modified: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_folder(self) -> bool:
        return self.key.endswith("/")

    @property
    def version(self) -> str:
        """A string that changes with the object."""
        return self.etag or f"{self.size} {self.modified}"

    @property
    def modified(self) -> datetime | None:
        """When it was stored, with its time zone; None if the server did not say."""
        text = self.last_modified
        return (parse_datetime(text) or parsedate_to_datetime(text)) if text else None

    @property
    def metadata(self) -> dict[str, str]:
        """The headers stored with the object: its content type and the like, and all user metadata."""
        named = {header.lower(): value for header, value in self.headers.items()}
        return {
            header: value
            for header, value in named.items()
            if header in KEPT_HEADERS or header.startswith("x-amz-meta-")
        }


def _object_info(entry: Element) -> ObjectInfo:
    """Return an object or a folder from a listing."""
    name = entry.findtext("Key") or entry.findtext("Prefix") or ""
    etag = (entry.findtext("ETag") or "").strip('"')
    return ObjectInfo(name, int(entry.findtext("Size") or 0), etag, entry.findtext("LastModified") or "")


@dataclass(frozen=True)
class Bucket:
    """One bucket of one server. Two instances are equal if they are the same bucket.

    ``links`` is the client for links. ``multipart`` is the part size and the size up to which content goes in
    one request, both in bytes. ``public_url`` is the base of unsigned links, with a trailing slash; if it is
    empty, they lead to the server.

    Every method raises ``SuspiciousFileOperation`` for an unsafe key before any request, ``ServerError`` if
    the server cannot be reached or refuses the request, and ``BucketNotFound`` if the bucket does not exist.
    The ``headers`` of reading calls are a customer-provided key.
    """

    client: Client
    name: str
    links: Client = field(compare=False)
    multipart: tuple[int, int] = field(default=(MIN_PART_SIZE, MIN_PART_SIZE), compare=False)
    public_url: str = field(default="", compare=False)

    @property
    def address(self) -> str:
        """The URL of the bucket on the internal endpoint."""
        return self.client.server.url_of(self.name)

    def path(self, key: str) -> str:
        """Return the path of the object on the server, quoted."""
        return path_of(self.name, key)

    @limited
    def exists(self) -> bool:
        """Return whether the bucket exists. One that was seen lately is not requested again."""
        return self.client.has_bucket(self.name)

    # Reading

    @limited
    def head(self, key: str, headers: Mapping[str, str] = _NO_HEADERS) -> ObjectInfo:
        """Describe an object. ``FileNotFoundError`` if it is missing."""
        response = self.client.head(self.path(key), headers)
        if response.status != 200:
            self.client.refuse(response, self.name, key, is_head=True)
        found = response.headers
        try:
            size, etag, modified = int(found["Content-Length"]), found["ETag"], found["Last-Modified"]
        except KeyError:  # S3 sends all three for every object
            missing = next(one for one in ("Content-Length", "ETag", "Last-Modified") if one not in found)
            raise self.client.not_s3(f"{self.name}/{key}", f"its response has no {missing}") from None
        self.client.saw_bucket(self.name)
        return ObjectInfo(key, size, etag.strip('"'), modified, found)

    @limited
    def stat(self, key: str, headers: Mapping[str, str] = _NO_HEADERS) -> Any:
        """Return the SDK's description of an object. ``FileNotFoundError`` if it is missing."""
        return late.sdk().sdk_object(self.name, self.head(key, headers))

    @limited
    def open(self, key: str, headers: Mapping[str, str] = _NO_HEADERS) -> ObjectReader:
        """Open an object for reading, in its current version. ``FileNotFoundError`` if it is missing."""
        return ObjectReader(self.client, self.name, key, headers)

    def open_described(self, info: ObjectInfo, headers: Mapping[str, str] = _NO_HEADERS) -> ObjectReader:
        """Open the described version. ``ServerError`` with the status 412 if it was replaced since."""
        reader = self.open(info.key, headers)
        if reader.etag.strip('"') != info.etag:
            reader.close()
            raise self.replaced_error(info.key)
        return reader

    def list(self, prefix: str = "", *, recursive: bool = True) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with the prefix, one page per request.

        Without ``recursive``, yield the objects and folders of one level only.
        """
        for entry in objects(self.client, self.name, prefix, recursive=recursive):
            info = _object_info(entry)
            if info.key != MARK_OBJECT:
                yield info

    # Writing

    def source(self, content: File[Any]) -> Source:
        """Return the content as a source that can be tried under several names."""
        return Source(content, *self.multipart)

    @limited
    def put(
        self,
        key: str,
        content: File[Any] | Source,
        headers: Mapping[str, str],
        *,
        only_new: bool = False,
        if_match: str = "",
        progress: Any = None,
        claim_headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Store the content from its start, completely or not at all.

        With ``only_new``, raise ``FileExistsError`` if the name is taken; else replace the object, with
        ``if_match`` only one that has this entity tag. Some servers need an empty object to reserve the name
        for a moment; it also gets the ``claim_headers``.
        """
        source = content if isinstance(content, Source) else self.source(content)
        Upload(
            client=self.client,
            bucket=self.name,
            name=key,
            headers=headers,
            only_new=only_new,
            if_match=if_match,
            progress=progress,
            claim_headers=claim_headers,
        ).run(source)

    @property
    def honours_conditions(self) -> bool | None:
        """Whether the server supports ``only_new``; None until that was tried."""
        return self.client.conditions.honoured

    @limited
    def try_conditions(self, key: str, headers: Mapping[str, str]) -> bool:
        """Find out whether it does, with an empty object in the same folder, which is removed."""
        sibling = posixpath.join(posixpath.dirname(key), get_random_string(16))
        trial = {**headers, **checksum_of(Block(), self.client)}
        return self.client.conditions.probe(self.name, key, sibling, trial)

    def can_copy_from(self, other: Bucket) -> bool:
        """Return whether the server itself can copy: both buckets are on it, with the same keys."""
        return other.client is self.client

    @limited
    def copy(
        self, source: Bucket, info: ObjectInfo, key: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Copy an object that ``source`` described on the server, with its metadata or these headers.

        Replace any object with that key. ``ServerError`` if the object changed since it was described, or the
        response was lost: check before you copy again.
        """
        copy = self._copy(source, info, key, info.metadata if headers is None else headers)
        copy.copy(info.size, keeps_metadata=headers is None or headers == info.metadata)

    @limited
    def copy_new(
        self, source: Bucket, info: ObjectInfo, key: str, headers: Mapping[str, str], *, only_new: bool
    ) -> None:
        """Copy an object that ``source`` described on the server, with these headers.

        With ``only_new``, raise ``FileExistsError`` if the name is taken; else replace the object. Raise
        ``ServerError`` if the object changed since it was described.
        """
        self._copy(source, info, key, headers, only_new=only_new).copy_new(info.size)

    @limited
    def set_headers(self, info: ObjectInfo, headers: Mapping[str, str], *, by_copy: bool = False) -> None:
        """Store the described object again, with exactly these headers.

        Raise ``ServerError`` with the status 412 or 409 if it was replaced meanwhile, ``FileNotFoundError``
        if it was deleted; nothing is changed then.

        The server copies it onto itself if its copies check the condition at the end; else the content is
        downloaded and stored in one conditional request. ``by_copy`` makes every server copy, but some lose
        what is stored at that moment.
        """
        if by_copy or info.headers.get("Server", "").startswith(_SAFE_COPIES):
            copy = self._copy(self, info, info.key, headers, if_match=info.etag)
            copy.copy(info.size, keeps_metadata=False)
            return
        if info.size > max(self.multipart):
            raise ServerError(
                f"{info.key!r} has {info.size} bytes, too many to be replaced in one conditional request. "
                "Let the server copy it while nobody writes."
            )
        key_headers = {k: v for k, v in headers.items() if "-customer-" in k.lower()}
        with ObjectFile(partial(self.open_described, info, key_headers), info.key) as content:
            self.put(info.key, content, headers, if_match=info.etag)

    def _copy(
        self,
        source: Bucket,
        info: ObjectInfo,
        key: str,
        headers: Mapping[str, str],
        *,
        only_new: bool = False,
        if_match: str = "",
    ) -> Copy:
        return Copy(
            client=self.client,
            bucket=self.name,
            name=key,
            headers=headers,
            only_new=only_new,
            if_match=if_match,
            source={"x-amz-copy-source": source.path(info.key), **_if_source_is(info.etag)},
        )

    @limited
    def delete(self, key: str, *, if_match: str = "", headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """Remove an object; a missing one is not an error.

        If a response is lost, an object that another writer stored meanwhile is kept: see ``Deletion``.

        With ``if_match``, raise ``ServerError`` with the status 412 unless it has that entity tag. A server
        without conditional deletes may remove what was stored between the check and the delete.
        """
        target = None
        if if_match:
            try:
                found = self.head(key, headers)
            except FileNotFoundError:
                return
            if found.etag != if_match:
                raise self.replaced_error(key)
            target = found.headers
        Deletion(self.client, self.name, key, target, key_headers=headers).run()

    def replaced_error(self, key: str) -> ServerError:
        return ServerError(
            f"{key!r} in the bucket {self.name!r} was replaced meanwhile, so it is left as it is.",
            status=412,
            code="PreconditionFailed",
        )

    # Links

    @cached_property
    def link(self) -> Callable[..., str]:
        """Return a link to a key that anybody can read for ``life`` seconds from ``at``, with a ``query``."""
        return self.links.links_in(self.name)

    def link_for_put(self, key: str, life: int, at: int) -> str:
        """Return a URL to which anybody may PUT with ``NO_COPY``, for ``life`` seconds from ``at``."""
        return self.links.signed_put(self.name, key, NO_COPY, life, at)

    def plain_link(self, key: str) -> str:
        """Return an unsigned link to an object in a public bucket."""
        return self.plain_root + quote_object_name(key)

    @cached_property
    def plain_root(self) -> str:
        """The base of unsigned links, with a trailing slash."""
        return self.public_url or f"{self.links.server.url_of(self.name)}/"
