"""What the server of the run can: docs/servers.md has the table."""

from __future__ import annotations

import os
from typing import Any

from minio import Minio

from django_minio_router.buckets.abilities import PROBES, find_features
from django_minio_router.s3.client import get_client
from django_minio_router.settings.config import Config
from tests.support.proxy import Proxy
from tools import server_table

NEEDED = {"clock", "conditional PUT", "range", "multipart", "multipart copy", "policies"}


def test_the_server_has_what_a_project_needs_and_keeps_nothing_of_the_trials(
    settings: Any, bare: Minio
) -> None:
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        found = {finding.name: finding for finding in find_features(get_client(Config().internal))}

    assert list(found) == list(PROBES)
    assert not [found[name] for name in NEEDED if not found[name].is_there]
    touched = {request.path.split("/")[1] for request in proxy.requests} - {""}
    assert touched
    assert not [bucket for bucket in touched if bare.bucket_exists(bucket_name=bucket)]


def test_the_table_of_the_docs_says_of_this_server_what_is_found(server_name: str) -> None:
    column = server_table.written()[server_table.TITLES[server_name]]
    documented = {ability: cell == "yes" for ability, cell in column.items()}

    found = {f.name: f.is_there for f in find_features(get_client(Config().internal))}
    assert documented == found
