"""What a server answers, and what goes wrong on the way to it, as the errors of this package."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..exceptions import BucketNotFound, ConfigurationError, RoutingError, ServerError
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from ..settings.server import Server

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


def refused(server: Server, place: str, status: int | None, code: str, message: str) -> ServerError:
    remedy = f" {CHECK_KEYS}" if status == 403 else ""
    if code == "RequestTimeTooSkewed":
        remedy = " Set the clock of this machine, or of the server."
    answer = " ".join(str(part) for part in (status, code, message) if part).rstrip(".")
    return ServerError(
        f"The S3 server at {server.endpoint} refused {place!r}: {answer}.{remedy}", status=status, code=code
    )


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
