"""One bucket for all files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Model
from django.utils.deconstruct import deconstructible

from ..messages import invalid_bucket
from .base import BucketStrategy


@deconstructible(path="django_minio_router.strategies.FixedBucket")
class FixedBucket(BucketStrategy):
    """Send every file to ``name``. Public if ``public_read`` or the settings say so, else private."""

    varies_by_tenant = False

    def __init__(self, name: str, *, public_read: bool | None = None) -> None:
        self.name = name
        self.public_read = public_read

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Without ``public_read``, the flat defaults, as in django-minio-backend."""
        return {} if self.public_read is None else super().defaults

    def bucket_for(self, model: type[Model] | None) -> str:
        return self.name

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        return [self.name]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        return invalid_bucket(self.name, self)
