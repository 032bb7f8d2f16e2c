"""Models whose only table is in public. Tests give the fields a storage."""

from __future__ import annotations

from django.core.files.storage import InMemoryStorage
from django.db import models


class Notice(models.Model):
    file = models.FileField(storage=InMemoryStorage(), max_length=255, blank=True)

    def __str__(self) -> str:
        return self.file.name
