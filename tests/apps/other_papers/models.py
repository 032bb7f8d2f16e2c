from __future__ import annotations

from django.db import models

from django_minio_router import MinioRouter
from django_minio_router.strategies import PerTenant, PerTenantPrefix


class Paper(models.Model):
    file = models.FileField(storage=MinioRouter(strategy=PerTenant("papers-{schema_name}")))


class Scan(models.Model):
    file = models.FileField(storage=MinioRouter(strategy=PerTenantPrefix("scans", "t-{id}")))
