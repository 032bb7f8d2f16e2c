"""A bucket for each tenant of django-tenants."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage
from django.utils.deconstruct import deconstructible

from .. import messages, tenancy
from ..exceptions import ConfigurationError, RoutingError, TenantRequired
from ..naming import bucket_name_problem, bucket_template
from .base import BucketStrategy

if TYPE_CHECKING:
    from django.db.models import Model


@deconstructible(path="django_minio_router.strategies.PerTenant")
class PerTenant(BucketStrategy):
    """The bucket of the active tenant; ``TenantRequired`` where there is none, public schema included.

    ``template`` may hold ``{schema_name}`` and other fields of the tenant; different values always give
    different, valid names. ``field`` takes the name from a field of the tenant row instead, ``function``
    from a callable of that row. A stored name or a template over ``{id}`` survives a rename of the schema.
    ``public`` names a bucket for the public schema, which is also what a thread without a tenant is on.
    """

    def __init__(
        self,
        template: str | None = None,
        *,
        field: str | None = None,
        function: Callable[[Any], str] | None = None,
        public: str | None = None,
        public_read: bool = False,
    ) -> None:
        if sum(source is not None for source in (template, field, function)) > 1:
            raise ConfigurationError("PerTenant takes one of template, field and function.")
        self.field = field
        self.function = function
        self.template = None if field or function else template or "{schema_name}"
        self.public = public
        self.public_read = public_read
        if self.template is not None:
            bucket_template(self.template)

    def bucket_for(self, model: type[Model] | None) -> str:
        schema_name = tenancy.current_schema()
        if schema_name is None:
            return self._public_bucket()
        if self.template is not None:
            return self._from_template(self.template, schema_name)
        tenant = tenancy.current_tenant()
        if self.function is not None:
            return self.function(tenant)
        return str(_value(tenant, str(self.field)))

    def _public_bucket(self) -> str:
        if self.public is None:
            raise TenantRequired(
                "No tenant is active, so there is no bucket for this call. Enter "
                "tenant_context(tenant), or give PerTenant(public=...) a bucket."
            )
        return self.public

    @staticmethod
    def _from_template(template: str, schema_name: str) -> str:
        parsed = bucket_template(template)
        if parsed.fields == ("schema_name",):
            return parsed.render({"schema_name": schema_name})
        tenant = tenancy.current_tenant()
        return parsed.render({field: _value(tenant, field) for field in parsed.fields})

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        return [self.bucket_for(None)]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        if not tenancy.is_installed():
            yield messages.no_django_tenants(self)
        elif tenancy.database_problem():
            yield messages.no_tenant_database(self, str(tenancy.database_problem()))
        if self.public is not None and bucket_name_problem(self.public):
            yield messages.invalid_bucket(self.public, self)


def _value(tenant: Any, field: str) -> object:
    """Return a field of the tenant row; an empty one would be the same for many tenants."""
    try:
        value = getattr(tenant, field)
    except AttributeError:
        raise ConfigurationError(
            f"PerTenant uses the field {field!r}, which {type(tenant).__name__} does not have."
        ) from None
    if value is None or value == "":
        raise RoutingError(
            f"PerTenant uses the field {field!r}, which is empty for the tenant "
            f"{tenant.schema_name!r}. Give it a value."
        )
    return value
