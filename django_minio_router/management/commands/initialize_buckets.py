"""``manage.py initialize_buckets``"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_minio_router import tenancy
from django_minio_router.buckets import Outcome, State
from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError
from django_minio_router.initializer import Plan, apply_plan, make_plan
from django_minio_router.management.progress import ProgressBar
from django_minio_router.management.tenants import add_tenant_arguments, tenants_named


class Command(BaseCommand):
    help = (
        "Create the buckets of all storages in use, and set their policies. Expands strategies to "
        "concrete buckets, refuses contradictions before it changes anything, and can be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--storage",
            action="append",
            dest="aliases",
            metavar="ALIAS",
            help="only storages of this alias in STORAGES; may be repeated",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would be done, and change nothing"
        )
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing, and exit with 1 if anything differs",
        )
        parser.add_argument("--jobs", type=int, default=8, metavar="N", help="buckets at a time (default: 8)")
        parser.add_argument("--silenced", action="store_true", help="print nothing but errors")

    def handle(self, *args: Any, **options: Any) -> None:
        self.verbosity = 0 if options["silenced"] else options["verbosity"]
        self.dry_run = options["dry_run"] or options["check"]
        if options["jobs"] < 1:
            raise CommandError(f"--jobs is {options['jobs']}. It takes a number from 1 up.")
        try:
            plan = make_plan(self._tenants(**options), self._aliases(options["aliases"]))
            outcomes = self._apply(plan, options["jobs"])
        except (ConfigurationError, RoutingError, ServerError) as error:
            raise CommandError(str(error)) from error
        self._conclude(plan, outcomes, check=options["check"], told_tenants=self.told_tenants)

    def _tenants(self, *, all_tenants: bool, tenants: list[str] | None, **options: Any) -> Iterable[Any]:
        self.told_tenants = all_tenants or bool(tenants)
        if all_tenants:
            return tenancy.tenants()
        return tenants_named(tenants) if tenants else ()

    def _aliases(self, aliases: list[str] | None) -> list[str] | None:
        unknown = set(aliases or ()) - set(settings.STORAGES)
        if unknown:
            raise CommandError(
                f"There is no storage {', '.join(sorted(unknown))} in STORAGES. "
                f"Known: {', '.join(sorted(settings.STORAGES))}."
            )
        return aliases

    def _apply(self, plan: Plan, jobs: int) -> list[Outcome]:
        self._say(f"{len(plan.buckets)} buckets, {jobs} at a time", at=2)
        with ProgressBar(self.stdout, len(plan.buckets), shown=self.verbosity > 0) as bar:

            def report(outcome: Outcome) -> None:
                bar.advance()
                if outcome.state is State.FAILED:
                    bar.write(self.stderr, self.style.ERROR(_line(outcome, self.dry_run)))
                elif self.verbosity > (outcome.state is State.UNCHANGED):
                    bar.write(self.stdout, _line(outcome, self.dry_run))

            return apply_plan(plan, dry_run=self.dry_run, jobs=jobs, report=report)

    def _conclude(self, plan: Plan, outcomes: list[Outcome], *, check: bool, told_tenants: bool) -> None:
        if not told_tenants:
            for where, strategy in plan.skipped.items():
                self._say(
                    self.style.WARNING(f"Skipped {strategy!r} of {where}: no tenant is active. ")
                    + "Use --all-tenants, or --tenant SCHEMA."
                )
        counts = Counter(outcome.state for outcome in outcomes)
        self._say(", ".join(f"{counts[state]} {state.value}" for state in State) + ".")
        if counts[State.FAILED]:
            raise CommandError(f"{counts[State.FAILED]} of {len(outcomes)} buckets failed.")
        differing = counts[State.CREATED] + counts[State.CHANGED]
        if check and differing:
            raise CommandError(f"{differing} of {len(outcomes)} buckets differ.", returncode=1)

    def _say(self, text: str, at: int = 1) -> None:
        if self.verbosity >= at:
            self.stdout.write(text)


def _line(outcome: Outcome, dry_run: bool) -> str:
    would = "would be " if dry_run and outcome.state in {State.CREATED, State.CHANGED} else ""
    cause = f" ({outcome.cause})" if outcome.cause else ""
    return f"{outcome.bucket}: {would}{outcome.state.value}{cause}"
