"""One S3 server: its clients, signatures, uploads, reads and listings."""

from .late import warm_up

__all__ = ["warm_up"]
