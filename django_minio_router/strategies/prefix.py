"""A folder for each tenant in one shared bucket, where buckets are scarce."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage
from django.utils.deconstruct import deconstructible

from .. import messages
from ..naming import bucket_name_problem
from .base import Location
from .tenant import PerTenant

if TYPE_CHECKING:
    from django.db.models import Model


@deconstructible(path="django_minio_router.strategies.PerTenantPrefix")
class PerTenantPrefix(PerTenant):
    """The folder of the active tenant in ``bucket``; ``TenantRequired`` where there is none.

    The folder is named as ``PerTenant`` names a bucket, from ``template``, ``field`` or ``function``, so
    different tenants have different ones, and ``public`` names one for the public schema. No call leaves
    the folder, listings included; what a policy or a key of the bucket allows holds for all tenants.
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
        return Location(self.bucket, prefix=f"{self._name()}/")

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str | Location]:
        return [self.bucket]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        yield from super().check(models)
        if bucket_name_problem(self.bucket):
            yield messages.invalid_bucket(self.bucket, self)
