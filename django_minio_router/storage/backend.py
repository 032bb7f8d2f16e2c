"""``MinioBackend``: one bucket, with the complete Storage contract of Django."""

from __future__ import annotations

import math
import mimetypes
import posixpath
import re
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import Storage
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.deconstruct import deconstructible
from django.utils.http import content_disposition_header

from ..buckets.ensure import PlannedBucket, ensure_bucket
from ..exceptions import BucketNotFound, ConfigurationError, PrivatePublicMixedError, ServerError
from ..naming import check_bucket_name, check_object_name, quote_object_name, text_of
from ..s3 import client as clients
from ..s3.client import Client, Query
from ..s3.content import Block, Source
from ..s3.reading import ObjectFile, ObjectReader, modified_time
from ..s3.status import MinioServerStatus, probe
from ..s3.uploads import KEPT_HEADERS, TOKEN_HEADER, Upload, checksum_of
from ..settings.config import Config
from ..settings.declared import DEFAULTS, PREFIX, check_options
from ..settings.redacted import Hidden
from .active_content import disposition_of_link, is_passive, stored_to_download
from .serialization import Portable

if TYPE_CHECKING:
    from minio import Minio
    from urllib3.response import BaseHTTPResponse

_MAX_NAMES = 100
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, in lower case
_OF_THE_REQUEST = (  # they say what the request is, and what came with it
    "x-amz-checksum-",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-sdk-checksum-",
    "x-amz-security-token",
    "x-amz-trailer",
    "x-amz-write-offset-",
    TOKEN_HEADER,
)


@dataclass(frozen=True, slots=True)
class Route:
    """What the calls of a backend need, looked up once and again when settings change or after a fork."""

    epoch: int
    config: Config
    bucket: str
    prefix: str
    internal: Client
    external: Client
    is_public: bool
    downloads_active: bool
    response_query: Query
    external_root: str

    def path(self, name: str) -> str:
        """Return the object's quoted path below the server. ``SuspiciousFileOperation`` if it is unsafe.

        The prefix is part of what is checked, so no name leaves it.
        """
        return f"/{self.bucket}/{quote_object_name(self.prefix + text_of(name) if self.prefix else name)}"


@dataclass
class _Save:
    """The save under way: its content, and the names that the server said are taken."""

    storage: Storage
    content: File[Any]
    source: Source
    taken: set[str] = field(default_factory=set)
    only_new: bool = True
    choosing: bool = False


_under_way: ContextVar[_Save | None] = ContextVar("minio_router_save", default=None)


