"""A bucket for each tenant and kind of file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from django.core.checks import CheckMessage, Error
from django.db.models import Model

from django_minio_router import ConfigurationError, ModelRequired
from django_minio_router.strategies import BucketStrategy, PerTenant


class TenantAndModel(BucketStrategy):
    """Send the files of the tenant ``acme`` to ``invoices-acme``, ``photos-acme``, … by the field's model.

    ``kinds`` maps model labels to kinds, such as ``{"docs.Invoice": "invoices"}``; models may share a kind.
    With a bucket per kind, the server can treat kinds differently: keep invoices for ten years, delete
    thumbnails after a month. A model that is not mapped does not have a bucket, and ``check`` reports it.

    A kind may only contain a-z and 0-9: with a ``-``, the kind ``a-b`` of the tenant ``c`` and the kind
    ``a`` of the tenant ``b-c`` would share a bucket.
    """

    def __init__(self, kinds: Mapping[str, str], *, public_read: bool = False) -> None:
        for kind in kinds.values():
            if not re.fullmatch("[a-z0-9]{1,20}", kind):
                raise ConfigurationError(
                    f"TenantAndModel cannot use the kind {kind!r}. Use 1 to 20 characters from a-z and 0-9."
                )
        self.tenants = {label.lower(): PerTenant(f"{kind}-{{schema_name}}") for label, kind in kinds.items()}
        self.public_read = public_read

    def bucket_for(self, model: type[Model] | None) -> str:
        tenants = None if model is None else self.tenants.get(model._meta.label.lower())
        if tenants is None:
            raise ModelRequired(f"{self!r} has no bucket for {model and model._meta.label}. Map the model.")
        return tenants.bucket_for(model)  # raises TenantRequired

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        return [tenants.bucket_for(None) for tenants in self.tenants.values()]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        yield from PerTenant().check(models)
        for model in models:
            if model._meta.label.lower() not in self.tenants:
                yield Error(
                    f"{self!r} has no bucket for {model._meta.label}.",
                    hint="Map the model to a kind.",
                    id="tenant_and_model.E001",
                )
