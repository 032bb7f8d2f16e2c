"""A server, as the settings describe it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.utils.functional import cached_property

from .testing import with_prefix

if TYPE_CHECKING:
    from minio.credentials.providers import Provider
    from urllib3 import PoolManager


@dataclass(frozen=True)
class Server:
    """Everything a connection depends on. Equal servers share one client and one pool.

    ``endpoint`` is ``host[:port]``, plus the path below which the server has its buckets, if any. With
    ``virtual``, the bucket is part of the host name. Timeouts are in seconds. ``prefix`` is the path that a
    proxy puts before the bucket in links. With ``memory``, this process is the server, and ``prefix`` the
    path of the site. ``test_prefix`` begins the name of every bucket.
    """

    endpoint: str
    use_https: bool
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    credentials: Provider | None = field(repr=False)
    http_client: PoolManager | None = field(repr=False)
    pool_size: int
    connect_timeout: float
    read_timeout: float
    call_timeout: float
    retries: int
    conditional_writes: bool | None
    checksums: bool
    virtual: bool = False
    prefix: str = ""
    memory: bool = False
    test_prefix: str = ""

    def bucket_name(self, name: str) -> str:
        """Return the bucket's name on the server, which has a prefix in tests."""
        return with_prefix(self.test_prefix, name)

    @cached_property
    def host(self) -> str:
        """The host, with its port unless that is the default: the signed ``Host`` header."""
        return self.endpoint.partition("/")[0].removesuffix(":443" if self.use_https else ":80")

    @cached_property
    def origin(self) -> str:
        """The scheme and the host that connections go to."""
        return f"{'https' if self.use_https else 'http'}://{self.endpoint.partition('/')[0]}"

    @cached_property
    def path(self) -> str:
        """The path below which the server has its buckets: empty, or with a leading slash only."""
        return self.endpoint[len(self.endpoint.partition("/")[0]) :]

    @property
    def base_url(self) -> str:
        if self.memory:
            return f"{self.prefix}/minio-memory/{self.endpoint}"  # in testing/urls.py
        return f"{self.origin}{self.prefix or self.path}"

    @cached_property
    def is_plain(self) -> bool:
        """Whether a request for ``/bucket/object`` uses exactly that path on the server's own host."""
        return not (self.virtual or self.path)

    def locate(self, path: str) -> tuple[str, str]:
        """Return the host and the path of a request for ``/``, ``/bucket`` or ``/bucket/object``."""
        if self.is_plain:
            return self.host, path
        bucket, _, key = path[1:].partition("/")
        if self._has_host(bucket):
            return f"{bucket}.{self.host}", f"{self.path}/{key}"
        return self.host, f"{self.path}{path}"

    def url_of(self, bucket: str) -> str:
        """Return the URL of the bucket as a browser sees it, without a trailing slash."""
        if not self._has_host(bucket):
            return f"{self.base_url}/{bucket}"
        scheme, _, rest = self.base_url.partition("://")
        return f"{scheme}://{bucket}.{rest}"

    def _has_host(self, bucket: str) -> bool:
        """Return whether the bucket has its own host. No certificate covers a bucket name with a dot."""
        return self.virtual and bool(bucket) and not (self.use_https and "." in bucket)
