"""A Django storage that sends every file to the right bucket."""

from .dates import get_iso_date, iso_date_prefix
from .exceptions import (
    BucketNotFound,
    ConfigurationError,
    InvalidBucketName,
    ModelRequired,
    PrivatePublicMixedError,
    RoutingError,
    ServerError,
    TenantRequired,
)
from .s3.status import MinioServerStatus
from .storage.backend import MinioBackend
from .storage.fields import BucketFileField, BucketImageField
from .storage.router import MinioRouter
from .storage.static import MinioBackendStatic
from .tenancy import tenant_bucket_context

__all__ = [
    "BucketFileField",
    "BucketImageField",
    "BucketNotFound",
    "ConfigurationError",
    "InvalidBucketName",
    "MinioBackend",
    "MinioBackendStatic",
    "MinioRouter",
    "MinioServerStatus",
    "ModelRequired",
    "PrivatePublicMixedError",
    "RoutingError",
    "ServerError",
    "TenantRequired",
    "get_iso_date",
    "iso_date_prefix",
    "tenant_bucket_context",
]
