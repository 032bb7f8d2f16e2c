from __future__ import annotations

import uuid
from pathlib import PurePath
from typing import Any

from django.db import models

from django_minio_router import MinioRouter
from django_minio_router.strategies import FixedBucket, PerTenant

# One storage for all tenants and both models: each call goes to the active tenant's bucket.
tenant_files = MinioRouter(strategy=PerTenant("demo-{schema_name}"))

# All letters were in one bucket. Those that `manage.py move_objects` has not moved yet are read from it.
archive = FixedBucket("demo-archive", public_read=False)
moving_files = MinioRouter(strategy=PerTenant("demo-{schema_name}"), fallback=archive)


class StoredFile(models.Model):
    """A file of a tenant. Each kind brings its own `file` field."""

    # Sequential ids start at 1 for each tenant, so different tenants would have the same URLs.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=100)
    filename = models.CharField("the file's name where it came from", max_length=255, editable=False)
    size = models.PositiveBigIntegerField("bytes", editable=False)
    added = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ["-added"]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, **kwargs: Any) -> None:
        # Stored in the row, so that a page with a hundred files sends no request to the S3 server.
        if self._state.adding:
            self.filename, self.size = PurePath(self.file.name).name, self.file.size
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the row and then the file: a row without a file would be a broken page."""
        deleted = super().delete(*args, **kwargs)
        self.file.delete(save=False)
        return deleted

    @property
    def bucket(self) -> str:
        return self.file.storage.backend.bucket

    @property
    def extension(self) -> str:
        return PurePath(self.filename).suffix.lstrip(".")[:4] or "file"


class Document(StoredFile):
    file = models.FileField(storage=tenant_files, upload_to="documents/")


class Album(models.Model):
    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.title


class Photo(StoredFile):
    album = models.ForeignKey(Album, models.SET_NULL, null=True, blank=True, related_name="photos")
    file = models.ImageField(
        storage=tenant_files, upload_to="photos/", width_field="width", height_field="height"
    )
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)


class Letter(StoredFile):
    file = models.FileField(storage=moving_files, upload_to="letters/")
