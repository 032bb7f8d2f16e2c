from __future__ import annotations

from django.conf import settings
from django.db import models

from django_minio_router import BucketFileField, MinioRouter
from django_minio_router.strategies import PerTenant


class Organization(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE)
    organization = models.ForeignKey(Organization, models.CASCADE)

    def __str__(self) -> str:
        return f"{self.user} of {self.organization}"


class Document(models.Model):
    organization = models.ForeignKey(Organization, models.PROTECT, editable=False)
    file = BucketFileField(owner="organization", storage=MinioRouter(strategy=PerTenant("orgs-{slug}")))

    def __str__(self) -> str:
        return str(self.file)
