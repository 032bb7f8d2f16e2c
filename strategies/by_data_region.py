"""Each tenant on the server of its region."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db.models import Model

from django_minio_router import RoutingError
from django_minio_router.strategies import BucketStrategy, Location, PerTenant
from django_minio_router.tenancy import current_tenant


class ByDataRegion(BucketStrategy):
    """Store a tenant's files on the server for the tenant's region.

    ``servers`` maps the values of the tenant's ``field`` to names in ``MINIO_SERVERS``::

        ByDataRegion({"EU": "frankfurt", "US": "ohio"}, field="region")

    The bucket there is named after the schema, or by the strategy ``tenants``. If a tenant's region is not
    mapped, its calls raise ``RoutingError``: a file stored in the wrong country cannot be taken back. If a
    tenant changes its region, its files stay on the old server; copy them first.
    """

    def __init__(
        self,
        servers: Mapping[str, str],
        *,
        field: str = "region",
        tenants: PerTenant | None = None,
        public_read: bool = False,
    ) -> None:
        self.servers = dict(servers)
        self.field = field
        self.tenants = tenants or PerTenant()
        self.public_read = public_read

    def bucket_for(self, model: type[Model] | None) -> Location:
        bucket = self.tenants.bucket_for(model)  # raises TenantRequired
        tenant = current_tenant()
        region = getattr(tenant, self.field)
        if region not in self.servers:
            raise RoutingError(
                f"The tenant {tenant.schema_name!r} is in the region {region!r}, for which {self!r} "
                "has no server. Add it to the mapping."
            )
        return Location(bucket, server=self.servers[region])

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[Location]:
        return [self.bucket_for(None)]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        yield from self.tenants.check(models)
        for server in sorted(set(self.servers.values()) - set(getattr(settings, "MINIO_SERVERS", {}))):
            yield Error(
                f"{self!r} names the server {server!r}, which is not in MINIO_SERVERS.",
                hint="Add it there, or correct the name.",
                id="by_data_region.E001",
            )
