"""The storage names of ``django_minio_backend.models``, so that settings and migrations keep working.

There are no database models in this package.
"""

from .backend import MinioBackend
from .dates import get_iso_date, iso_date_prefix
from .router import MinioRouter
from .static import MinioBackendStatic

__all__ = ["MinioBackend", "MinioBackendStatic", "MinioRouter", "get_iso_date", "iso_date_prefix"]
