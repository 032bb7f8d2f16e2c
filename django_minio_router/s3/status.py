"""Is the server available? Works with any S3 server, and has its own time limit."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from django.core.files.base import ContentFile

from ..exceptions import ConfigurationError, ServerError
from ..settings.config import Config
from .bucket import Bucket
from .client import get_client
from .errors import CHECK_ADDRESS, CHECK_KEYS, NOT_BUCKETS, cause_of, path_remedy
from .late import connections

TIME_LIMIT = 5.0  # seconds


@dataclass(frozen=True, eq=False, repr=False)
class MinioServerStatus:
    """Whether the server is available, as a true or false value with ``status`` (HTTP) and ``details``."""

    is_available: bool
    details: str
    status: int | None = None

    def __bool__(self) -> bool:
        return self.is_available

    def __repr__(self) -> str:
        return "MinIO is available" if self.is_available else "MinIO is NOT available"


def missing_rights(objects: Bucket) -> list[str]:
    """Return the server's error for each permission that the keys lack: to store, read, list and delete.

    It tries with an empty object, which is removed. ``ServerError`` if the server cannot be reached.
    """
    key = f"check-rights-{secrets.token_hex(8)}"
    problems = []
    attempts: tuple[Callable[[], object], ...] = (
        lambda: objects.put(key, ContentFile(b""), {}),
        lambda: objects.head(key),
        lambda: next(objects.list(key), None),
        lambda: objects.delete(key),
    )
    for attempt in attempts:
        try:
            attempt()
        except FileNotFoundError:
            pass  # the object could not be stored
        except ServerError as error:
            if error.status is None:
                raise
            problems.append(str(error))
    return problems


def probe(config: Config, *, signed: bool = False) -> MinioServerStatus:
    """Send one request. Any status below 500 means that the server is up: it refuses unsigned ones with 403.

    A server that refuses the keys of a ``signed`` request does not count as available.
    """
    try:
        client = get_client(config.internal)
    except ConfigurationError as error:
        return MinioServerStatus(False, str(error))
    server = client.server
    try:
        response = client.send_once(TIME_LIMIT, signed=signed)
    except (ConfigurationError, ServerError) as error:  # from a key provider
        return MinioServerStatus(False, str(error))
    except connections().BROKEN as error:
        details = f"No answer from {server.base_url}: {cause_of(error)}. {CHECK_ADDRESS}"
        return MinioServerStatus(False, details)
    problem = client.problem_with_keys(response) if signed else ""
    if problem:
        details = f"{server.base_url} is reachable, keys refused: {problem}. {CHECK_KEYS}"
        return MinioServerStatus(False, details, response.status)
    details = f"{server.base_url} answered {response.status}."
    if response.status in NOT_BUCKETS:
        details = f"{details} {path_remedy(server)}".rstrip()
    return MinioServerStatus(response.status < 500, details, response.status)
