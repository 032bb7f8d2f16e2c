"""Two tenants with schemas, whose rows outlive the calls that read them."""

from tests.support.schemas import north, south, tenants  # noqa: F401
