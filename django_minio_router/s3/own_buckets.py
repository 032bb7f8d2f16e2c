"""Buckets of tests on real servers: tests can use no others, and they are removed at the end.

Their names start with the prefix of ``MINIO_TESTING = "prefix"``.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ..exceptions import ConfigurationError, ServerError
from .emptying import empty_bucket
from .listing import bucket_names

if TYPE_CHECKING:
    from ..settings.server import Server
    from .client import Client

_clients: dict[Server, tuple[int, Client]] = {}


def refuse_foreign_bucket(server: Server, path: str) -> None:
    """Raise ``ConfigurationError`` if the path of a request is not in a bucket of the tests."""
    bucket = unquote(path).lstrip("/").partition("/")[0]
    if bucket and not bucket.startswith(server.test_prefix):
        raise ConfigurationError(
            f"Tests are running with MINIO_TESTING = 'prefix', so they cannot use the bucket {bucket!r}. "
            f"Their own start with {server.test_prefix!r}; a storage's objects.name is the full name."
        )


def track(client: Client) -> None:
    """Remember to remove the buckets that tests make with the client when this process ends."""
    if not client.server.test_prefix:
        return
    pid = os.getpid()
    if pid not in {known for known, _ in _clients.values()}:
        _call_at_exit(remove_test_buckets)
    _clients[client.server] = pid, client


def _call_at_exit(function: Callable[[], None]) -> None:
    """Call the function when this process ends. Processes of ``multiprocessing`` have no ``atexit``."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, function, exitpriority=0)
    else:
        atexit.register(function)


def remove_test_buckets() -> None:
    """Remove the buckets that tests of this process made on real servers, with their contents."""
    for server, (pid, client) in list(_clients.items()):
        if pid == os.getpid():
            del _clients[server]
            try:
                for name in [name for name in bucket_names(client) if name.startswith(server.test_prefix)]:
                    empty_bucket(client, name)
            except ServerError as error:
                warnings.warn(f"Some buckets of the tests could not be removed. {error}", stacklevel=1)
