"""The options of a storage, and the bucket and server that they select."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import Storage

from ..buckets.ensure import PlannedBucket, ensure_bucket
from ..exceptions import ConfigurationError, PrivatePublicMixedError
from ..naming import check_bucket_name, check_object_name, text_of
from ..s3 import client as clients
from ..s3.bucket import Bucket
from ..s3.status import MinioServerStatus, probe
from ..settings.config import Config
from ..settings.declared import DEFAULTS, OPTIONS, PREFIX, check_options
from ..settings.redacted import Hidden
from ..settings.testing import test_state
from .headers import Metadata, ObjectHeaders
from .installed import check_if_installed, warn_if_not_installed
from .links import default_query, sign_with, signed_links
from .serialization import SerializableStorage

if TYPE_CHECKING:
    from minio import Minio

_WHERE = "The setting or option of a storage"


@dataclass(frozen=True, slots=True)
class Connection:
    """What calls of a backend need. Looked up once, and again after a fork or when settings change."""

    epoch: int
    test_state: str | None
    config: Config
    objects: Bucket
    plain_root: str  # the base of unsigned links; empty if links are signed
    downloads_active: bool
    sign: Callable[..., str]  # Bucket.link, or the same with MINIO_URL_SIGNER
    link: Callable[[str], str]  # signs a link to a key that has no options


class BucketStorage(SerializableStorage, Storage):
    """A storage of one bucket, and its options."""

    def __init__(
        self,
        bucket_name: str = "",
        storage_name: str = "default",
        *,
        replace_existing: bool = False,
        metadata: Metadata = None,
        sse: Any = None,
        progress: Any = None,
        http_client: Any = None,
        server: str = "",
        public: bool | None = None,
        prefix: str = "",
        defaults: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        check_if_installed()
        options = Hidden(options)
        _refuse_unknown(options)
        check_options({name: value for name, value in locals().items() if name in OPTIONS})
        self._record_arguments()
        if http_client is not None:
            options["MINIO_HTTP_CLIENT"] = http_client
        self._bucket_name = bucket_name
        self._storage_name = storage_name
        self._options = options
        self._server = server
        self._public = public
        self._prefix = _folder(prefix) if prefix else ""
        # A bucket that an option makes public, and not the settings, cannot be listed.
        self._defaults = defaults or ({} if public is None else {"MINIO_PUBLIC_POLICY": "read"})
        self._must_be_declared = defaults is None  # a strategy declares its own buckets
        self.replace_existing = replace_existing
        self.metadata = metadata
        self.sse = sse
        self.progress = progress
        self._connected: Connection | None = None

    # Where the calls go

    @property
    def config(self) -> Config:
        """The settings of this storage."""
        return Config(
            self._options, server=self._server, storage_name=self._storage_name, defaults=self._defaults
        )

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._bucket_name or self._default_bucket(self.config)

    @property
    def prefix(self) -> str:
        """The folder that contains all names, such as ``"acme/"``; empty if there is none."""
        return self._prefix

    @property
    def is_bucket_public(self) -> bool:
        """Whether links are unsigned. ``ConfigurationError`` if the settings do not declare the bucket."""
        if self._public is not None:
            if not self._public and self.config.is_declared_public(self.bucket):
                raise PrivatePublicMixedError(
                    f"The bucket {self.bucket!r} is private for this storage, but public in "
                    "MINIO_PUBLIC_BUCKETS. Give one of them another bucket."
                )
            return self._public
        return self._declared_public(self.config, self.bucket)

    @property
    def is_bucket_listable(self) -> bool:
        """Whether anybody may list the bucket if it is public, as set in ``MINIO_PUBLIC_POLICY``."""
        return self.config.lists_public_buckets

    @property
    def objects(self) -> Bucket:
        """The bucket with its objects by full name: the prefix plus the file's name."""
        return self._connection().objects

    @property
    def client(self) -> Minio:
        """The SDK's client for requests, shared by all storages of this server."""
        return self.objects.client.sdk

    @property
    def client_external(self) -> Minio:
        """The SDK's client for the external endpoint."""
        return self.objects.links.sdk

    @property
    def base_url(self) -> str:
        return self.objects.client.server.base_url

    @property
    def base_url_external(self) -> str:
        return self.objects.links.server.base_url

    def _default_bucket(self, config: Config) -> str:
        return config.media_bucket

    def _declared_public(self, config: Config, bucket: str) -> bool:
        return config.is_public(bucket) if self._must_be_declared else config.is_declared_public(bucket)

    def _downloads_active(self, config: Config) -> bool:
        return config.downloads_active_content

    def _has_plain_links(self) -> bool:
        """Return whether anybody can read the bucket. A server without policies has no public buckets."""
        config = self.config
        is_open = bool(config.get("MINIO_BUCKET_POLICIES") or config.public_url(self.bucket))
        return self.is_bucket_public and is_open

    def _connection(self) -> Connection:
        known = self._connected
        # A call less is a tenth of a plain link. A test's prefix changes with its database.
        if (
            known is not None
            and known.epoch == clients.epoch
            and ("django.test.utils" not in sys.modules or known.test_state == test_state())
        ):
            return known
        warn_if_not_installed()
        epoch, in_tests = clients.epoch, test_state()
        config = self.config
        on_server = config.internal.bucket_name(check_bucket_name(self.bucket, _WHERE))
        objects = Bucket(
            clients.get_client(config.internal),
            on_server,
            clients.get_client(config.external),
            config.multipart,
            config.public_url(on_server),
        )
        downloads_active = self._downloads_active(config)
        signer = config.url_signer
        sign = objects.link if signer is None else partial(sign_with, signer, objects)
        self._connected = connection = Connection(
            epoch,
            in_tests,
            config,
            objects,
            objects.plain_root if self._has_plain_links() else "",
            downloads_active,
            sign,
            signed_links(sign, config, default_query if downloads_active else ""),
        )
        if config.makes_buckets_at_once and not objects.exists():
            self.check_bucket_existence()
        return connection

    def object_name(self, name: str) -> str:
        """Return the full name of a file's object: the prefix plus the name.

        A leading slash, which rows from other storages may have, is removed; new names have none.
        """
        return self._prefix + text_of(name).lstrip("/")

    @property
    def headers(self) -> ObjectHeaders:
        """The headers for storing and reading objects."""
        connection = self._connection()
        return ObjectHeaders(
            self.metadata, self.sse, connection.objects.client.server, connection.downloads_active
        )

    @property
    def reading_headers(self) -> Mapping[str, str]:
        """The headers for reading objects: none unless they are encrypted."""
        return {} if self.sse is None else self.headers.reading()

    def headers_of(self, name: str, content: File[Any]) -> dict[str, str]:
        """Return the headers to store this file with."""
        return self.headers.of(name, content)

    # The server

    def check_bucket_existence(self) -> None:
        """Create the bucket if it is missing, and give it its policy."""
        name = check_bucket_name(self.bucket, _WHERE)
        ensure_bucket(
            PlannedBucket(name, self.config, self.is_bucket_public, self.is_bucket_listable, _WHERE)
        )

    def is_minio_available(self) -> MinioServerStatus:
        """Return whether the server is available, within 5 seconds. The result is truthy or falsy."""
        return probe(self.config)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    for option in options:
        if option not in DEFAULTS:
            raise ConfigurationError(
                f"{option!r} is not an option of a storage. Use the options of MinioBackend and the settings "
                f"that start with {PREFIX}."
            )


def _folder(prefix: str) -> str:
    """Return the prefix with one trailing slash. ``ConfigurationError`` if it is unsafe."""
    try:
        return f"{check_object_name(prefix.rstrip('/'))}/"
    except SuspiciousFileOperation as error:
        raise ConfigurationError(
            f"The option 'prefix' of a storage is {prefix!r}, which is not a folder. {error} Use a folder "
            "such as 'acme/'."
        ) from error
