"""Faults that the package had, each put back by taking out what mended it: the machine must find them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.core import signing

from django_minio_router.direct.tokens import Receipt, Refused, Signed, Ticket
from django_minio_router.storage import rows
from django_minio_router.tenancy import Tenancy, get_tenancy
from django_minio_router.tenancy.context import TenantOverride
from django_minio_router.tenancy.schemas import SchemaTenancy

Leak = Callable[[pytest.MonkeyPatch], None]


def rows_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row's file is whoever's is active at the call."""
    monkeypatch.setattr(rows, "_storage_for", lambda storage, key: storage)


def shared_rows_are_the_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a table on public is looked for in the bucket of the site that shows it."""
    monkeypatch.setattr(rows, "_shared_key", lambda model: None)


def bucket_contexts_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant that is entered within ``tenant_bucket_context`` gets its row, and the other one the file."""

    def said(self: Tenancy, entered: TenantOverride) -> str:
        return self.key(entered.tenant)

    monkeypatch.setattr(Tenancy, "_key_in_context", said)
    monkeypatch.setattr(rows, "_target_key", lambda *args: get_tenancy().active_key())


def rows_part_from_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is written for one tenant, and its file stored for another."""
    monkeypatch.setattr(rows, "_target_key", lambda *args: get_tenancy().active_key())


def replicas_are_taken_for_the_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose a row is tells the usual connection, not the one that it was read through."""

    def of_the_usual(self: SchemaTenancy, alias: str | None) -> Any:
        return self.connected_key()

    monkeypatch.setattr(SchemaTenancy, "key_of_rows", of_the_usual)


def copies_leave_the_file_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is written in another tenant names a file that this one does not have."""

    def named(file: rows.RowFile, storage: Any, key: str) -> None:
        file._assign_to(key)

    monkeypatch.setattr(rows, "_copy_to_tenant", named)


def reading_a_tenant_moves_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tenant's row is read on public, in the middle of an INSERT."""

    def read(self: SchemaTenancy, key: str) -> Any:
        with self.utils.schema_context(self.shared_key):
            return self.model._base_manager.get(schema_name=key)

    monkeypatch.setattr(SchemaTenancy, "_read_row", read)


def _holds_for_anybody(kind: type[Signed]) -> Leak:
    def read(cls: type[Signed], token: object, request: object) -> Signed:
        try:
            return cls(**signing.loads(str(token), salt=f"django_minio_router.direct.{cls.kind}"))
        except signing.BadSignature as error:
            raise Refused("edited") from error

    return lambda monkeypatch: monkeypatch.setattr(kind, "read", classmethod(read))


def tickets_are_for_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload begins for whoever is active."""
    _holds_for_anybody(Ticket)(monkeypatch)


def receipts_are_for_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form takes the receipt of another tenant's upload, and the file from the bucket that it names."""
    _holds_for_anybody(Receipt)(monkeypatch)

    def named(receipt: Receipt) -> Any:
        return receipt.model_field.storage.on_behalf_of(receipt.tenant).backend

    monkeypatch.setattr(Receipt, "backend", property(named))


LEAKS: list[Leak] = [
    rows_forget,
    shared_rows_are_the_tenants,
    bucket_contexts_win,
    rows_part_from_files,
    replicas_are_taken_for_the_tenants,
    copies_leave_the_file_behind,
    tickets_are_for_anybody,
    receipts_are_for_anybody,
]
if django.VERSION < (6, 0):  # from then on, save() stores the files before the cursor of its INSERT is open
    LEAKS.append(reading_a_tenant_moves_the_schema)
LEAKS_OF_WRITING = (bucket_contexts_win, rows_part_from_files)
LEAKS_AT_COMMIT = (rows_forget,)
LEAKS_OF_UPLOADS = (tickets_are_for_anybody, receipts_are_for_anybody)
