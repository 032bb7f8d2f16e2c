"""Is the server there? Asked within a time limit of its own, on any S3 server."""

from __future__ import annotations

from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from ..exceptions import ConfigurationError
from ..settings.config import Config
from .client import cause_of, get_client

TIME_LIMIT = 5.0  # seconds


class MinioServerStatus:
    """The answer to "is the server available?": true or false, with ``status`` (HTTP) and ``details``."""

    def __init__(self, available: bool, details: str, status: int | None = None) -> None:
        self._available = available
        self.details = details
        self.status = status

    @property
    def is_available(self) -> bool:
        return self._available

    def __bool__(self) -> bool:
        return self._available

    def __repr__(self) -> str:
        return "MinIO is available" if self._available else "MinIO is NOT available"


def probe(config: Config) -> MinioServerStatus:
    """Send one unsigned request. Any answer below 500 comes from a server that is up.

    S3 servers refuse an unsigned request with 403; a key is not needed to be reachable.
    """
    try:
        server = config.internal
    except ConfigurationError as error:
        return MinioServerStatus(False, str(error))
    try:
        response = get_client(server).pool.request(
            "GET",
            f"{server.base_url}/",
            timeout=Timeout(total=TIME_LIMIT),
            retries=False,
            redirect=False,
            pool_timeout=TIME_LIMIT,
        )
    except (HTTPError, OSError) as error:
        return MinioServerStatus(False, f"No answer from {server.base_url}: {cause_of(error)}.")
    available = response.status < 500
    return MinioServerStatus(available, f"{server.base_url} answered {response.status}.", response.status)
