from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string

from django_minio_router import BucketFileField, MinioRouter
from django_minio_router.strategies import PerTenant

treaties = MinioRouter(strategy=PerTenant("treaties-{schema_name}"))
TenantModel: Any = import_string(settings.MODEL_OF_TENANTS)


class Customer(TenantModel):
    name = models.CharField(max_length=50, blank=True)


class Treaty(models.Model):
    """A row for all to see, which says whose it is."""

    customer = models.ForeignKey(Customer, models.CASCADE)
    file = BucketFileField(
        owner="customer", storage=MinioRouter(strategy=PerTenant("treaties-{schema_name}"))
    )
