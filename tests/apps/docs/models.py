"""The tenants' models: each way in which a field can come by a router."""

from __future__ import annotations

from django.core.files.storage import Storage
from django.db import models

from django_minio_router import MinioBackend, MinioRouter, iso_date_prefix
from django_minio_router.strategies import PerModel, PerTenant

shared = MinioRouter(
    strategy=PerModel({"docs.Invoice": "test-docs-invoices"}, template="test-{app_label}-{model_name}")
)


def chosen_storage() -> Storage:
    return MinioRouter(strategy=PerModel({"docs.Report": "test-docs-reports"}))


class Contract(models.Model):
    file = models.FileField(storage=MinioRouter(strategy=PerTenant()))


class Photo(models.Model):
    image = models.ImageField(
        storage=MinioRouter(strategy=PerTenant()), width_field="width", height_field="height"
    )
    width = models.PositiveIntegerField(default=0, editable=False)
    height = models.PositiveIntegerField(default=0, editable=False)


class Invoice(models.Model):
    file = models.FileField(storage=shared)
    scan = models.FileField(storage=shared, blank=True)


class Receipt(models.Model):
    file = models.FileField(storage=shared)


class InvoiceProxy(Invoice):
    class Meta:
        proxy = True


class PaidInvoice(Invoice):
    proof = models.FileField(storage=shared)


class Correspondence(models.Model):
    file = models.FileField(storage=shared)

    class Meta:
        abstract = True


class Letter(Correspondence):
    pass


class Fax(Correspondence):
    pass


class Report(models.Model):
    file = models.FileField(storage=chosen_storage)


class Note(models.Model):
    file = models.FileField(upload_to=iso_date_prefix)


class Logo(models.Model):
    file = models.FileField(storage=MinioBackend("test-docs-logos", public=True))
