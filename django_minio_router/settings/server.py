"""One server, as the settings describe it."""

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
    """What a connection depends on. Equal servers share one client and one pool.

    ``endpoint`` is ``host[:port]``, and the path below which the server has its buckets, if any. With
    ``virtual`` a bucket's name stands in the host. Timeouts are in seconds; ``prefix`` is the path that a
    proxy puts before the bucket in links; in ``memory`` it stands for a server and is this process;
    ``test_prefix`` begins the names of all buckets.
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
        """Return what the bucket is called there: as it is named, but for tests with a prefix."""
        return with_prefix(self.test_prefix, name)

    @cached_property
    def host(self) -> str:
        """The host, and its port unless that is the usual one, as it stands in ``Host`` and is signed."""
        return self.endpoint.partition("/")[0].removesuffix(":443" if self.use_https else ":80")

    @cached_property
    def origin(self) -> str:
        """The scheme and the host that connections go to."""
        return f"{'https' if self.use_https else 'http'}://{self.endpoint.partition('/')[0]}"

    @cached_property
    def path(self) -> str:
        """The path below which the server has its buckets; empty, or with a slash at its start only."""
        return self.endpoint[len(self.endpoint.partition("/")[0]) :]

    @property
    def base_url(self) -> str:
        if self.memory:
            return f"/minio-memory/{self.endpoint}"  # in testing/urls.py
        return f"{self.origin}{self.prefix or self.path}"

    @property
    def is_plain(self) -> bool:
        """Whether a request for ``/bucket/object`` has just that path, and the server's own host."""
        return not (self.virtual or self.path)

    def locate(self, path: str) -> tuple[str, str]:
        """Return the host and the path of a request for ``/``, ``/bucket`` or ``/bucket/object``."""
        bucket, _, key = path[1:].partition("/")
        if self._has_host(bucket):
            return f"{bucket}.{self.host}", f"{self.path}/{key}"
        return self.host, f"{self.path}{path}"

    def url_of(self, bucket: str) -> str:
        """Return the URL of the bucket as a browser sees it, without a slash at its end."""
        if not self._has_host(bucket):
            return f"{self.base_url}/{bucket}"
        scheme, _, rest = self.base_url.partition("://")
        return f"{scheme}://{bucket}.{rest}"

    def _has_host(self, bucket: str) -> bool:
        """Tell whether the bucket has a host of its own. No certificate is for a name with a dot in it."""
        return self.virtual and bool(bucket) and not (self.use_https and "." in bucket)
