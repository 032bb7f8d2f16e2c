"""A second S3 server, which the settings name "north"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from minio import Minio

from tools.servers.seaweedfs import SeaweedFS


@pytest.fixture(scope="module")
def northern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    server = SeaweedFS(tmp_path_factory.mktemp("northern"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def on_the_northern_server(northern: SeaweedFS, settings: Any) -> Minio:
    """A bare client; the settings name the server."""
    settings.MINIO_SERVERS = {
        "north": {
            "MINIO_ENDPOINT": northern.endpoint,
            "MINIO_ACCESS_KEY": northern.access_key,
            "MINIO_SECRET_KEY": northern.secret_key,
        }
    }
    return Minio(
        endpoint=northern.endpoint,
        access_key=northern.access_key,
        secret_key=northern.secret_key,
        secure=False,
        region="us-east-1",
    )
