"""``manage.py move_objects``"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.files.ledger import Ledger
from django_minio_router.files.move import Move, MoveState, count_files, make_move, move_files
from django_minio_router.management.base import (
    FileCommand,
    add_dry_run_argument,
    add_jobs_argument,
    add_no_input_argument,
)
from django_minio_router.management.enqueue import add_enqueue_arguments, enqueue, for_each
from django_minio_router.management.progress import ProgressBar
from django_minio_router.management.tenants import add_tenant_arguments, named_tenants, tenants_or_active
from django_minio_router.tenancy import get_tenancy


class Command(FileCommand):
    help = (
        "Copy the files that rows name from their old place to where their fields store now, and compare "
        "them. Nothing is ever overwritten. Can be repeated, and continues after an interruption. Without a "
        "tenant option, handle the active tenant, or public."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "--from",
            dest="source",
            metavar="PLACE",
            help="an alias of STORAGES, a bucket, the dotted path of a strategy, or 'media' for MEDIA_ROOT; "
            "'bucket:NAME' is always a bucket",
        )
        source.add_argument(
            "--copy",
            dest="copied",
            metavar="TENANT",
            help="copy from the places of this other tenant, whose clone is the one in --tenant",
        )
        parser.add_argument(
            "--to",
            metavar="STRATEGY",
            help="the dotted path of a strategy (default: each field's own storage)",
        )
        parser.add_argument(
            "--model",
            action="append",
            dest="labels",
            metavar="APP.MODEL",
            help="only this model, whatever storage its fields use now; may be repeated",
        )
        add_dry_run_argument(parser)
        add_jobs_argument(parser, "files")
        parser.add_argument(
            "--delete-source",
            action="store_true",
            help="then delete the files from the old place that are verified and that no other row needs",
        )
        add_no_input_argument(parser)
        add_enqueue_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.dry_run, self.jobs = options["dry_run"], options["jobs"]
        try:
            copied = _copied(**options)
            move = make_move(options["source"], options["to"], options["labels"] or (), copied=copied)
            if options["enqueue"]:
                self._enqueue(**options)
            else:
                self._move(move, **options)
        except OSError as error:  # from the server, or an unreadable folder
            cause = str(error).rstrip(".")
            raise CommandError(f"{cause}. Start it again: it resumes where it stopped.") from error
        except sqlite3.Error as error:  # from the ledger: the project's databases raise Django's errors
            raise CommandError(
                f"The list of moved files cannot be written ({error}). It is a temporary file with a row for "
                "each file: set SQLITE_TMPDIR to a folder with more space. Start it again: it resumes where "
                "it stopped."
            ) from error

    def _move(self, move: Move, *, all_tenants: bool, delete_source: bool, **options: Any) -> None:
        ledger = Ledger()
        self._copy(move, ledger, all_tenants=all_tenants, **options)
        everybody = all_tenants or get_tenancy().problem() is not None
        if everybody or delete_source:
            ledger.read_rows(move, get_tenancy().everyone())
        if everybody:
            self._report_orphans(ledger)
        if delete_source:
            self._delete(ledger, ask=options["interactive"])

    def _enqueue(self, *, source: str | None, to: str | None, delete_source: bool, **options: Any) -> None:
        origin = f"--from={source}" if source is not None else f"--copy={options['copied']}"
        chosen = [origin, f"--jobs={self.jobs}"]
        chosen += [f"--to={to}"] if to else []
        chosen += [f"--model={label}" for label in options["labels"] or ()]
        if delete_source:
            if options["interactive"]:
                what = "from the old place what each task has moved and no other row names"
                self.confirm(what, refused="Nothing was enqueued.")
            chosen += ["--delete-source", "--no-input"]
        work = for_each(tenants_or_active(**options), *chosen)
        enqueue(self.say, "move_objects", work, queue=options["queue"])

    def _copy(self, move: Move, ledger: Ledger, **options: Any) -> None:
        shown = self.verbosity > 0 and self.stdout.isatty()
        total = sum(count_files(move, tenant) for tenant in tenants_or_active(**options)) if shown else 0
        counts = Counter[MoveState]()
        with ProgressBar(self.stdout, total) as bar:
            for tenant in tenants_or_active(**options):
                for outcome in move_files(move, tenant, jobs=self.jobs, dry_run=self.dry_run):
                    counts[outcome.state] += 1
                    ledger.record(outcome)
                    with bar.step():
                        self.report(outcome, shown=self.verbosity > 1)
        self.summarize(counts, MoveState.COPIED, dry_run=self.dry_run)

    def _report_orphans(self, ledger: Ledger) -> None:
        count = 0
        for origin, name in ledger.orphans():
            count += 1
            self.say(f"orphaned: {name} in {origin}")
        self.say(f"{count} orphaned: in the old place, and in no row.")

    def _delete(self, ledger: Ledger, *, ask: bool) -> None:
        ready, needed = ledger.count()
        if needed:
            self.say(f"{needed} stay in the old place: other rows, which were not moved, name them too.")
        if self.dry_run or not ready:
            self.say(f"{ready} {'would be' if self.dry_run else 'were'} deleted from the old place.")
            return
        if ask:
            self.confirm(f"{ready} files from the old place")
        deleted = 0
        for left in ledger.delete_from_source(jobs=self.jobs):
            if left is None:
                deleted += 1
            else:
                self.fail(f"kept: {left.name}: {left.cause}")
        self.say(f"{deleted} were deleted from the old place.")


def _copied(*, copied: str | None, tenants: list[str] | None, delete_source: bool, **options: Any) -> Any:
    """Return the tenant whose files are copied, or None. ``CommandError`` for conflicting options."""
    if copied is None:
        return None
    if not tenants or copied in tenants or delete_source:
        raise CommandError(
            f"--copy {copied} copies the files of one tenant to another, and keeps them. Name the other "
            "tenant with --tenant, and leave out --delete-source."
        )
    return next(iter(named_tenants(all_tenants=False, tenants=[copied])))
