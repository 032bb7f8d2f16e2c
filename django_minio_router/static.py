"""``MinioBackendStatic``: static files in a bucket that anybody may read."""

from __future__ import annotations

from typing import Any

from django.core.files import File

from .backend import MinioBackend
from .conf import Config


class MinioBackendStatic(MinioBackend):
    """Store static files in ``MINIO_STATIC_FILES_BUCKET``, with plain links unless it is declared private.

    Before the first file of a process is stored, the bucket is created if it is missing and made public.
    """

    def __init__(self, bucket_name: str = "", storage_name: str = "staticfiles", **options: Any) -> None:
        super().__init__(bucket_name, storage_name, **options)
        self._prepared = False

    def _save(self, name: str, content: File[Any]) -> str:
        if not self._prepared:
            self.check_bucket_existence()
            self._prepared = True
        return super()._save(name, content)

    def _default_bucket(self, config: Config) -> str:
        return config.static_bucket

    def _declared_public(self, config: Config, bucket: str) -> bool:
        return bucket not in config.declared[0]
