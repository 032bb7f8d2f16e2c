"""Two tenants with a bucket each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from minio import Minio

from tests.customers.models import Client


@pytest.fixture
def make_tenant(db, bare: Minio, new_name: Callable[[str], str]) -> Callable[[str], Client]:
    """Return a function that makes a tenant without a schema, and its bucket of the brands."""

    def make(label: str) -> Client:
        tenant = Client.objects.create(schema_name=new_name(label), name=label)
        bare.make_bucket(bucket_name=f"test-brands-{tenant.schema_name}")
        return tenant

    return make
