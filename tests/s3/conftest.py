"""One bucket, the storage on it, and the proxy that shows what the storage says to the server."""

from tests.support.storages import make, proxy, storage, through  # noqa: F401
