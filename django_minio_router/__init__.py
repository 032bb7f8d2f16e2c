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
from .fields import BucketFileField, BucketImageField
from .router import MinioRouter
from .s3.status import MinioServerStatus
from .static import MinioBackendStatic
from .tenancy import tenant_bucket_context

__all__ = [
    "BucketFileField",
    "BucketImageField",
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
    "tenant_bucket_context",
]
