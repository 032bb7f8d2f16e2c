"""A project with one bucket for each tenant, for `scale.py`."""

from __future__ import annotations

from tests.support.settings import *  # noqa: F403

SHARED_APPS = [
    "django_tenants",
    "django_minio_router",
    "django_tasks_db",
    "django.contrib.contenttypes",
    "tests.apps.customers",
]
TENANT_APPS = ["django.contrib.contenttypes", "tests.apps.docs"]
INSTALLED_APPS = [*SHARED_APPS, "tests.apps.docs"]
STORAGES = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
MINIO_PRIVATE_BUCKETS: list[str] = []
