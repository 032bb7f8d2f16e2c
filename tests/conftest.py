"""What tests of every area use: a bare SDK client that looks at what the server holds, and fresh buckets."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import urllib3
from django import VERSION
from django.conf import settings
from django.core.files.storage import InMemoryStorage, Storage, storages
from django.core.signals import setting_changed
from django.db import connection, connections
from django.db.models import Model
from django.test import TransactionTestCase
from minio import Minio

from django_minio_router.settings import testing
from tests.support.memory import bare_client
from tests.support.quick_flush import delete_all_rows
from tests.support.storages import set_storage
from tests.support.which_server import is_minio
from tools import server_table

if TYPE_CHECKING:
    from tests.apps.customers.models import Client

pytest_plugins = ["django_minio_router.testing.plugin"]
testing.servers_hold_only_tests = True  # they are started for the tests alone

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
TransactionTestCase._fixture_teardown = delete_all_rows


def keep_options(*, setting: str, **kwargs: Any) -> None:
    """Django before 5.1 forgets the options of a default storage that a test sets."""
    if setting == "STORAGES":
        storages._backends = settings.STORAGES.copy()


if VERSION < (5, 1):
    from django.test import signals  # noqa: F401  its receiver has to come first

    setting_changed.connect(keep_options)


@pytest.fixture(scope="session")
def bare() -> Minio:
    """The SDK's own client, which knows nothing of this package."""
    if os.environ["MINIO_ENDPOINT"] == "memory:":
        return bare_client()
    return Minio(
        endpoint=os.environ["MINIO_ENDPOINT"],
        access_key=os.environ["MINIO_ACCESS_KEY"],
        secret_key=os.environ["MINIO_SECRET_KEY"],
        secure=os.environ["MINIO_USE_HTTPS"] == "1",
        region="us-east-1",
    )


@pytest.fixture(scope="session")
def on_minio() -> bool:
    """Whether the run is on MinIO, which lacks some of what other servers have."""
    return is_minio()


@pytest.fixture(scope="session")
def server_name(pytestconfig: pytest.Config) -> str:
    """What ``--server`` calls the server of the run."""
    return "minio" if is_minio() else str(pytestconfig.getoption("--server"))


@pytest.fixture(scope="session")
def lacks(server_name: str) -> Callable[[str], bool]:
    """Return a function that tells what docs/servers.md says that the server of the run lacks.

    tests/buckets/test_abilities.py compares the page with the server.
    """
    column = server_table.written()[server_table.TITLES[server_name]]
    return lambda ability: column[ability] != "yes"


@pytest.fixture
def new_name(worker_id: str) -> Callable[[str], str]:
    """Return a function that makes bucket names which no other test and no other worker uses."""
    return lambda label="bucket": f"{label}-{worker_id}-{secrets.token_hex(6)}"


@pytest.fixture
def bucket(bare: Minio, new_name: Callable[[str], str]) -> str:
    """An empty bucket of this test's own."""
    name = new_name("bucket")
    bare.make_bucket(bucket_name=name)
    return name


@pytest.fixture
def contents(bare: Minio) -> Callable[[str], dict[str, bytes]]:
    """Return a function that reads a whole bucket: names and contents."""

    def read(bucket: str) -> dict[str, bytes]:
        names = [entry.object_name for entry in bare.list_objects(bucket_name=bucket, recursive=True)]
        return {name: bare.get_object(bucket_name=bucket, object_name=name).data for name in names}

    return read


@pytest.fixture
def anonymous(settings: Any) -> Callable[[str], int]:
    """Return a function that asks for a path as any visitor could, and returns the HTTP status."""
    scheme = "https" if settings.MINIO_USE_HTTPS else "http"
    origin = f"{scheme}://{settings.MINIO_ENDPOINT}"
    return lambda path: urllib3.request("GET", f"{origin}/{path}", retries=False).status


@pytest.fixture
def project(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings of a project that uses no bucket yet: the fields of the test models store elsewhere."""
    from django_minio_router.inventory.uses import uses

    elsewhere = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {"default": elsewhere, "staticfiles": elsewhere}
    settings.MINIO_PRIVATE_BUCKETS = []
    settings.MINIO_PUBLIC_BUCKETS = []
    for use in uses():
        if use.field is not None:
            monkeypatch.setattr(use.field, "storage", InMemoryStorage())
    return settings


@pytest.fixture
def use(project: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that gives a model's field a storage, as a project's models file would."""
    from django_minio_router import MinioRouter

    def use(model: type[Model], storage: Storage, name: str = "file") -> None:
        field = model._meta.get_field(name)
        bound = storage.bind(field) if isinstance(storage, MinioRouter) else storage
        set_storage(monkeypatch, field, bound)

    return use


@pytest.fixture
def primary() -> Iterator[str]:
    """The alias of another connection to the database, as where a project reads from a replica."""
    connections["primary"] = connection.copy("primary")
    with closing(connections["primary"]):
        yield "primary"
    del connections["primary"]


@pytest.fixture
def make_tenant(db: None, bare: Minio, new_name: Callable[[str], str]) -> Callable[[str], Client]:
    """Return a function that makes a tenant without a schema, and its bucket of the brands."""
    from tests.apps.customers.models import Client
    from tests.support.server import make_marked_bucket

    def make(label: str) -> Client:
        tenant = Client.objects.create(schema_name=new_name(label), name=label)
        make_marked_bucket(bare, f"test-brands-{tenant.schema_name}")
        return tenant

    return make


@pytest.fixture
def north(make_tenant: Callable[[str], Client]) -> Client:
    """A tenant as the tests of the folder make them."""
    return make_tenant("north")


@pytest.fixture
def south(make_tenant: Callable[[str], Client]) -> Client:
    return make_tenant("south")
