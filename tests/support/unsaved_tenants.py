"""Unsaved tenants for routing, with buckets but without schemas."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from minio import Minio

from tests.apps.customers.models import Client


@pytest.fixture
def make_tenant(bare: Minio, new_name: Callable[[str], str]) -> Callable[[str], Client]:
    """Return a function that makes an unsaved tenant, and its bucket of PerTenant()."""

    def make(name: str) -> Client:
        tenant = Client(schema_name=new_name(name), name=name)
        bare.make_bucket(bucket_name=tenant.schema_name)
        return tenant

    return make


@pytest.fixture
def acme(make_tenant: Callable[[str], Client]) -> Client:
    return make_tenant("acme")
