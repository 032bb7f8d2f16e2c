"""Settings of the example. Servers and keys come from the environment; see README.md."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.management.utils import get_random_secret_key

from django_minio_router.hooks import cors, expire_incoming

BASE_DIR = Path(__file__).resolve().parent
DEBUG = os.environ.get("DEBUG") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()
ALLOWED_HOSTS = [".localhost", "127.0.0.1", "[::1]"]

# The S3 server

MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
MINIO_USE_HTTPS = os.environ.get("MINIO_USE_HTTPS") == "1"
MINIO_REGION = os.environ.get("MINIO_REGION", "us-east-1")
MINIO_MULTIPART_PART_SIZE = int(os.environ.get("MINIO_MULTIPART_PART_SIZE") or 8 * 1024**2)
MINIO_URL_EXPIRY_HOURS = timedelta(hours=1)
# The sites have no log-in, so every visitor of a tenant's site may upload.
MINIO_DIRECT_UPLOAD = {"PERMISSION": lambda request, field: True}
# MinIO lets scripts of all sites store and has no CORS of a bucket, which is a warning there.
MINIO_BUCKET_HOOKS = [cors(["*"], methods=["GET", "HEAD", "PUT"]), expire_incoming()]

# The database: one schema for each tenant

database = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "HOST": database.hostname or "",
        "PORT": database.port or "",
        "USER": unquote(database.username or ""),
        "PASSWORD": unquote(database.password or ""),
        "NAME": unquote(database.path.lstrip("/")),
        "OPTIONS": dict(parse_qsl(database.query)),  # such as ?sslmode=require
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The tenants: http://<tenant>.localhost/ is a tenant's site, any other host shows the list of them

TENANT_MODEL = "customers.Client"
TENANT_DOMAIN_MODEL = "customers.Domain"
SHARED_APPS = [
    "django_tenants",
    "django_minio_router",
    "django_minio_router.direct",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "examples.multi_tenant.customers",
]
TENANT_APPS = ["examples.multi_tenant.library"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
ROOT_URLCONF = "examples.multi_tenant.library.urls"
PUBLIC_SCHEMA_URLCONF = "examples.multi_tenant.customers.urls"
SHOW_PUBLIC_IF_NO_TENANT_FOUND = True

# The pages

MIDDLEWARE = [
    "django_tenants.middleware.main.TenantMainMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "examples.multi_tenant.library.middleware.ContentPolicyMiddleware",
    "examples.multi_tenant.library.middleware.ServerErrorMiddleware",
]
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "examples.multi_tenant.customers.context_processors.sites",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
LANGUAGE_CODE = "en-gb"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
}
