"""A django-tenants project on the servers that the environment names; see `tests/support/plugin.py`."""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, unquote, urlsplit

database = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "HOST": database.hostname,
        "PORT": database.port or "",
        "USER": unquote(database.username or ""),
        "PASSWORD": unquote(database.password or ""),
        "NAME": unquote(database.path.lstrip("/")),
        "OPTIONS": dict(parse_qsl(database.query)),
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TENANT_MODEL = "customers.Client"
TENANT_DOMAIN_MODEL = "customers.Domain"
SHARED_APPS = [
    "django_tenants",
    "django_minio_router",
    "django_tasks_db",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "easy_thumbnails",
    "tests.apps.customers",
    "tests.apps.everywhere",
    "tests.apps.in_public",
    "tests.apps.brands",
    "tests.apps.orgs",
]
TENANT_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "tests.apps.docs",
    "tests.apps.everywhere",
    "tests.apps.per_tenant",
]
INSTALLED_APPS = [*SHARED_APPS, *(app for app in TENANT_APPS if app not in SHARED_APPS)]
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
MINIO_USE_HTTPS = os.environ["MINIO_USE_HTTPS"] == "1"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default", "slow"]}}

ALLOWED_HOSTS = ["*"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MINIO_TESTING = "real"  # see tests/conftest.py
SECRET_KEY = "only for tests"
SILENCED_SYSTEM_CHECKS = [
    "minio_router.E015",  # fields side by side with PerTenant() and with templates
    "minio_router.W006",  # thumbnails are made on the public schema alone
]
STATIC_URL = "static/"
USE_TZ = True
