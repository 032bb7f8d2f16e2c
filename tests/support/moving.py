"""Two tenants with schemas, a shared bucket that holds their files, and a bucket for each of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db.models import Model
from django_tenants.utils import tenant_context
from minio import Minio
from urllib3.connectionpool import HTTPConnectionPool

from django_minio_router import MinioRouter
from django_minio_router.strategies import BucketStrategy, PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.schemas import Use

Put = Callable[..., None]
Contents = Callable[[str], dict[str, bytes]]
Requests = Callable[[], AbstractContextManager[list[str]]]


class Done(NamedTuple):
    output: str
    error: str | None


Run = Callable[..., Done]


@pytest.fixture
def put(bare: Minio) -> Put:
    """Return a function that stores an object with the bare client."""

    def put(bucket: str, name: str, content: bytes = b"x", **options: object) -> None:
        bare.put_object(
            bucket_name=bucket, object_name=name, data=io.BytesIO(content), length=len(content), **options
        )

    return put


@pytest.fixture
def per_tenant(bare: Minio, north: Client, south: Client, new_name: Callable[[str], str]) -> PerTenant:
    """The new place: an existing bucket for each of the two tenants."""
    strategy = PerTenant(new_name("t") + "-{schema_name}")
    for tenant in (north, south):
        bare.make_bucket(bucket_name=bucket_of(strategy, tenant))
    return strategy


def bucket_of(strategy: BucketStrategy, tenant: Client) -> str:
    with tenant_context(tenant):
        return str(strategy.bucket_for(None))


def store(model: type[Model], name: str, content: bytes = b"kept", field: str = "file") -> Model:
    """Store a file through a field, and save its row."""
    row = model()
    getattr(row, field).save(name, ContentFile(content))
    return row


def refer(model: type[Model], *names: str, field: str = "file") -> None:
    """Save rows with these names, as if the files had been stored before."""
    model._base_manager.bulk_create([model(**{field: name}) for name in names])


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """Return a context manager that records the requests to the server."""

    @contextmanager
    def recorded() -> Iterator[list[str]]:
        sent: list[str] = []
        original = HTTPConnectionPool.urlopen

        def urlopen(self: HTTPConnectionPool, method: str, url: str, *args: object, **options: object):
            headers: object = options.get("headers") or (args[1] if len(args) > 1 else None) or {}
            sent.append("COPY" if "x-amz-copy-source" in dict(headers) else method)
            return original(self, method, url, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(HTTPConnectionPool, "urlopen", urlopen)
            yield sent

    return recorded


@pytest.fixture
def move() -> Callable[..., Done]:
    """Return a function that runs the command, and returns its output and its error."""

    def move(*arguments: str, **options: object) -> Done:
        out = io.StringIO()
        error = None
        try:
            call_command("move_objects", *arguments, **options, stdout=out, stderr=out, no_color=True)
        except CommandError as raised:
            error = str(raised)
        return Done(out.getvalue(), error)

    return move


@pytest.fixture
def old(bare: Minio, new_name: Callable[[str], str], settings) -> str:
    """The shared bucket with the files before the move."""
    name = new_name("old")
    bare.make_bucket(bucket_name=name)
    settings.MINIO_PRIVATE_BUCKETS = [name]
    return name


@pytest.fixture
def receipts(use: Use, per_tenant: PerTenant, old: str) -> PerTenant:
    """Configure receipts to move from the shared bucket to one for each tenant."""
    use(Receipt, MinioRouter(strategy=per_tenant, fallback=old), "file", "scan")
    return per_tenant


def name_in_rows(tenant: Client, *names: str, model: type[Model] = Receipt) -> None:
    with tenant_context(tenant):
        refer(model, *names)
