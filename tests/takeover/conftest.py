"""A second S3 server, for projects that keep files on several."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from minio import Minio

from tools import servers
from tools.servers.stack import S3Server


@pytest.fixture(scope="module")
def second_server(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[S3Server]:
    server = servers.S3_SERVERS[request.config.getoption("--server")](tmp_path_factory.mktemp("second"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bare_second(second_server: S3Server) -> Minio:
    """The SDK's own client for the second server."""
    return Minio(
        endpoint=second_server.endpoint,
        access_key=second_server.access_key,
        secret_key=second_server.secret_key,
        secure=False,
        region="us-east-1",
    )
