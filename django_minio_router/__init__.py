"""A Django storage that sends every file to the right bucket."""

from .backend import MinioBackend
from .dates import get_iso_date, iso_date_prefix
from .exceptions import (
    ConfigurationError,
    InvalidBucketName,
    ModelRequired,
    PrivatePublicMixedError,
    RoutingError,
    TenantRequired,
)
from .router import MinioRouter
from .static import MinioBackendStatic
from .status import MinioServerStatus

__all__ = [
    "ConfigurationError",
    "InvalidBucketName",
    "MinioBackend",
    "MinioBackendStatic",
    "MinioRouter",
    "MinioServerStatus",
    "ModelRequired",
    "PrivatePublicMixedError",
    "RoutingError",
    "TenantRequired",
    "get_iso_date",
    "iso_date_prefix",
]
