"""A router of each kind whose requests pass a proxy that counts them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioRouter
from tests.apps.customers.models import Client
from tests.budget.routers import KINDS, make_router
from tests.support.proxy import Proxy


@pytest.fixture
def wire(settings: Any) -> Iterator[Proxy]:
    """What all requests to the server pass from now on."""
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        yield proxy


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def router(kind: str, bucket: str, wire: Proxy) -> Iterator[MinioRouter]:
    """A router to the bucket, under the tenant whose bucket it is; it has saved before.

    No database may be used in these tests, so that a query would fail them.
    """
    with tenant_context(Client(schema_name=bucket)):
        router = make_router(kind, bucket)
        router.save("before.txt", ContentFile(b"what the first save finds out is known now"))
        wire.forget()
        yield router


@pytest.fixture
def put(bare: Minio, bucket: str) -> Callable[[str, int], str]:
    """Return a function that stores an object of so many bytes, past the package; it returns its name."""

    def put(name: str, size: int) -> str:
        content = ContentFile(os.urandom(size))
        bare.put_object(bucket_name=bucket, object_name=name, data=content, length=size)
        return name

    return put


@pytest.fixture
def budget(wire: Proxy) -> Callable[..., Any]:
    """Return a context: what is done in it must take exactly these requests, in this order."""

    @contextmanager
    def budget(*methods: str) -> Iterator[None]:
        wire.forget()
        yield
        assert wire.methods == list(methods)

    return budget
