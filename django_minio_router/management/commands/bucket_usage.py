"""``manage.py bucket_usage``"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.template.defaultfilters import filesizeformat

from django_minio_router.files.usage import Usage, UsageReport
from django_minio_router.management.base import RouterCommand
from django_minio_router.management.enqueue import add_enqueue_arguments, enqueue, for_each
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active
from django_minio_router.tenancy import get_tenancy

_COLUMNS = ("tenant", "bucket", "folder", "model", "objects", "bytes")  # of Usage.as_row()
_ROW = "{:<16} {:<30} {:<22} {:>8} {:>14}"


class Command(RouterCommand):
    help = (
        "Print how many objects and bytes each tenant stores, by bucket and model. Without a tenant "
        "option, count for the active tenant, or what does not belong to a single tenant."
    )
    failed = "places could not be read"

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--format",
            choices=["table", "json", "csv"],
            default="table",
            help="table, json or csv (default: table)",
        )
        parser.add_argument("--bytes", action="store_true", help="print sizes in bytes, in the table too")
        add_enqueue_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenants = tenants_or_active(**options)  # first, so that a typo fails before the heading
        if options["enqueue"]:
            work = for_each(tenants, "--format=json")
            enqueue(self.say, "bucket_usage", work, queue=options["queue"])
            return
        usages = self._usages(tenants)
        if options["format"] == "json":
            self.print_json(usage.as_row() for usage in usages)
        elif options["format"] == "csv":
            self._print_csv(usages)
        else:
            self._print_table(usages, str if options["bytes"] else filesizeformat)
            if tenants == [None] and get_tenancy().problem() is None:
                self.warn("No tenant is active, so this shows what tenants share. See --all-tenants.")

    def _usages(self, tenants: Iterable[Any]) -> Iterator[Usage]:
        """Yield the usages as they are read, in constant memory."""
        report = UsageReport()
        for tenant in tenants:
            yield from self.each((place, report.measure(tenant, place)) for place in report.places(tenant))

    def _print_csv(self, usages: Iterable[Usage]) -> None:
        writer: csv.DictWriter[str] = csv.DictWriter(self.stdout, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(usage.as_row() for usage in usages)

    def _print_table(self, usages: Iterable[Usage], shown: Callable[[int], str]) -> None:
        objects = size = 0
        self._print_row("tenant", "bucket", "model", "objects", "size")
        for usage in usages:
            objects, size = objects + usage.objects, size + usage.size
            row = usage.tenant or "-", usage.place, usage.model or "-", usage.objects, shown(usage.size)
            self._print_row(*row)
        self._print_row("in all", "", "", objects, shown(size))

    def _print_row(self, *cells: object) -> None:
        self.stdout.write(_ROW.format(*map(str, cells)))
