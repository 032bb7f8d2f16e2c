"""Models on the public schema whose files belong to a tenant."""

from __future__ import annotations

from typing import Any

from django.db import models

from django_minio_router import BucketFileField, BucketImageField, MinioRouter
from django_minio_router.strategies import PerTenant

router = MinioRouter(strategy=PerTenant("test-brands-{schema_name}"))


def company_of(row: models.Model) -> Any:
    return row.brand.company


class Brand(models.Model):
    company = models.ForeignKey("customers.Client", models.CASCADE, null=True)
    logo = BucketImageField(
        owner="company", storage=router, width_field="width", height_field="height", blank=True
    )
    width = models.PositiveIntegerField(default=0, editable=False)
    height = models.PositiveIntegerField(default=0, editable=False)


class Font(models.Model):
    brand = models.ForeignKey(Brand, models.CASCADE)
    file = BucketFileField(owner="brand.company", storage=router)
    licence = BucketFileField(owner=company_of, storage=router, blank=True)


class Seal(models.Model):
    """Stands for a tenant row that holds a file itself: it has a schema name."""

    schema_name = models.CharField(max_length=63)
    file = BucketFileField(owner="self", storage=router)
