"""``manage.py bucket_usage``"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError
from django_minio_router.files.usage import Usage, UsageReport
from django_minio_router.management.dialogue import DialogueCommand
from django_minio_router.management.enqueuing import add_enqueue_arguments, enqueue
from django_minio_router.management.tenants import add_tenant_arguments, tenants_asked_for
from django_minio_router.tenant_work import names_of

_COLUMNS = ("tenant", "bucket", "folder", "model", "objects", "bytes")  # of Usage.as_row()
_ROW = "{:<16} {:<30} {:<22} {:>8} {:>14}"


class Command(DialogueCommand):
    help = (
        "Print how many objects and bytes each tenant stores, by bucket and model. Without a tenant option "
        "this is about the active tenant, or about what is not one tenant's alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument("--format", choices=list(_FORMATS), default="table", help="default: table")
        add_enqueue_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.failures = 0
        try:
            if options["enqueue"]:
                names = names_of(tenants_asked_for(**options))
                enqueue(self.say, "measure", names, queue=options["queue"])
            else:
                self._print(**options)
        except (ConfigurationError, RoutingError, DatabaseError) as error:
            raise CommandError(str(error)) from error
        if self.failures:
            raise CommandError(f"{self.failures} places could not be read; see above.")

    def _print(self, **options: Any) -> None:
        tenants = tenants_asked_for(**options)  # first, as a heading is no answer to a wrong name
        form = _FORMATS[options["format"]](self.stdout)
        for usage in self._usages(tenants):
            form.add(usage)
        form.end()

    def _usages(self, tenants: Iterable[Any]) -> Iterator[Usage]:
        report = UsageReport()
        for tenant in tenants:
            for place in report.places(tenant):
                try:
                    yield from report.measure(tenant, place)
                except (ServerError, DatabaseError) as error:
                    self.failures += 1
                    self.stderr.write(self.style.ERROR(f"{place}: {str(error).strip()}"))


class _Format(Protocol):
    """Prints a row as it comes, so that memory does not grow with their number."""

    def __init__(self, stdout: Any) -> None: ...

    def add(self, usage: Usage) -> None: ...

    def end(self) -> None: ...


class _Table:
    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout
        self._objects = self._size = 0
        self._write("tenant", "bucket", "model", "objects", "bytes")

    def add(self, usage: Usage) -> None:
        self._objects += usage.objects
        self._size += usage.size
        self._write(usage.tenant or "-", usage.place, usage.model or "-", usage.objects, usage.size)

    def end(self) -> None:
        self._write("in all", "", "", self._objects, self._size)

    def _write(self, *cells: object) -> None:
        self._stdout.write(_ROW.format(*map(str, cells)))


class _Json:
    def __init__(self, stdout: Any) -> None:
        self._stdout = stdout
        self._before = "["

    def add(self, usage: Usage) -> None:
        row = json.dumps(usage.as_row())
        self._stdout.write(f"{self._before}\n{row}", ending="")
        self._before = ","

    def end(self) -> None:
        self._stdout.write("[]" if self._before == "[" else "\n]")


class _Csv:
    def __init__(self, stdout: Any) -> None:
        self._writer = csv.DictWriter(stdout, _COLUMNS, lineterminator="\n")
        self._writer.writeheader()

    def add(self, usage: Usage) -> None:
        self._writer.writerow(usage.as_row())

    def end(self) -> None:
        """There is nothing to close."""


_FORMATS: dict[str, type[_Format]] = {"table": _Table, "json": _Json, "csv": _Csv}
