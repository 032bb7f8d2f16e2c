"""``manage.py clean_orphaned_minio_files``"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from tempfile import TemporaryFile
from typing import IO, Any

from django.core.management.base import CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from django_minio_router.files.misplaced import without_misplaced
from django_minio_router.files.orphans import (
    DeletionState,
    Orphan,
    Sweep,
    delete_orphans,
    find_missing,
    find_orphans,
    make_sweep,
    own_routes,
)
from django_minio_router.inventory.columns import Column
from django_minio_router.inventory.places import Place
from django_minio_router.management.base import RouterCommand, add_dry_run_argument, add_no_input_argument
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active
from django_minio_router.tenancy import get_tenancy

_MAX_AGE = 1_000_000  # hours, or 114 years; excludes NaN and values outside of the range of dates


class Command(RouterCommand):
    help = (
        "Delete the objects that no row refers to, from the buckets that file fields store in. Without a "
        "tenant option, handle the active tenant, or public. Files stored without a row are orphans too: run "
        "it with --dry-run first."
    )
    failed = "of the buckets, columns and objects failed"

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        add_dry_run_argument(parser)
        parser.add_argument(
            "--check-missing", action="store_true", help="also print the rows whose object is missing"
        )
        parser.add_argument(
            "--min-age",
            type=float,
            default=24,
            metavar="HOURS",
            help="keep newer objects, whose row may not be saved yet (default: 24)",
        )
        parser.add_argument(
            "--max-share",
            type=float,
            default=0.5,
            metavar="SHARE",
            help="leave a bucket alone if more than this share of its objects are orphans (default: 0.5)",
        )
        add_no_input_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["min_age"] <= _MAX_AGE:
            raise CommandError(f"--min-age is {options['min_age']:g}. Use 0 to {_MAX_AGE} hours.")
        if not 0 <= options["max_share"] <= 1:
            raise CommandError(f"--max-share is {options['max_share']:g}. Use a number from 0 to 1.")
        if options["all_tenants"]:
            _require_known_tenants()
        before = datetime.now(timezone.utc) - timedelta(hours=options["min_age"])
        sweep = make_sweep(tenants_or_active(**options))
        if options["check_missing"]:
            self._report_missing(sweep)
        self._max_share = options["max_share"]
        self._clean(sweep, before, dry_run=options["dry_run"], ask=options["interactive"])

    def _clean(self, sweep: Sweep, before: datetime, *, dry_run: bool, ask: bool) -> None:
        for place, reason in sorted(sweep.left_alone.items(), key=lambda item: item[0].address):
            self.warn(f"{place} is left alone: {reason}.")
        for note in sweep.notes:
            self.say(note)
        # On disk until confirmed, since there may be millions.
        with TemporaryFile("w+") as reported:
            counts = self._report(sweep, before, reported)
            self._skip_suspicious_places(sweep, counts, self.warn if dry_run else self.fail)
            count = sum(counts[place] for place in sweep.cleanable)
            if not count or dry_run:
                return
            if ask:
                self.confirm(f"{count} objects")
            reported.seek(0)
            self._delete(sweep, before, reported)

    def _report(self, sweep: Sweep, before: datetime, reported: IO[str]) -> Counter[Place]:
        """Print the orphans, and return their number in each place."""
        counts, size = Counter[Place](), 0
        orphans = self.each((place, find_orphans(sweep, place, before)) for place in sweep.cleanable)
        for orphan in without_misplaced(sweep, orphans, self._spare):
            self.say(f"orphan: {orphan.place.bucket}/{orphan.name}")
            reported.write(json.dumps([orphan.place.address, *orphan[1:]]) + "\n")
            counts[orphan.place] += 1
            size += orphan.size
        total, buckets = _pluralize(counts.total(), "orphan"), _pluralize(len(sweep.cleanable), "bucket")
        self.say(f"{total}, {filesizeformat(size)}, in {buckets}.")
        if sweep.spared:
            self.say(f"{_pluralize(sweep.spared, 'younger one')} spared: see --min-age.")
        return counts

    def _skip_suspicious_places(
        self, sweep: Sweep, counts: Counter[Place], say: Callable[[str], None]
    ) -> None:
        """Leave places alone whose share of orphans is suspicious: some rows were probably not read."""
        for place, count in counts.items():
            listed = sweep.listed[place]
            if count > self._max_share * listed:
                sweep.left_alone[place] = "most of it would go"
                say(
                    f"{place} is left alone: {count} of its {listed} objects are orphans, more than "
                    f"--max-share={self._max_share:g} allows. Check that all rows were read, and use "
                    "--max-share=1 if all of them may be deleted."
                )

    def _spare(self, orphan: Orphan, column: Column) -> None:
        self.warn(
            f"spared: {orphan.place.bucket}/{orphan.name}: {column} refers to it, and has no such file of "
            "its own. Store it where its row is, or delete it by hand."
        )

    def _delete(self, sweep: Sweep, before: datetime, reported: IO[str]) -> None:
        counts = Counter[DeletionState]()
        places = {place.address: place for place in sweep.cleanable}
        orphans = (orphan for line in reported if (orphan := _orphan(line, places)) is not None)
        for deletion in delete_orphans(sweep, orphans, before):
            counts[deletion.state] += 1
            line = f"{deletion.orphan.place.bucket}/{deletion.orphan.name}: {deletion.cause}"
            if deletion.state is DeletionState.FAILED:
                self.fail(line)
            elif deletion.state is DeletionState.SPARED:
                self.say(f"spared: {line}")
        self.say(", ".join(f"{counts[state]} {state.value}" for state in DeletionState) + ".")

    def _report_missing(self, sweep: Sweep) -> None:
        count = 0
        for missing in self.each((route.column, find_missing(route)) for route in own_routes(sweep)):
            count += 1
            row = f"{missing.column} of the row {missing.key}"
            self.warn(f"missing: {missing.place}/{missing.name}, which {row} refers to")
        self.say(f"{count} rows refer to a missing object.")


def _orphan(line: str, places: Mapping[str, Place]) -> Orphan | None:
    """Return the orphan on this line, or None if its place is left alone."""
    address, *described = json.loads(line)
    return Orphan(places[address], *described) if address in places else None


def _require_known_tenants() -> None:
    """Raise ``CommandError`` if the tenants are unknown: all their files would count as orphans."""
    problem = get_tenancy().problem()
    if problem is not None:
        raise CommandError(
            f"--all-tenants cannot find the tenants: {problem.rstrip('.')}. Leave it out if there are none."
        )


def _pluralize(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
