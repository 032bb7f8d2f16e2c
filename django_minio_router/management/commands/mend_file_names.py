"""``manage.py mend_file_names``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError

from django_minio_router.inventory.columns import all_file_fields, any_columns
from django_minio_router.inventory.routes import storage_doubt
from django_minio_router.management.base import RouterCommand, add_dry_run_argument
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active
from django_minio_router.storage.backend import MinioBackend
from django_minio_router.storage.router import MinioRouter
from django_minio_router.tenancy import get_tenancy


class Command(RouterCommand):
    help = (
        "Remove the leading slash that other storages put into the names in rows. No file is touched: it is "
        "found either way. Without a tenant option, handle the active tenant, or public."
    )
    failed = "fields need a look"

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        add_dry_run_argument(parser)

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        total = 0
        for tenant in tenants_or_active(**options):
            total += self._mend(tenant, dry_run=dry_run)
        self.say(f"{total} rows {'would be' if dry_run else 'were'} mended.")

    def _mend(self, tenant: Any | None, *, dry_run: bool) -> int:
        with get_tenancy().context(tenant):
            columns = [column for field in _fields() for column in any_columns(field, tenant)]
        total = 0
        for column in columns:
            try:
                count = column.strip_slashes(dry_run=dry_run)
            except DatabaseError as error:  # for example, a name must be unique
                self.fail(f"{column}: {str(error).strip()}")
                continue
            total += count
            if count:
                self.say(f"{column}: {count} rows")
        return total


def _fields() -> list[Any]:
    """Return the fields that use our storages and do not change names."""
    return [
        field
        for field in all_file_fields()
        if isinstance(storage := field.storage, MinioBackend | MinioRouter) and not storage_doubt(storage)
    ]
