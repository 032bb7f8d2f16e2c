"""Two tenants with schemas, a shared bucket that holds their files, and a bucket for each of them."""

from tests.support.moving import move, old, per_tenant, put, receipts, requests  # noqa: F401
from tests.support.northern import northern, on_the_northern_server  # noqa: F401
from tests.support.schemas import clean, no_other_fields, north, south, tenants, use  # noqa: F401
