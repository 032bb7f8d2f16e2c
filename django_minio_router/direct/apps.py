from __future__ import annotations

from django.apps import AppConfig


class DirectUploadConfig(AppConfig):
    name = "django_minio_router.direct"
    label = "minio_router_direct"
    verbose_name = "MinIO router: direct upload"

    def ready(self) -> None:
        from . import checks

        checks.register()
