from __future__ import annotations

from django.db import models


class Tenant(models.Model):
    slug = models.SlugField(unique=True)

    def __str__(self) -> str:
        return self.slug
