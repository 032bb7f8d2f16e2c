"""One bucket for all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from django.core.checks import CheckMessage
from django.utils.deconstruct import deconstructible

from ..messages import invalid_bucket
from ..naming import bucket_name_problem
from .base import BucketStrategy

if TYPE_CHECKING:
    from django.db.models import Model


@deconstructible(path="django_minio_router.strategies.FixedBucket")
class FixedBucket(BucketStrategy):
    """Every file goes to ``name``. Public or private as the settings declare, unless ``public_read`` says."""

    def __init__(self, name: str, *, public_read: bool | None = None) -> None:
        self.name = name
        self.public_read = public_read

    def bucket_for(self, model: type[Model] | None) -> str:
        return self.name

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
        return [self.name]

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        if bucket_name_problem(self.name):
            yield invalid_bucket(self.name, self)


def is_single(strategy: BucketStrategy) -> bool:
    """Tell a bucket that stands for itself, as in ``django-minio-backend``, from those of a strategy.

    The one has the defaults of that package; the others are not listed, and what may run is downloaded.
    """
    return isinstance(strategy, FixedBucket) and strategy.public_read is None
