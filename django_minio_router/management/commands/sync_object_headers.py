"""``manage.py sync_object_headers``"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser

from django_minio_router.files.headers import HeaderState, HeaderSync
from django_minio_router.management.base import FileCommand, add_dry_run_argument, add_jobs_argument
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active


class Command(FileCommand):
    help = (
        "Update the headers of the files that rows name to what a save would set now: type, metadata, "
        "attachment or not. Adds and changes headers, but removes none. Can be repeated. A file that is "
        "replaced during the run is not changed. Without a tenant option, handle the active tenant, or "
        "public."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--storage",
            action="append",
            dest="aliases",
            metavar="ALIAS",
            help="handle all files of this alias in STORAGES instead, such as staticfiles; may be repeated",
        )
        parser.add_argument(
            "--model",
            action="append",
            dest="labels",
            metavar="APP.MODEL",
            help="only the files of this model; may be repeated",
        )
        parser.add_argument(
            "--types", action="store_true", help="derive the type from the name, whatever a browser declared"
        )
        parser.add_argument(
            "--server-copy",
            action="store_true",
            help="let every server copy files onto themselves, so their content does not pass through the "
            "command; use it only while nothing else writes",
        )
        add_dry_run_argument(parser)
        add_jobs_argument(parser, "files")

    def handle(self, *args: Any, **options: Any) -> None:
        sync = HeaderSync(
            options["aliases"] or (),
            options["labels"] or (),
            by_name=options["types"],
            by_copy=options["server_copy"],
            dry_run=options["dry_run"],
        )
        counts = Counter[HeaderState]()
        for tenant in tenants_or_active(**options):
            for outcome in sync.run(tenant, jobs=options["jobs"]):
                counts[outcome.state] += 1
                changed = outcome.state is HeaderState.CHANGED
                self.report(outcome, shown=changed and (sync.dry_run or self.verbosity > 1))
        self.summarize(counts, HeaderState.CHANGED, dry_run=sync.dry_run)
