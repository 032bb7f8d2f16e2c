"""The errors, by what must be fixed: the settings, the routing, or the server."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


class ConfigurationError(ImproperlyConfigured):
    """A setting or a storage option is missing or wrong; the message names it and the remedy."""


class PrivatePublicMixedError(ConfigurationError):
    """A bucket is declared both private and public."""


class RoutingError(Exception):
    """There is no bucket for this call, so nothing was done.

    Derives only from ``Exception``: Django and other code swallow ``OSError``, ``ValueError`` and
    ``AttributeError`` around storages, and a routing mistake must be visible. ``field`` is the label of the
    file field whose storage was used, such as ``"contracts.Contract.file"``; empty outside fields.
    """

    field: str = ""

    def __str__(self) -> str:
        return f"{super().__str__()} (The field is {self.field}.)" if self.field else super().__str__()


class TenantRequired(RoutingError):
    """The strategy needs a tenant, and none is active."""


class ModelRequired(RoutingError):
    """The strategy needs a model, and the storage is not bound to one."""


class BucketTaken(RoutingError):
    """The strategy gave the active tenant a bucket that holds other files, so the call is refused."""


class InvalidBucketName(RoutingError):
    """A strategy or a setting gave a name that breaks the S3 naming rules."""


class ServerError(OSError):
    """The server could not be reached, or refused the request.

    ``status`` is the HTTP status and ``code`` the S3 error code; both are empty if there was no response.
    """

    def __init__(self, message: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class BucketNotFound(ServerError):
    """The bucket does not exist on the server."""
