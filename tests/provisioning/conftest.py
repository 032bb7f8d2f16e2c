"""Tenants, a proxy before the server, and what the server says about a bucket."""

from tests.support.provisioning import policy, proxy, tenants  # noqa: F401
