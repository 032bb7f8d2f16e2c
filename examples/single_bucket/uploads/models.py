from django.db import models

from django_minio_router import iso_date_prefix


class Upload(models.Model):
    file = models.FileField(upload_to=iso_date_prefix)

    def __str__(self) -> str:
        return self.file.name
