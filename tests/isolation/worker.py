"""What Celery runs for tenants, with files as its broker: as it comes, or with tenant-schemas-celery."""

from __future__ import annotations

import os
from pathlib import Path

import django
from celery import Celery
from django.core.files.base import ContentFile
from tenant_schemas_celery.app import CeleryApp

from django_minio_router import RoutingError, tenant_bucket_context

from .site import router

django.setup()

folder = Path(os.environ["CELERY_FOLDER"])
kind = CeleryApp if os.environ["CELERY_KNOWS_TENANTS"] else Celery
app = kind(
    "isolation",
    broker="filesystem://",
    backend=f"file://{folder / 'results'}",
    broker_transport_options={
        "data_folder_in": str(folder / "tasks"),
        "data_folder_out": str(folder / "tasks"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    },
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


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
