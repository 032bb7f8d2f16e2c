"""What Celery runs for tenants, with files as its broker: as it comes, or with tenant-schemas-celery."""

from __future__ import annotations

import os
from pathlib import Path

import django
from celery import Celery
from django.core.files.base import ContentFile
from tenant_schemas_celery.app import CeleryApp

from django_minio_router import RoutingError, tenant_bucket_context
from tests.support.celery_in_files import options

from .site import router

django.setup()

kind = CeleryApp if os.environ["CELERY_KNOWS_TENANTS"] else Celery
app = kind("isolation", **options(Path(os.environ["CELERY_FOLDER"])))


@app.task
def store(name: str, content: str) -> str:
    """Return the name, or which error kept it from being stored."""
    try:
        return router.save(name, ContentFile(content.encode()))
    except RoutingError as error:
        return type(error).__name__


@app.task
def store_for(schema_name: str, name: str, content: str) -> str:
    with tenant_bucket_context(schema_name):
        return store(name, content)
