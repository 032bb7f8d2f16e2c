"""Two tenants with schemas, and fields whose storage a test can set."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage, Storage
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django_tenants.utils import schema_context
from minio import Minio

from django_minio_router import MinioRouter
from django_minio_router.inventory.uses import uses
from tests.apps.customers.models import Client
from tests.support.storages import set_storage

Use = Callable[..., None]
Clean = Callable[..., str]

WRITES = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "SET CONSTRAINTS", "UPDATE")
statements: list[str] = []
"""What the migrations of a tenant's schema ask the database to do; known from the first one on."""


def make_schema(tenant: Client) -> None:
    """Give the tenant the schema that `create_schema` would, in an eighth of its time: only the first is
    migrated."""
    if not statements:
        written: list[str] = []
        with connection.execute_wrapper(partial(_keep_what_writes, written)):
            tenant.create_schema(verbosity=0)
        statements.extend(written)
        return
    name = connection.ops.quote_name(tenant.schema_name)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {name}")
    with schema_context(tenant.schema_name), connection.cursor() as cursor:
        cursor.execute(";\n".join(statements))


def _keep_what_writes(
    written: list[str], execute: Any, sql: str, params: Any, many: bool, context: Any
) -> Any:
    result = execute(sql, params, many, context)
    if sql.startswith(WRITES) and not sql.startswith("CREATE SCHEMA"):
        written.append(connection.ops.last_executed_query(context["cursor"], sql, params))
    return result


@pytest.fixture(scope="module")
def tenants(django_db_setup: None, django_db_blocker) -> Iterator[list[Client]]:
    """Two tenants, each with a schema of its own, for all tests of the module."""
    token = secrets.token_hex(3)
    made = [Client(schema_name=f"{name}{token}", name=name) for name in ("north", "south")]
    with django_db_blocker.unblock():
        for client in made:
            client.save()
            make_schema(client)
    yield made
    with django_db_blocker.unblock():
        for client in made:
            client.delete(force_drop=True)


@pytest.fixture
def north(tenants: list[Client], db: None) -> Client:
    return tenants[0]


@pytest.fixture
def south(tenants: list[Client], db: None) -> Client:
    return tenants[1]


@pytest.fixture(autouse=True)
def no_other_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the buckets of other test models, where other tests store files without rows."""
    for use in uses():
        if use.field is not None:
            monkeypatch.setattr(use.field, "storage", InMemoryStorage())


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Return a function that sets the storage of a model's fields, as a project's models.py would."""

    def use(model: type[Model], storage: Storage, *names: str) -> None:
        for name in names or ("file",):
            field = model._meta.get_field(name)
            bound = storage.bind(field) if isinstance(storage, MinioRouter) else storage
            set_storage(monkeypatch, field, bound)

    return use


@pytest.fixture
def clean() -> Clean:
    """Return a function that runs the command at once, on objects of any age and all of a bucket if need be,
    and returns its output."""

    def clean(*arguments: str, **options: object) -> str:
        out = StringIO()
        defaults = {"interactive": False, "min_age": 0, "max_share": 1}
        call_command(
            "clean_orphaned_minio_files", *arguments, **{**defaults, **options}, stdout=out, stderr=out
        )
        return out.getvalue()

    return clean


@pytest.fixture
def names(bare: Minio) -> Callable[[str], set[str]]:
    """Return a function that reads the names of a bucket's objects."""

    def names(bucket: str) -> set[str]:
        return {stored.object_name for stored in bare.list_objects(bucket_name=bucket, recursive=True)}

    return names
