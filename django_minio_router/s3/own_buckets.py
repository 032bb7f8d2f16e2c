"""The buckets of tests on real servers: nothing else is touched, and they are removed at the end.

They are those whose names begin with the prefix of ``MINIO_TESTING = "prefix"``.
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

if TYPE_CHECKING:
    from ..settings.server import Server
    from .client import Client

_used: dict[Server, tuple[int, Client]] = {}
_remove: list[Callable[[Client, str], None]] = []


def refuse_others(server: Server, path: str) -> None:
    """Raise ``ConfigurationError`` if the path of a request is in a bucket that is not the tests' own."""
    bucket = unquote(path).lstrip("/").partition("/")[0]
    if bucket and not bucket.startswith(server.test_prefix):
        raise ConfigurationError(
            f"Tests are running with MINIO_TESTING = 'prefix', so the bucket {bucket!r} is out of reach. "
            f"Their own begin with {server.test_prefix!r}: ask a storage for its objects.name."
        )


def remove_with(remove: Callable[[Client, str], None]) -> None:
    """Be handed what removes the buckets of a server that begin with a prefix."""
    _remove[:] = [remove]


def keep_track(client: Client) -> None:
    """Remember for the end of this process that tests may make buckets with the client."""
    if not client.server.test_prefix:
        return
    pid = os.getpid()
    if pid not in {known for known, _ in _used.values()}:
        _call_at_the_end(remove_test_buckets)
    _used[client.server] = pid, client


def _call_at_the_end(function: Callable[[], None]) -> None:
    """Call it when this process ends, also if it is one of ``multiprocessing``, whose have no ``atexit``."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, function, exitpriority=0)
    else:
        atexit.register(function)


def remove_test_buckets() -> None:
    """Remove the buckets that tests of this process made on real servers, with all that they hold."""
    for server, (pid, client) in list(_used.items()):
        if pid == os.getpid():
            del _used[server]
            try:
                _remove[0](client, server.test_prefix)
            except ServerError as error:
                warnings.warn(f"Not all buckets of the tests were removed. {error}", stacklevel=1)
