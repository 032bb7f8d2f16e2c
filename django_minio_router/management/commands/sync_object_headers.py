"""``manage.py sync_object_headers``"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.files.headers import HeaderOutcome, HeaderState, HeaderSync
from django_minio_router.management.base import RouterCommand, add_jobs_argument
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active


class Command(RouterCommand):
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
        parser.add_argument(
            "--dry-run", action="store_true", help="print what the command would do, and change nothing"
        )
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
                self._report(outcome, dry_run=sync.dry_run)
        would = "would be " if sync.dry_run else ""
        shown = [state for state in HeaderState if counts[state] or state is not HeaderState.SKIPPED]
        parts = (f"{counts[s]} {would if s is HeaderState.CHANGED else ''}{s.value}" for s in shown)
        self.say(", ".join(parts) + ".")
        if self.failures:
            raise CommandError(f"{self.failures} files need a look; see above.")

    def _report(self, outcome: HeaderOutcome, *, dry_run: bool) -> None:
        line = f"{outcome.state.value}: {' of '.join(filter(None, (outcome.name, outcome.where)))}"
        line = f"{line}: {outcome.cause}" if outcome.cause else line
        if outcome.state is HeaderState.FAILED:
            self.fail(line)
        elif outcome.state in (HeaderState.MISSING, HeaderState.SKIPPED):
            self.warn(line)
        elif outcome.state is HeaderState.CHANGED and (dry_run or self.verbosity > 1):
            self.say(line)
