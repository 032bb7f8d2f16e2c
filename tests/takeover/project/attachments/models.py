"""One model with a public and a private attachment, an image, and a file in the default storage."""

from django.db import models
from django_minio_backend import MinioBackend, iso_date_prefix


def get_private_storage():
    return MinioBackend(bucket_name="takeover-private", storage_name="default")


class Attachment(models.Model):
    title = models.CharField(max_length=100)
    public = models.FileField(
        storage=MinioBackend(bucket_name="takeover-public"), upload_to=iso_date_prefix, blank=True
    )
    private = models.FileField(
        storage=MinioBackend(bucket_name="takeover-private"), upload_to=iso_date_prefix, blank=True
    )
    lazy = models.FileField(storage=get_private_storage, upload_to="lazy", blank=True)
    image = models.ImageField(
        storage=MinioBackend(bucket_name="takeover-public", replace_existing=True),
        upload_to="images",
        width_field="width",
        height_field="height",
        blank=True,
    )
    width = models.PositiveIntegerField(null=True, editable=False)
    height = models.PositiveIntegerField(null=True, editable=False)
    plain = models.FileField(upload_to="plain", blank=True)

    def __str__(self):
        return self.title
