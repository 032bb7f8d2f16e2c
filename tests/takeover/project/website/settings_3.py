"""The settings as 3.x has them."""

from datetime import timedelta

import django

from website.base import *  # noqa: F403
from website.base import DJANGO_APPS, SERVER

INSTALLED_APPS = [*DJANGO_APPS, "django_minio_backend"]

globals().update(SERVER)
MINIO_URL_EXPIRY_HOURS = timedelta(days=1)
MINIO_PRIVATE_BUCKETS = ["takeover-private", "takeover-media"]
MINIO_PUBLIC_BUCKETS = ["takeover-public", "takeover-static"]
MINIO_MEDIA_FILES_BUCKET = "takeover-media"
MINIO_STATIC_FILES_BUCKET = "takeover-static"

STATICFILES_STORAGE = "django_minio_backend.models.MinioBackendStatic"
if django.VERSION < (5, 1):
    DEFAULT_FILE_STORAGE = "django_minio_backend.models.MinioBackend"
else:
    STORAGES = {
        "default": {"BACKEND": "django_minio_backend.models.MinioBackend"},
        "staticfiles": {"BACKEND": "django_minio_backend.models.MinioBackendStatic"},
    }