@deconstructible(path="django_minio_router.models.MinioBackend")
class MinioBackend(Portable, Storage):
    """Store files in one bucket; without a name in the default media bucket.

    ``replace_existing`` overwrites instead of choosing another name. ``metadata``, ``sse`` and ``progress``
    have the meaning that they have in the SDK's ``put_object``, ``http_client`` is a ``urllib3`` pool.
    ``server`` names an entry of ``MINIO_SERVERS``, ``storage_name`` an alias of ``STORAGES`` whose
    ``MINIO_*`` options are used; such options can be given here as well. ``public`` tells whether links
    are plain; the default is what the settings declare. ``prefix`` is a folder, such as ``"acme/"``, that all
    names lie in and no call leaves. ``defaults`` are settings as they hold where the project sets nothing.

    Every method raises ``SuspiciousFileOperation`` for an unsafe name before any request, ``ServerError``
    when the server cannot be reached or refuses, and ``BucketNotFound`` when there is no such bucket.
    """

    def __init__(
        self,
        bucket_name: str = "",
        storage_name: str = "default",
        *,
        replace_existing: bool = False,
        metadata: Mapping[str, str] | None = None,
        sse: Any = None,
        progress: Any = None,
        http_client: Any = None,
        server: str = "",
        public: bool | None = None,
        prefix: str = "",
        defaults: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        options = Hidden(options)
        _refuse_unknown(options)
        check_options(
            {
                "bucket_name": bucket_name,
                "storage_name": storage_name,
                "replace_existing": replace_existing,
                "metadata": metadata,
                "sse": sse,
                "progress": progress,
                "server": server,
                "public": public,
                "prefix": prefix,
            }
        )
        self._keep_arguments()
        if http_client is not None:
            options["MINIO_HTTP_CLIENT"] = http_client
        self._bucket_name = bucket_name
        self._storage_name = storage_name
        self._options = options
        self._server = server
        self._public = public
        self._prefix = _folder(prefix) if prefix else ""
        # A bucket that is public by an option, and not by the settings, is not listed.
        self._defaults = defaults or ({} if public is None else {"MINIO_PUBLIC_POLICY": "read"})
        self.replace_existing = replace_existing
        self.metadata = metadata
        self.sse = sse
        self.progress = progress
        self._known_route: Route | None = None

    # Where the calls go

    @property
    def config(self) -> Config:
        """The settings as they hold for this storage."""
        return Config(
            self._options, server=self._server, storage_name=self._storage_name, defaults=self._defaults
        )

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._bucket_name or self._default_bucket(self.config)

    @property
    def prefix(self) -> str:
        """The folder that all names lie in, such as ``"acme/"``; empty where there is none."""
        return self._prefix

    @property
    def is_bucket_public(self) -> bool:
        """Whether links are plain instead of signed. ``ConfigurationError`` if the settings do not say."""
        if self._public is not None:
            self._refuse_mixed()
            return self._public
        return self._declared_public(self.config, self.bucket)

    def _refuse_mixed(self) -> None:
        if not self._public and self.bucket in self.config.declared[1]:
            raise PrivatePublicMixedError(
                f"The bucket {self.bucket!r} is private for this storage, and MINIO_PUBLIC_BUCKETS declares "
                "it public. Give one of them another bucket."
            )

    @property
    def is_bucket_listable(self) -> bool:
        """Whether anybody may list the bucket if it is public, as ``MINIO_PUBLIC_POLICY`` says."""
        return self.config.lists_public_buckets

    @property
    def client(self) -> Minio:
        """The SDK's client for requests, shared by all storages of this server."""
        return self._route().internal.sdk

    @property
    def client_external(self) -> Minio:
        """The SDK's client for the external endpoint."""
        return self._route().external.sdk

    @property
    def base_url(self) -> str:
        return self._route().internal.server.base_url

    @property
    def base_url_external(self) -> str:
        return self._route().external.server.base_url

    def _default_bucket(self, config: Config) -> str:
        return config.media_bucket

    def _declared_public(self, config: Config, bucket: str) -> bool:
        return config.is_public(bucket)

    def _downloads_active(self, config: Config) -> bool:
        return config.downloads_active_content

    def _route(self) -> Route:
        route = self._known_route
        if route is not None and route.epoch == clients.epoch:
            return route
        epoch = clients.epoch
        config = self.config
        bucket = check_bucket_name(self.bucket, "The setting or option of a storage")
        internal = clients.get_client(config.internal)
        external = clients.get_client(config.external)
        downloads_active = self._downloads_active(config)
        route = Route(
            epoch,
            config,
            bucket,
            self._prefix,
            internal,
            external,
            self.is_bucket_public,
            downloads_active,
            _query_of_name if downloads_active else "",
            f"{external.server.base_url}/{bucket}/",
        )
        self._known_route = route
        return route

    # Saving

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        """Store the content under the name, or under another one if that is taken; return the name.

        One conditional request for a free name, one more for each taken one; nothing is ever overwritten
        unless ``replace_existing`` says so. At most ``max_length`` characters are used.
        """
        if name is None:
            name = getattr(content, "name", None)
        if not hasattr(content, "chunks"):
            content = File(content, name)
        name = check_object_name(name or "")
        source = self._source(content)
        try:
            return self._save_under_free_name(name, content, source, max_length)
        except BucketNotFound:
            if not self.config.get("MINIO_BUCKET_CHECK_ON_SAVE"):
                raise
            self.check_bucket_existence()
            return self._save_under_free_name(name, content, source, max_length)

    def _source(self, content: File[Any]) -> Source:
        return Source(content, *self._route().config.multipart)

    def _save_under_free_name(
        self, name: str, content: File[Any], source: Source, max_length: int | None
    ) -> str:
        save = _Save(self, content, source, only_new=self._keeps_conditions(name, content))
        if not save.only_new and not self.replace_existing:
            save.taken.add(name)
        token = _under_way.set(save)
        try:
            for _ in range(_MAX_NAMES):
                candidate = self._choose_name(name, max_length, save)
                source.start()
                try:
                    return check_object_name(self._save(candidate, content))
                except FileExistsError:
                    save.taken.add(candidate)
                except ServerError as error:
                    # A writer of the same name who lost track of his own upload may have removed ours.
                    if error.code != "NoSuchUpload":
                        raise
        finally:
            _under_way.reset(token)
        raise ServerError(
            f"{_MAX_NAMES} names for {name!r} were taken in the bucket {self.bucket!r}, which random "
            "names are not. Look at get_alternative_name() and at the server."
        )

    def _keeps_conditions(self, name: str, content: File[Any]) -> bool:
        """Tell whether the server refuses a taken name by itself. Asks with a name beside the one to save."""
        if self.replace_existing:
            return False
        route = self._route()
        known = route.internal.honours_conditions
        if known is not None:
            return known
        sibling = posixpath.join(posixpath.dirname(self._prefix + name), get_random_string(16))
        headers = {**self._object_headers(name, content), **checksum_of(Block(), route.internal)}
        return route.internal.try_conditions(route.bucket, sibling, headers)

    def _choose_name(self, name: str, max_length: int | None, save: _Save) -> str:
        """Return the name that Django, or a subclass, picks while ``exists`` answers for this save."""
        save.choosing = True
        try:
            return self.get_available_name(name, max_length=max_length)
        finally:
            save.choosing = False

    def _save(self, name: str, content: File[Any]) -> str:
        """Store the content; raise ``FileExistsError`` if the name is taken and may not be replaced."""
        save = self._save_under_way()
        # A subclass that picks a name although exists() says it is taken wants it replaced.
        may_replace = self.replace_existing or (save is not None and name in save.taken)
        route = self._route()
        Upload(
            client=route.internal,
            bucket=route.bucket,
            name=name,
            path=route.path(name),
            headers=self._object_headers(name, content),
            only_new=not may_replace and (save is None or save.only_new),
            progress=self.progress,
        ).run(save.source if save is not None and save.content is content else self._source(content))
        return name

    def _save_under_way(self) -> _Save | None:
        save = _under_way.get()
        return save if save is not None and save.storage is self else None

    def _object_headers(self, name: str, content: File[Any]) -> dict[str, str]:
        headers = {_header(key): _plain_text(key, value) for key, value in (self.metadata or {}).items()}
        headers = {key: text for key, text in headers.items() if key.lower() != "content-type"}
        headers |= {**self._encryption(), "Content-Type": self._content_type(name, content)}
        return self._guarded(name, headers)

    def _guarded(self, name: str, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers to store an object with: a type that a browser declared is not trusted."""
        return stored_to_download(name, headers) if self._route().downloads_active else headers

    def _encryption(self) -> dict[str, str]:
        if self.sse is None:
            return {}
        server = self._route().internal.server
        if self.sse.tls_required() and not server.use_https:
            raise ConfigurationError(
                f"{type(self.sse).__name__} sends a key, and {server.endpoint} is not asked over HTTPS. "
                "Set MINIO_USE_HTTPS to True."
            )
        headers: dict[str, str] = self.sse.headers()
        return headers

    def _content_type(self, name: str, content: File[Any]) -> str:
        declared = getattr(content, "content_type", None)
        if not isinstance(declared, str) or not _PRINTABLE.fullmatch(declared):  # a browser may send anything
            declared = None
        return declared or mimetypes.guess_type(name)[0] or "application/octet-stream"

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name if it is free, or may be replaced; else another one that is free.

        With ``replace_existing`` only a name that is too long is changed, and then as Django does it: two
        long names must not become one.
        """
        if self.replace_existing and (max_length is None or len(name) <= max_length):
            return name
        save = self._save_under_way()
        if save is not None and save.choosing and self.is_name_available(name, max_length):
            return name  # save() has checked it, so Django need not, which takes longer than all else here
        return super().get_available_name(name, max_length=max_length)

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Tell whether the name is short enough and free. Django has it from 5.1 on."""
        return (not max_length or len(name) <= max_length) and not self.exists(name)

    # Reading

    def open(self, name: str, mode: str = "rb") -> ObjectFile:
        """Open an object for reading; it stays with this bucket. ``FileNotFoundError`` if it is missing."""
        if mode != "rb":
            raise ValueError(
                f"{name!r} cannot be opened with the mode {mode!r}: objects are read-only. "
                "Use 'rb', for text in an io.TextIOWrapper, and save() to store content."
            )
        return self._open(name, "rb")

    def _open(self, name: str, mode: str = "rb") -> ObjectFile:
        route = self._route()
        path = route.path(name)
        reader = ObjectReader(route.internal, route.bucket, name, path, self._read_headers())
        return ObjectFile(reader, text_of(name), reopen=lambda: self._open(name))

    def _read_headers(self) -> dict[str, str]:
        """A key of the customer's own is needed to read as well."""
        return {k: v for k, v in self._encryption().items() if "-customer-" in k.lower()}

    def _head(self, name: str) -> BaseHTTPResponse:
        route = self._route()
        path = route.path(name)
        response = route.internal.request("HEAD", path, headers=self._read_headers())
        if response.status != 200:
            route.internal.refuse(response, route.bucket, name)
        route.internal.check_object(response, f"{route.bucket}/{name}")
        route.internal.known_buckets.set(route.bucket, True)
        return response

    def exists(self, name: str) -> bool:
        """Tell whether the object is there. Only "not found" means no; all else raises ``ServerError``."""
        save = self._save_under_way()
        if save is not None and save.choosing:
            if name in save.taken:
                return True
            # The save itself will tell. After a second taken name, names are not random: look first.
            if self.replace_existing or (save.only_new and len(save.taken) < 2):
                return False
        try:
            self._head(name)
        except FileNotFoundError:
            return False
        return True

    def size(self, name: str) -> int:
        """Return the size in bytes. ``FileNotFoundError`` if the object is missing."""
        return int(self._head(name).headers["Content-Length"])

    def get_modified_time(self, name: str) -> datetime:
        """Return when the object was stored; aware under ``USE_TZ``, else naive in the local zone."""
        modified = modified_time(self._head(name).headers)
        return modified if settings.USE_TZ else timezone.make_naive(modified)

    def stat(self, name: str) -> Any:
        """Return the SDK's description of the object. ``FileNotFoundError`` if it is missing."""
        self._head(name)
        return self.client.stat_object(bucket_name=self.bucket, object_name=self._prefix + name)

    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        """Return the names of folders and of files directly below the path; both empty if there are none."""
        path = text_of(path)
        folder = "" if path in {"", ".", "/"} else f"{check_object_name(path.rstrip('/'))}/"
        prefix = self._prefix + folder
        folders, files = [], []
        for entry in self._list(prefix):
            name = entry.object_name.removeprefix(prefix)
            if name.endswith("/"):
                folders.append(name.rstrip("/"))
            elif name:
                files.append(name)
        return folders, files

    def _list(self, prefix: str) -> Iterator[Any]:
        route = self._route()
        with route.internal.plain_errors(route.bucket):
            yield from route.internal.sdk.list_objects(bucket_name=route.bucket, prefix=prefix)

    def delete(self, name: str) -> None:
        """Remove the object. A missing one is no error, as Django's contract says."""
        route = self._route()
        response = route.internal.request("DELETE", route.path(name))
        if response.status != 204 and (response.status != 200 or response.data):
            try:
                route.internal.refuse(response, route.bucket, name)
            except FileNotFoundError:
                return

    # Links

    def url(  # type: ignore[override]
        self,
        name: str,
        *,
        expires: timedelta | int | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: str | None = None,
    ) -> str:
        """Return a link for browsers, on the external endpoint: plain for a public bucket, else signed.

        A signed link lives at least for ``expires`` (a ``timedelta`` or seconds; default
        ``MINIO_URL_EXPIRY_HOURS``) and stays the same within ``MINIO_URL_WINDOW``, so browsers can keep
        what they loaded. ``filename``, ``content_type`` and ``disposition`` (``"inline"`` or
        ``"attachment"``) set what the browser is told; a plain link cannot carry them, so one is signed.
        Where active content is to be downloaded (``MINIO_ACTIVE_CONTENT``) a signed link to a name that is
        not known as passive says ``attachment``, unless ``disposition`` is given.
        """
        route = self._route()
        key = route.prefix + text_of(name) if route.prefix else name
        tells = filename is not None or content_type is not None or disposition is not None
        if route.is_public and expires is None and not tells:
            return route.external_root + quote_object_name(key)
        life, window = route.config.url_expiry if expires is None else route.config.expiry(_seconds(expires))
        now = int(time.time())
        start = now - now % window if window else now
        if not tells:
            return route.external.link(route.bucket, key, life, start, route.response_query)
        if route.downloads_active:
            disposition = disposition_of_link(
                name, disposition=disposition, filename=filename, content_type=content_type
            )
        extra = _response_query(filename, content_type, disposition)
        return route.external.link(route.bucket, key, life, start, extra)

    # What a bucket on a server cannot tell

    def path(self, name: str) -> str:
        raise NotImplementedError("Objects have no path on a local disk. Use open() or url().")

    def get_accessed_time(self, name: str) -> datetime:
        raise NotImplementedError("S3 keeps no access time.")

    def get_created_time(self, name: str) -> datetime:
        raise NotImplementedError("S3 keeps no creation time. Use get_modified_time().")

    # The server

    def check_bucket_existence(self) -> None:
        """Create the bucket if it is missing, and give it its policy."""
        where = "check_bucket_existence()"
        ensure_bucket(
            PlannedBucket(self.bucket, self.config, self.is_bucket_public, self.is_bucket_listable, where)
        )

    def is_minio_available(self) -> MinioServerStatus:
        """Ask the server, within 5 seconds, whether it is there. True and false like a ``bool``."""
        return probe(self.config)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in DEFAULTS:
            raise ConfigurationError(
                f"A storage has no option {option!r}. Its options are those of MinioBackend and the "
                f"settings that start with {PREFIX}."
            )


def _folder(prefix: str) -> str:
    """Return the prefix with one slash at its end. ``ConfigurationError`` if names below it are unsafe."""
    try:
        return f"{check_object_name(prefix.rstrip('/'))}/"
    except SuspiciousFileOperation as error:
        raise ConfigurationError(
            f"The option 'prefix' of a storage is {prefix!r}, which is no folder. {error} Give it one such "
            "as 'acme/'."
        ) from error


def _header(key: str) -> str:
    """Return the header that metadata of this key goes in: its own, as in the SDK, or user metadata.

    In lower case, as two that differ in nothing else are one to the server, and no signature holds for them.
    """
    lower = key.lower() if isinstance(key, str) else ""
    header = lower if lower in KEPT_HEADERS or lower.startswith("x-amz-") else f"x-amz-meta-{lower}"
    if not _HEADER.fullmatch(lower) or header.startswith(_OF_THE_REQUEST):
        raise ConfigurationError(
            f"The metadata has the key {key!r}, which is no header to keep with an object. Name it with "
            "ASCII letters, digits and '-'; the x-amz- headers that say what a request is cannot be set."
        )
    return header


def _plain_text(key: str, value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    text = ",".join(str(value) for value in values)
    if not _PRINTABLE.fullmatch(text):
        raise ConfigurationError(
            f"The metadata {key!r} is {text!r}; S3 takes printable ASCII only. Encode it, for example with "
            "urllib.parse.quote()."
        )
    return text


def _seconds(time: timedelta | float) -> int:
    try:
        return math.ceil(time.total_seconds() if isinstance(time, timedelta) else time)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"A link cannot live for {time!r}. Give 'expires' a timedelta or a number of seconds."
        ) from error


def _response_query(filename: str | None, content_type: str | None, disposition: str | None) -> str:
    """Return the quoted, sorted ``response-…`` parameters."""
    if disposition not in (None, "inline", "attachment"):
        raise ValueError(f"The disposition is {disposition!r}. Use 'inline' or 'attachment'.")
    query = {}
    if filename is not None or disposition is not None:
        header = content_disposition_header(disposition != "inline", filename or "")
        query["response-content-disposition"] = header or "inline"
    if content_type is not None:
        query["response-content-type"] = content_type
    return urlencode(query, safe="", quote_via=quote)


_TO_DOWNLOAD = _response_query(None, None, "attachment")


def _query_of_name(name: str) -> str:
    """Return what a link says that was asked for by its name alone."""
    return "" if is_passive(name) else _TO_DOWNLOAD
