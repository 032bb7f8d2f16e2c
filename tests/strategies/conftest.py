"""Tenants that are rows with buckets of their own, and a second server."""

from tests.support.northern import northern, on_the_northern_server  # noqa: F401
from tests.support.unsaved_tenants import acme, make_tenant  # noqa: F401
