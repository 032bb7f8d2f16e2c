"""A check for django-health-check 4: is the S3 server there, and does it take the keys?"""

from __future__ import annotations

import dataclasses

from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from ..s3.status import probe_with_keys
from ..settings.config import Config


@dataclasses.dataclass
class S3Server(HealthCheck):  # type: ignore[misc]
    """Ask a server for the names of its buckets, in one signed request of at most 5 seconds.

    It needs no tenant and no bucket, and writes nothing. The server is that of the alias ``storage``, or the
    one that ``MINIO_SERVERS`` calls ``server``.
    """

    storage: str = "default"
    server: str | None = None

    # One that is not async runs in a thread.
    def run(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        status = probe_with_keys(Config(server=self.server or "", storage_name=self.storage))
        if not status:
            raise ServiceUnavailable(status.details)
