"""A Django storage that routes every file to the right bucket."""

from importlib import import_module
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from .storage.responses import ObjectResponse
    from .views import ObjectView

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
    "ObjectResponse",
    "ObjectView",
    "PrivatePublicMixedError",
    "RoutingError",
    "ServerError",
    "TenantRequired",
    "get_iso_date",
    "iso_date_prefix",
    "tenant_bucket_context",
]

# Imported on first use: storing files needs no views and forms, and models may not be loaded yet.
_LATE = {"ObjectResponse": "storage.responses", "ObjectView": "views"}


def __getattr__(name: str) -> object:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
