"""Two tenants with a site and a bucket each, which threads and processes can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from minio import Minio

from tests.apps.customers.models import Client, Domain

from . import site

Contents = Callable[[Client], dict[str, bytes]]


@pytest.fixture
def make_tenant(
    transactional_db: None, settings: Any, bare: Minio, new_name: Callable[[str], str]
) -> Iterator[Callable[[str], Client]]:
    """Return a function that makes a tenant without a schema, its site, and the bucket of the site."""
    settings.ROOT_URLCONF = site.__name__
    settings.MINIO_PROVISION_TENANTS = False

    def make(label: str) -> Client:
        tenant = Client.objects.create(schema_name=new_name(label), name=label)
        Domain.objects.create(domain=f"{label}.example", tenant=tenant)
        bare.make_bucket(bucket_name=f"test-brands-{tenant.schema_name}")
        return tenant

    yield make
    connection.set_schema_to_public()  # whose tables are emptied now; a command may have left another one


@pytest.fixture
def contents(contents: Callable[[str], dict[str, bytes]]) -> Contents:
    """Return a function that reads the bucket of a tenant's site: names and contents."""
    return lambda tenant: contents(f"test-brands-{tenant.schema_name}")
