"""``Bucket``: one bucket of one server, with objects under their full names, apart from any storage."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.utils.crypto import get_random_string
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property

from ..exceptions import ServerError
from ..naming import MARK_OBJECT, quote_object_name
from . import late
from .content import Block, Source
from .copying import Copy
from .deleting import Deletion
from .limits import limited
from .listing import objects
from .reading import ObjectFile, ObjectReader, modified_time
from .uploads import KEPT_HEADERS, Upload, checksum_of

if TYPE_CHECKING:
    from django.core.files import File

    from .client import Client
    from .xml import Element

# The servers that compare the entity tag at the end of a copy of an object onto itself, or keep its content
# where it is. Of 200 saves at the same moment SeaweedFS 4.48 and MinIO lost up to 20; of as many beside a
# PUT with If-Match they lost none, but VersityGW did.
_SAFE_COPIES = ("AmazonS3", "VERSITYGW")

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# MinIO takes a header that is not signed: with x-amz-copy-source, a link to store a file would copy any file
# that our keys may read. No object has this entity tag, so it would copy none; a plain PUT ignores it.
NO_COPY: Mapping[str, str] = {"x-amz-copy-source-if-match": '"none"'}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as the server describes it: ``size`` in bytes, ``etag`` without quotes, ``modified`` aware.

    A list tells no ``headers``. In a list of one level a folder is a key that ends with ``/``.
    """

    key: str
    size: int = 0
    etag: str = ""
    modified: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_folder(self) -> bool:
        return self.key.endswith("/")

    @property
    def metadata(self) -> dict[str, str]:
        """The headers that are kept with the object: its content type and the like, and all user metadata."""
        named = {header.lower(): value for header, value in self.headers.items()}
        return {
            header: value
            for header, value in named.items()
            if header in KEPT_HEADERS or header.startswith("x-amz-meta-")
        }


def _listed(entry: Element) -> ObjectInfo:
    """Return what a list says of an object or a folder."""
    name = entry.findtext("Key") or entry.findtext("Prefix") or ""
    etag = (entry.findtext("ETag") or "").strip('"')
    modified = entry.findtext("LastModified")
    return ObjectInfo(
        name, int(entry.findtext("Size") or 0), etag, parse_datetime(modified) if modified else None
    )


