"""A router of each kind, as a project makes it. Importing this sends nothing."""

from __future__ import annotations

from django.contrib.contenttypes.models import ContentType

from django_minio_router import MinioRouter
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant

KINDS = ("fixed", "per tenant", "per model")


def make_router(kind: str, bucket: str) -> MinioRouter:
    """Return a router that sends the calls for the tenant of the bucket's name, and for any model, there."""
    strategies = {
        "fixed": FixedBucket(bucket, public_read=False),
        "per tenant": PerTenant(),
        "per model": PerModel({"contenttypes.ContentType": bucket}),
    }
    return MinioRouter(strategy=strategies[kind]).bind(ContentType._meta.get_field("model"))
