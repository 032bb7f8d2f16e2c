"""Strategies decide which bucket a call goes to. Write your own on ``BucketStrategy``."""

from .base import BucketStrategy, Location
from .fixed import FixedBucket
from .model import PerModel
from .prefix import PerTenantPrefix
from .tenant import PerTenant

__all__ = ["BucketStrategy", "FixedBucket", "Location", "PerModel", "PerTenant", "PerTenantPrefix"]