@dataclass(frozen=True)
class Bucket:
    """One bucket of one server; two are equal if they are the same bucket.

    ``links`` is the client for links that others follow, ``multipart`` the size of a part and the size up to
    which content goes in one request, both in bytes. ``public_url`` is where plain links lead, with a slash
    at its end; to the server if it is empty.

    Every method raises ``SuspiciousFileOperation`` for an unsafe key before any request, ``ServerError`` if
    the server cannot be reached or refuses, and ``BucketNotFound`` if the bucket does not exist. ``headers``
    of reading calls are a customer's own key.
    """

    client: Client
    name: str
    links: Client = field(compare=False)
    multipart: tuple[int, int] = field(compare=False)
    public_url: str = field(default="", compare=False)

    @property
    def address(self) -> str:
        """The URL of the bucket on the internal endpoint."""
        return self.client.server.url_of(self.name)

    def path(self, key: str) -> str:
        """Return the path of the object on the server, quoted."""
        return f"/{self.name}/{quote_object_name(key)}"

    @limited
    def exists(self) -> bool:
        """Tell whether the bucket exists. What is known to exist is not asked for again."""
        return self.client.has_bucket(self.name)

    # Reading

    @limited
    def head(self, key: str, headers: Mapping[str, str] = _NO_HEADERS) -> ObjectInfo:
        """Describe an object. ``FileNotFoundError`` if it is missing."""
        response = self.client.head(self.path(key), headers)
        if response.status != 200:
            self.client.refuse(response, self.name, key, is_head=True)
        self.client.check_object(response, f"{self.name}/{key}")
        self.client.known_buckets.set(self.name, True)
        found = response.headers
        etag = found["ETag"].strip('"')
        return ObjectInfo(key, int(found["Content-Length"]), etag, modified_time(found), found)

    @limited
    def stat(self, key: str, headers: Mapping[str, str] = _NO_HEADERS) -> Any:
        """Return the SDK's description of an object. ``FileNotFoundError`` if it is missing."""
        return late.sdk().described(self.name, self.head(key, headers))

    @limited
    def open(self, key: str, headers: Mapping[str, str] = _NO_HEADERS) -> ObjectReader:
        """Open an object for reading; it stays with the version that it finds. ``FileNotFoundError`` if it is
        missing."""
        return ObjectReader(self.client, self.name, key, self.path(key), headers)

    def open_described(self, info: ObjectInfo, headers: Mapping[str, str] = _NO_HEADERS) -> ObjectReader:
        """Open what was described. ``ServerError`` with the status 412 if it was replaced since."""
        reader = self.open(info.key, headers)
        if reader.etag.strip('"') != info.etag:
            reader.close()
            raise self.stored_anew(info.key)
        return reader

    def list(self, prefix: str = "", *, recursive: bool = True) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with the prefix, a page at a time.

        Not ``recursive`` only one level, with its folders.
        """
        for entry in objects(self.client, self.name, prefix, recursive=recursive):
            info = _listed(entry)
            if info.key != MARK_OBJECT:
                yield info

    # Writing

    def source(self, content: File[Any]) -> Source:
        """Return content that can be put under one name after another, while names are taken."""
        return Source(content, *self.multipart)

    @limited
    def put(
        self,
        key: str,
        content: File[Any] | Source,
        headers: Mapping[str, str],
        *,
        only_new: bool = False,
        progress: Any = None,
        claim_headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Store the content from its start, whole or not at all.

        With ``only_new`` raise ``FileExistsError`` if the name is taken, else replace what is there. A server
        may need an empty object to hold the name for a moment; that one has the ``claim_headers`` as well.
        """
        source = content if isinstance(content, Source) else self.source(content)
        Upload(
            client=self.client,
            bucket=self.name,
            name=key,
            path=self.path(key),
            headers=headers,
            only_new=only_new,
            progress=progress,
            claim_headers=claim_headers,
        ).run(source)

    @property
    def honours_conditions(self) -> bool | None:
        """Whether ``only_new`` can be asked of the server; None until that was tried."""
        return self.client.conditions.kept

    @limited
    def try_conditions(self, key: str, headers: Mapping[str, str]) -> bool:
        """Find that out before this key is stored, with an empty object beside it, which is removed."""
        sibling = posixpath.join(posixpath.dirname(key), get_random_string(16))
        trial = {**headers, **checksum_of(Block(), self.client)}
        return self.client.conditions.find_out(self.name, key, sibling, trial)

    def can_copy_from(self, other: Bucket) -> bool:
        """Tell whether the server itself can copy: it has both buckets, and one key opens them."""
        return other.client is self.client

    @limited
    def copy(
        self, source: Bucket, info: ObjectInfo, key: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Let the server copy an object that ``source`` described, with its metadata or these headers.

        What is under the key is replaced. ``ServerError`` if the object changed since it was described, or
        the answer was lost: look before you copy again.
        """
        copy = self._copy(source, info, key, info.metadata if headers is None else headers)
        copy.copy(info.size, keeps_metadata=headers is None or headers == info.metadata)

    @limited
    def copy_new(
        self, source: Bucket, info: ObjectInfo, key: str, headers: Mapping[str, str], *, only_new: bool
    ) -> None:
        """Let the server copy an object that ``source`` described, with these headers.

        With ``only_new`` raise ``FileExistsError`` if the name is taken, else replace what is there.
        ``ServerError`` if the object changed since it was described.
        """
        self._copy(source, info, key, headers, only_new=only_new).copy_new(info.size)

    @limited
    def set_headers(self, info: ObjectInfo, headers: Mapping[str, str], *, by_copy: bool = False) -> None:
        """Store the object that was described anew, with these headers alone.

        ``ServerError`` with the status 412, or 409, if it was replaced meanwhile, ``FileNotFoundError`` if it
        was deleted; both stay as they are.

        The server copies it onto itself if its copies keep the condition up to the end, else the content
        goes through here, in one conditional request. ``by_copy`` lets each server copy, and what is stored
        at that moment may be lost on some.
        """
        if by_copy or info.headers.get("Server", "").startswith(_SAFE_COPIES):
            copy = self._copy(self, info, info.key, headers, if_match=info.etag)
            copy.copy(info.size, keeps_metadata=False)
            return
        if info.size > max(self.multipart):
            raise ServerError(
                f"{info.key!r} has {info.size} bytes, too many to be stored in one request that another "
                "writer cannot get between. Let the server copy it while nobody writes."
            )
        key_headers = {k: v for k, v in headers.items() if "-customer-" in k.lower()}
        with ObjectFile(partial(self.open_described, info, key_headers), info.key) as content:
            upload = Upload(
                client=self.client,
                bucket=self.name,
                name=info.key,
                path=self.path(info.key),
                headers=headers,
                only_new=False,
                if_match=info.etag,
            )
            upload.run(self.source(content))

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
            path=self.path(key),
            headers=headers,
            only_new=only_new,
            if_match=if_match,
            source={
                "x-amz-copy-source": source.path(info.key),
                "x-amz-copy-source-if-match": f'"{info.etag}"',
            },
        )

    @limited
    def delete(self, key: str, *, if_match: str = "", headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """Remove an object; a missing one is not an error.

        If an answer is lost, what another writer stored under the name meanwhile stays: see ``Deletion``.

        With ``if_match`` only if it has that entity tag, else ``ServerError`` with the status 412. A server
        that does not know conditional deletes may remove what was stored between the look and the delete.
        """
        meant = None
        if if_match:
            try:
                meant = self.head(key, headers)
            except FileNotFoundError:
                return
            if meant.etag != if_match:
                raise self.stored_anew(key)
        Deletion(
            client=self.client,
            bucket=self.name,
            name=key,
            path=self.path(key),
            meant=None if meant is None else meant.headers,
            key_headers=headers,
        ).run()

    def stored_anew(self, key: str) -> ServerError:
        return ServerError(
            f"{key!r} in the bucket {self.name!r} was stored anew meanwhile, so it stays as it is.",
            status=412,
            code="PreconditionFailed",
        )

    # Links

    @cached_property
    def link(self) -> Callable[..., str]:
        """Return a link that shows ``key`` to anybody for ``life`` seconds from ``at`` on, with a ``query``.

        Not a method, as a page has hundreds of links and a call more is a tenth of the time.
        """
        return partial(self.links.link, self.name)

    def link_for_put(self, key: str, life: int, at: int) -> str:
        """Return a URL to which anybody may PUT with ``NO_COPY``, for ``life`` seconds from ``at``."""
        return self.links.signed_put(self.name, key, NO_COPY, life, at)

    def plain_link(self, key: str) -> str:
        """Return a link to the object of a bucket that anybody may read."""
        return self.plain_root + quote_object_name(key)

    @cached_property
    def plain_root(self) -> str:
        """What plain links begin with, up to the slash before the object's name."""
        return self.public_url or f"{self.links.server.url_of(self.name)}/"
