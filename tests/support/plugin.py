"""Starts the servers before pytest-django reads the settings, and stops them after the run.

Under pytest-xdist only the controller starts them: its workers inherit their addresses.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack

import pytest

from tools import servers


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server",
        choices=list(servers.S3_SERVERS),
        default="seaweedfs",
        help="the S3 server to start, unless MINIO_ENDPOINT names one",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # A run in the background ignores Ctrl-C, and so would each process that a test stops with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stack = ExitStack()
    early_config.add_cleanup(stack.close)
    try:
        addresses = stack.enter_context(servers.running(early_config.known_args_namespace.server))
    except servers.ServerError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ.update(addresses)
