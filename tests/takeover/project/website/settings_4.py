"""The settings as 4.x has them."""

from datetime import timedelta

from website.base import *  # noqa: F403
from website.base import DJANGO_APPS, SERVER

INSTALLED_APPS = [*DJANGO_APPS, "django_minio_backend.apps.DjangoMinioBackendConfig"]

STORAGES = {
    "default": {
        "BACKEND": "django_minio_backend.models.MinioBackend",
        "OPTIONS": {
            **SERVER,
            "MINIO_URL_EXPIRY_HOURS": timedelta(days=1),
            "MINIO_PRIVATE_BUCKETS": ["takeover-private", "takeover-media"],
            "MINIO_PUBLIC_BUCKETS": ["takeover-public"],
            "MINIO_DEFAULT_BUCKET": "takeover-media",
            "MINIO_MULTIPART_UPLOAD": True,
        },
    },
    "staticfiles": {
        "BACKEND": "django_minio_backend.models.MinioBackendStatic",
        "OPTIONS": {**SERVER, "MINIO_STATIC_FILES_BUCKET": "takeover-static"},
    },
}
MINIO_URL_CACHING_ENABLED = True
