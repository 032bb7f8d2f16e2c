"""Tenants that are rows, and rows of theirs in tables for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.core.files.storage import InMemoryStorage
from django.db import models

from django_minio_router import BucketFileField, BucketImageField

elsewhere = InMemoryStorage()  # a test gives the fields a router


class Organization(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=50, blank=True)
    charter = BucketFileField(owner="self", storage=elsewhere, blank=True)

    def __str__(self) -> str:
        return self.slug


class Partner(Organization):
    """A tenant by another name."""

    class Meta:
        proxy = True


def organization_of(row: models.Model) -> Any:
    return row.organization


class Document(models.Model):
    organization = models.ForeignKey(Organization, models.CASCADE, null=True)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    title = models.CharField(max_length=50, blank=True)
    file = BucketFileField(owner="organization", storage=elsewhere)
    scan = BucketFileField(owner=organization_of, storage=elsewhere, blank=True)
    receipt = BucketFileField(owner="uploaded_by", storage=elsewhere, blank=True)


class Page(models.Model):
    document = models.ForeignKey(Document, models.CASCADE)
    image = BucketImageField(owner="document.organization", storage=elsewhere)


class Note(models.Model):
    """Whose a row is, it does not say."""

    file = models.FileField(storage=elsewhere)


_current: ContextVar[Any] = ContextVar("organization", default=None)


def current() -> Any:
    """Return what was entered with ``organization``: a row, a key, or whatever a project may get wrong."""
    said = _current.get()
    if isinstance(said, Exception):
        raise said
    return said


@contextmanager
def organization(said: Any) -> Iterator[None]:
    token = _current.set(said)
    try:
        yield
    finally:
        _current.reset(token)
