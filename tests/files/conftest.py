"""A proxy before the server."""

from tests.support.provisioning import proxy  # noqa: F401
