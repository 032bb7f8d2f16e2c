"""One bucket with a storage and a proxy on it; tenants that are rows with buckets of their own."""

from tests.support.storages import make, proxy, storage, through  # noqa: F401
from tests.support.unsaved_tenants import acme, make_tenant  # noqa: F401
