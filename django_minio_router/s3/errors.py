"""Error responses and connection failures, as the exceptions of this package."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import BucketNotFound, ConfigurationError, RoutingError, ServerError
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from ..settings.server import Server


class Permission(NamedTuple):
    """The permission that a request needs, in the terms of policies."""

    action: str
    resource: str


_BUCKET_SUBRESOURCES = {
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "object-lock": "BucketObjectLockConfiguration",
    "policy": "BucketPolicy",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
}
_LISTS = {
    "location": "GetBucketLocation",
    "uploads": "ListBucketMultipartUploads",
    "versions": "ListBucketVersions",
}
CHECK_KEYS = "Check MINIO_ACCESS_KEY and MINIO_SECRET_KEY."
CHECK_ADDRESS = "Check that it is running and that MINIO_ENDPOINT and MINIO_USE_HTTPS are correct."
NOT_BUCKETS = (404, 405, 501)  # answers to requests about buckets where there can be none
OUTCOME_UNKNOWN = (429, 500, 502, 503, 504)
_WHERE = re.compile(r"\A\w+\(host=[^)]*\): ")


def unreachable(server: Server, error: Exception) -> ServerError:
    return ServerError(
        f"No answer from the S3 server at {server.endpoint}: {cause_of(error)}. {CHECK_ADDRESS}"
    )


def place_of(bucket: str, name: str | None = None) -> str:
    """Return what a message calls the bucket, or the object in it."""
    return f"{bucket}/{name}" if name else bucket or "the list of buckets"


def not_s3(server: Server, place: str, problem: str, status: int | None = None) -> ServerError:
    """Return the error for a response that does not come from an S3 server."""
    return ServerError(
        f"The response from {server.endpoint} for {place!r} is not from an S3 server: {problem}. Check "
        "MINIO_ENDPOINT, and any proxy in front of it.",
        status=status,
    )


def is_outcome_unknown(error: ServerError) -> bool:
    """Return whether the outcome is unknown: there was no response, or it does not say."""
    cut_short = error.status == 404 and not error.code  # or a proxy's page
    return error.status is None or error.status in OUTCOME_UNKNOWN or cut_short


def bucket_not_found(server: Server, bucket: str) -> BucketNotFound:
    message = (
        f"The bucket {bucket!r} does not exist at {server.endpoint}. "
        f"Create it with '{creating_command(active_key())}'. {path_remedy(server)}"
    )
    return BucketNotFound(message.rstrip(), status=404, code="NoSuchBucket")


def path_remedy(server: Server) -> str:
    """Return the remedy for an endpoint that has a bucket as its path; empty without a path."""
    if not server.path:
        return ""
    return f"If {server.path!r} in MINIO_ENDPOINT is a bucket, remove it: the package adds the bucket."


def creating_command(key: str | None) -> str:
    """Return the command that creates the bucket. Without ``--tenant``, it skips the buckets of tenants."""
    return "manage.py initialize_buckets" + ("" if key is None else f" --tenant {key}")


def active_key() -> str | None:
    """Return the key of the active tenant; None if there is none, or if the project cannot tell."""
    with suppress(RoutingError, ConfigurationError):
        return get_tenancy().active_key()
    return None


def refused(
    server: Server,
    place: str,
    status: int | None,
    code: str,
    message: str,
    permission: Permission | None = None,
) -> ServerError:
    """Return the exception for an S3 error, with the remedy for its code."""
    answer = " ".join(str(part) for part in (status, code, message) if part).rstrip(".")
    parts = [f"The S3 server at {server.endpoint} refused {place!r}: {answer}."]
    parts += filter(None, [_remedy(server, status, code, permission)])
    return ServerError(" ".join(parts), status=status, code=code)


def _remedy(server: Server, status: int | None, code: str, permission: Permission | None) -> str:
    if code == "RequestTimeTooSkewed":
        return "Set the clock of this machine, or of the server."
    if code in ("InvalidAccessKeyId", "XAdminUserNotFound"):  # the second of VersityGW
        return f"The server does not know {_key_of(server)}."
    if code == "SignatureDoesNotMatch":
        secret = "MINIO_SECRET_KEY" if server.credentials is None else "The secret"
        return f"{secret} does not belong to {_key_of(server)}, or a proxy changes the host or the path."
    if status in NOT_BUCKETS:
        return path_remedy(server)
    if status != 403:
        return ""
    if permission is None or code not in ("AccessDenied", ""):
        return CHECK_KEYS
    statement = json.dumps({"Effect": "Allow", "Action": permission.action, "Resource": permission.resource})
    missing = f"The key lacks the permission {permission.action}; add to its policy: {statement}"
    return (
        missing if code else f"{CHECK_KEYS} If they are correct: {missing}"
    )  # a response to HEAD has no code


def _key_of(server: Server) -> str:
    """Return the name of the key; its id is not a secret."""
    if server.credentials is not None:
        return "the key of MINIO_CREDENTIALS"
    return f"the key {server.access_key!r} of MINIO_ACCESS_KEY"


def required_permission(method: str, path: str, query: str) -> Permission:
    """Return the permission for a request. ``path`` is ``/bucket`` or ``/bucket/object``."""
    bucket, _, key = path.lstrip("/").partition("/")
    parts = {part.partition("=")[0] for part in query.split("&")}
    if not bucket:
        return Permission("s3:ListAllMyBuckets", "*")
    if key:
        return Permission(f"s3:{_object_action(method, parts)}", f"arn:aws:s3:::{bucket}/*")
    if method == "POST":  # a bulk deletion
        return Permission("s3:DeleteObject", f"arn:aws:s3:::{bucket}/*")
    return Permission(f"s3:{_bucket_action(method, parts)}", f"arn:aws:s3:::{bucket}")


def _object_action(method: str, parts: set[str]) -> str:
    if "uploadId" in parts and method in ("DELETE", "GET"):
        return "AbortMultipartUpload" if method == "DELETE" else "ListMultipartUploadParts"
    if method == "DELETE":
        return "DeleteObjectVersion" if "versionId" in parts else "DeleteObject"
    return "GetObject" if method in ("GET", "HEAD") else "PutObject"


def _bucket_action(method: str, parts: set[str]) -> str:
    for part, what in _BUCKET_SUBRESOURCES.items():
        if part in parts:
            verb = "Delete" if (method, part) == ("DELETE", "policy") else "Put"
            return f"{'Get' if method == 'GET' else verb}{what}"
    if method in ("PUT", "DELETE"):
        return "CreateBucket" if method == "PUT" else "DeleteBucket"
    return next((action for part, action in _LISTS.items() if part in parts), "ListBucket")


def clock_difference(headers: Mapping[str, str]) -> str:
    """Return how far the server's clock, by the ``Date`` of its response, is from this machine's."""
    try:
        ahead = parsedate_to_datetime(headers.get("Date", "")).timestamp() - time.time()
    except ValueError:
        return "its clock differs from ours"
    return f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"


def cause_of(error: Exception) -> str:
    """Return the message without the class and host that ``urllib3`` puts before it."""
    return _WHERE.sub("", str(getattr(error, "reason", None) or error))


def without_frames(error: BaseException) -> BaseException:
    """Strip the frames of the SDK and of urllib3 from the error, for use as a cause.

    Debug pages show local variables, which are keys and signed headers there.
    """
    below = error.__cause__ or error.__context__
    if below is not None:
        without_frames(below)
    return error.with_traceback(None)
