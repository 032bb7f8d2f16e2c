"""A folder for each tenant in one shared bucket, for servers with few buckets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Model
from django.utils.deconstruct import deconstructible

from ..exceptions import RoutingError
from ..messages import invalid_bucket
from .base import Location
from .tenant import NamedByTenant


@deconstructible(path="django_minio_router.strategies.PerTenantPrefix")
class PerTenantPrefix(NamedByTenant):
    """The folder of the active tenant in ``bucket``; ``TenantRequired`` if no tenant is active.

    The folder is named like a bucket of ``PerTenant``, from ``template``, ``field`` or ``function``, so
    different tenants have different folders; ``public`` names one for the public schema. No call leaves the
    folder, including listings. A policy of the bucket, or a key, applies to all tenants.
    """

    def __init__(
        self,
        bucket: str,
        template: str | None = None,
        *,
        field: str | None = None,
        function: Callable[[Any], str] | None = None,
        public: str | None = None,
        public_read: bool = False,
    ) -> None:
        super().__init__(template, field=field, function=function, public=public, public_read=public_read)
        self.bucket = bucket

    def bucket_for(self, model: type[Model] | None) -> Location:
        folder = self._name()
        if "/" in folder:
            raise RoutingError(
                f"{self!r} gave the folder {folder!r}, but the tenant of an outer folder can reach the "
                "folders within it. Return names without '/'."
            )
        return Location(self.bucket, prefix=f"{folder}/")

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        return [self.bucket]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        yield from super().check(models)
        yield from invalid_bucket(self.bucket, self)
