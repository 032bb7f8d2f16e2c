"""Models that have a table in public and in each tenant's schema. Tests give the fields a storage."""

from __future__ import annotations

from django.core.files.storage import InMemoryStorage
from django.db import models


class Paper(models.Model):
    file = models.FileField(storage=InMemoryStorage(), max_length=255, blank=True)
    scan = models.FileField(storage=InMemoryStorage(), max_length=255, blank=True, null=True)

    def __str__(self) -> str:
        return self.file.name
