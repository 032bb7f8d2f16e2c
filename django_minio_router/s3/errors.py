"""What a server answers, and what goes wrong on the way to it, as the errors of this package."""

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


class Asked(NamedTuple):
    """What a request needs the right to, in the words of policies."""

    action: str
    resource: str


_OF_BUCKETS = {
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
IN_DOUBT = (429, 500, 502, 503, 504)
_WHERE = re.compile(r"\A\w+\(host=[^)]*\): ")


def unreachable(server: Server, error: Exception) -> ServerError:
    return ServerError(
        f"No answer from the S3 server at {server.endpoint}: {cause_of(error)}. Check that it runs "
        "and that MINIO_ENDPOINT and MINIO_USE_HTTPS are right."
    )


def not_s3(server: Server, place: str, problem: str, status: int | None = None) -> ServerError:
    """Return the error for an answer that no S3 server would give."""
    return ServerError(
        f"What answers at {server.endpoint} for {place!r} is not an S3 server: {problem}. Check "
        "MINIO_ENDPOINT, and any proxy before it.",
        status=status,
    )


def is_in_doubt(error: ServerError) -> bool:
    """Tell whether the server may have done what was asked: no answer came, or it says nothing of that."""
    cut_short = error.status == 404 and not error.code  # or a page of a proxy
    return error.status is None or error.status in IN_DOUBT or cut_short


def bucket_not_found(server: Server, bucket: str) -> BucketNotFound:
    return BucketNotFound(
        f"The bucket {bucket!r} does not exist at {server.endpoint}. "
        f"Create it with '{creating_command(_active_key())}'.",
        status=404,
        code="NoSuchBucket",
    )


def creating_command(key: str | None) -> str:
    """Return the command that creates buckets: without an option those of tenants are left out."""
    return "manage.py initialize_buckets" + ("" if key is None else f" --tenant {key}")


def _active_key() -> str | None:
    with suppress(RoutingError, ConfigurationError):
        return get_tenancy().active_key()
    return None


def refused(
    server: Server, place: str, status: int | None, code: str, message: str, asked: Asked | None = None
) -> ServerError:
    """Return the error of an S3 server's answer, with what to do about its code."""
    answer = " ".join(str(part) for part in (status, code, message) if part).rstrip(".")
    parts = [f"The S3 server at {server.endpoint} refused {place!r}: {answer}."]
    parts += filter(None, [_remedy(server, status, code, asked)])
    return ServerError(" ".join(parts), status=status, code=code)


def _remedy(server: Server, status: int | None, code: str, asked: Asked | None) -> str:
    if code == "RequestTimeTooSkewed":
        return "Set the clock of this machine, or of the server."
    if code in ("InvalidAccessKeyId", "XAdminUserNotFound"):  # the second of VersityGW
        return f"The server does not know {_key_of(server)}."
    if code == "SignatureDoesNotMatch":
        secret = "MINIO_SECRET_KEY" if server.credentials is None else "The secret"
        return f"{secret} is not that of {_key_of(server)}, or a proxy changes the host or the path."
    if status != 403:
        return ""
    if asked is None or code not in ("AccessDenied", ""):
        return CHECK_KEYS
    statement = json.dumps({"Effect": "Allow", "Action": asked.action, "Resource": asked.resource})
    lack = f"The key may not {asked.action}; add to its policy: {statement}"
    return lack if code else f"{CHECK_KEYS} If they are right: {lack}"  # the answer to a HEAD tells no code


def _key_of(server: Server) -> str:
    """Name the key, whose id is not a secret."""
    if server.credentials is not None:
        return "the key of MINIO_CREDENTIALS"
    return f"the key {server.access_key!r} of MINIO_ACCESS_KEY"


def asked_for(method: str, path: str, query: str) -> Asked:
    """Return what a request needs the right to. ``path`` is ``/bucket`` or ``/bucket/object``."""
    bucket, _, key = path.lstrip("/").partition("/")
    parts = {part.partition("=")[0] for part in query.split("&")}
    if not bucket:
        return Asked("s3:ListAllMyBuckets", "*")
    if key:
        return Asked(f"s3:{_object_action(method, parts)}", f"arn:aws:s3:::{bucket}/*")
    if method == "POST":  # the deletion of many
        return Asked("s3:DeleteObject", f"arn:aws:s3:::{bucket}/*")
    return Asked(f"s3:{_bucket_action(method, parts)}", f"arn:aws:s3:::{bucket}")


def _object_action(method: str, parts: set[str]) -> str:
    if "uploadId" in parts and method in ("DELETE", "GET"):
        return "AbortMultipartUpload" if method == "DELETE" else "ListMultipartUploadParts"
    if method == "DELETE":
        return "DeleteObjectVersion" if "versionId" in parts else "DeleteObject"
    return "GetObject" if method in ("GET", "HEAD") else "PutObject"


def _bucket_action(method: str, parts: set[str]) -> str:
    for part, what in _OF_BUCKETS.items():
        if part in parts:
            verb = "Delete" if (method, part) == ("DELETE", "policy") else "Put"
            return f"{'Get' if method == 'GET' else verb}{what}"
    if method in ("PUT", "DELETE"):
        return "CreateBucket" if method == "PUT" else "DeleteBucket"
    return next((action for part, action in _LISTS.items() if part in parts), "ListBucket")


def clock_difference(headers: Mapping[str, str]) -> str:
    """Say how far the clock of the server, by the ``Date`` of its answer, is from this machine's."""
    try:
        ahead = parsedate_to_datetime(headers.get("Date", "")).timestamp() - time.time()
    except ValueError:
        return "its clock is not ours"
    return f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"


def cause_of(error: Exception) -> str:
    """Return what went wrong, without the class and host with which ``urllib3`` begins."""
    return _WHERE.sub("", str(getattr(error, "reason", None) or error))


def without_frames(error: BaseException) -> BaseException:
    """Return the error as a cause without the frames of the SDK and of urllib3: their variables are keys and
    signed headers, which debug pages show."""
    below = error.__cause__ or error.__context__
    if below is not None:
        without_frames(below)
    return error.with_traceback(None)
