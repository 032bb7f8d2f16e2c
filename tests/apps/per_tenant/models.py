"""Models whose only table is in each tenant's schema. Tests give the fields a storage."""

from __future__ import annotations

from django.core.files.storage import InMemoryStorage
from django.db import models

from django_minio_router.storage.fields import BucketFileField
from tests.apps.customers.models import Client


class ShownReceipts(models.Manager):
    def get_queryset(self) -> models.QuerySet:
        return super().get_queryset().filter(hidden=False)


class Receipt(models.Model):
    file = models.FileField(storage=InMemoryStorage(), max_length=255, blank=True)
    scan = models.FileField(storage=InMemoryStorage(), max_length=255, blank=True, null=True)
    hidden = models.BooleanField(default=False)

    objects = ShownReceipts()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.file.name


def tenant_of(errand: Errand) -> Client:
    return Client.objects.get(schema_name=errand.for_tenant)


class Errand(models.Model):
    """A row of one tenant whose file belongs to another."""

    for_tenant = models.CharField(max_length=63)
    file = BucketFileField(owner=tenant_of, storage=InMemoryStorage())

    def __str__(self) -> str:
        return self.file.name
