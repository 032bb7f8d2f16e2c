"""``mend_file_names``: names that other storages began with a slash."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db.models import QuerySet
from django_tenants.utils import tenant_context

from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import name_in_rows

pytestmark = pytest.mark.django_db


def mend(*arguments: str) -> str:
    out = io.StringIO()
    call_command("mend_file_names", *arguments, stdout=out)
    return out.getvalue()


def names(tenant: Client) -> set[str]:
    with tenant_context(tenant):
        return set(QuerySet(Receipt).values_list("file", flat=True))


def test_the_slash_goes_and_the_file_stays(receipts: PerTenant, north: Client, south: Client) -> None:
    with tenant_context(north):
        storage = Receipt._meta.get_field("file").storage
        storage.save("a/x.txt", ContentFile(b"text"))
    name_in_rows(north, "/a/x.txt", "//b.txt", "c.txt")
    name_in_rows(south, "/d.txt")

    assert "2 rows would be mended" in mend("--tenant", north.schema_name, "--dry-run")
    assert names(north) == {"/a/x.txt", "//b.txt", "c.txt"}
    assert f"schema '{north.schema_name}': 2 rows" in mend("--tenant", north.schema_name)
    assert names(north) == {"a/x.txt", "b.txt", "c.txt"}
    assert names(south) == {"/d.txt"}
    with tenant_context(north):
        assert QuerySet(Receipt).get(file="a/x.txt").file.read() == b"text"
    assert "1 rows were mended" in mend("--all-tenants")
    assert names(south) == {"d.txt"}
    assert "0 rows were mended" in mend("--all-tenants")


def test_a_row_that_got_another_file_meanwhile_keeps_it(
    receipts: PerTenant, north: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_in_rows(north, "/a.txt")
    update: Callable[..., int] = QuerySet.update

    def late(rows: QuerySet, **values: object) -> int:
        monkeypatch.setattr(QuerySet, "update", update)
        QuerySet(Receipt).update(file="new.txt")
        return update(rows, **values)

    monkeypatch.setattr(QuerySet, "update", late)
    mend("--tenant", north.schema_name)

    assert names(north) == {"new.txt"}
