"""The settings of a suite, whose default storage is the one that $SUITE_STORAGE names."""

from __future__ import annotations

import os
from importlib import import_module

suite = import_module(os.environ["SUITE_SETTINGS"])
globals().update({name: value for name, value in vars(suite).items() if name.isupper()})

ON_DISK = "django.core.files.storage.FileSystemStorage"
OURS = {"BACKEND": "tools.suites.storages.Chosen"}
STORAGES = {
    alias: OURS if storage["BACKEND"] == ON_DISK else storage
    for alias, storage in {"default": {"BACKEND": ON_DISK}, **getattr(suite, "STORAGES", {})}.items()
}
INSTALLED_APPS = [*suite.INSTALLED_APPS, "django_minio_router", "tools.suites"]
MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
MINIO_USE_HTTPS = False
MINIO_TESTING = "prefix"
if os.environ["SUITE_STORAGE"] == "PerTenant":
    MINIO_TENANCY = {
        "BACKEND": "django_minio_router.tenancy.RowTenancy",
        "OPTIONS": {"model": "suites.Tenant", "key": "slug", "current": "tools.suites.apps.active_tenant"},
    }
