"""Real servers on loopback ports, for the demo, the tests and the benchmark."""

from .process import ServerError
from .stack import S3_SERVERS, new_s3, running

__all__ = ["S3_SERVERS", "ServerError", "new_s3", "running"]
