"""The storage names of ``django_minio_backend.models``, so that settings and migrations keep working.

There are no database models in this package.
"""

from .dates import get_iso_date, iso_date_prefix
from .storage.backend import MinioBackend
from .storage.router import MinioRouter
from .storage.static import MinioBackendStatic

__all__ = ["MinioBackend", "MinioBackendStatic", "MinioRouter", "get_iso_date", "iso_date_prefix"]
