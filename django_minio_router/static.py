"""The path that ``STORAGES`` names for static files; see ``storage.static``."""

from .storage.static import MinioBackendStatic, MinioManifestStaticStorage

__all__ = ["MinioBackendStatic", "MinioManifestStaticStorage"]
