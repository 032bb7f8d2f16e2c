"""Real servers on loopback ports, for the demo, the tests and the benchmark."""

from .process import ServerError
from .stack import S3_SERVERS, running

__all__ = ["S3_SERVERS", "ServerError", "running"]
