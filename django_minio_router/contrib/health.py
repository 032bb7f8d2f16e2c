"""A check for django-health-check 4: does the S3 server respond, and accept the keys?"""

from __future__ import annotations

import dataclasses

from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from ..s3.status import probe
from ..settings.config import Config


@dataclasses.dataclass
class S3Server(HealthCheck):  # type: ignore[misc]
    """Send one signed request for a list of buckets, within 5 seconds.

    It needs no tenant and no bucket, and writes nothing. The server is that of the alias ``storage``, or
    ``server`` of ``MINIO_SERVERS``.
    """

    storage: str = "default"
    server: str | None = None

    # A synchronous check runs in a thread.
    def run(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        status = probe(Config(server=self.server or "", storage_name=self.storage), signed=True)
        if not status:
            raise ServiceUnavailable(status.details)
