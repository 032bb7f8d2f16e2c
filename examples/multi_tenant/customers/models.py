from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

from django_minio_router import MinioRouter
from django_minio_router.strategies import PerModel

# Everybody may see these, so they share a public bucket: plain links, which any cache can keep.
brand_images = MinioRouter(strategy=PerModel({"customers.Client": "demo-brands"}, public_read=True))


class Client(TenantMixin):
    """A tenant: its schema keeps the rows of its files, and a bucket of its own keeps the files."""

    name = models.CharField(max_length=100)
    logo = models.ImageField(storage=brand_images, upload_to="logos/")
    hue = models.PositiveSmallIntegerField("colour on the HSL wheel, in degrees", default=210)

    def __str__(self) -> str:
        return self.name


class Domain(DomainMixin):
    """The host name at which a tenant's site answers."""
