"""Tenants, a proxy in front of the server, and the state of a bucket on the server."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from minio import Minio
from minio.error import S3Error

from tests.apps.customers.models import Client
from tests.support.proxy import Action, Proxy, answering


@pytest.fixture
def tenants(db: None) -> Callable[..., list[Client]]:
    """Return a function that makes tenants of these names, with no schema: bucket work needs none."""

    def make(*labels: str) -> list[Client]:
        token = secrets.token_hex(4)
        rows = [Client(schema_name=f"{label}{token}", name=label) for label in labels]
        return Client.objects.bulk_create(rows)

    return make


@pytest.fixture
def proxy(settings: Any) -> Iterator[Proxy]:
    """A proxy for all further requests of the package."""
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


@pytest.fixture
def policy(bare: Minio) -> Callable[[str], Any]:
    """Return a function that reads a bucket's policy from the server; None if it has none."""

    def read(bucket: str) -> Any:
        try:
            return json.loads(bare.get_bucket_policy(bucket_name=bucket))
        except S3Error as error:
            if error.code != "NoSuchBucketPolicy":
                raise
            return None

    return read


def refusing(status: int, code: str) -> Action:
    """Answer with an S3 error response."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
    return answering(status, body, Content_Type="application/xml")


def logos_only(bucket: str) -> dict:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/logos/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
