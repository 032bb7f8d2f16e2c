"""``manage.py initialize_buckets``"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import closing
from itertools import chain
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from django_minio_router.buckets.ensure import Outcome, State
from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError
from django_minio_router.management.dialogue import DialogueCommand
from django_minio_router.management.enqueuing import add_enqueue_arguments, enqueue, refuse_dry_run
from django_minio_router.management.progress import ProgressBar
from django_minio_router.management.tenants import add_tenant_arguments, tenants_asked_for, tenants_named
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.plan import Plan, make_plan
from django_minio_router.tenancy import get_tenancy
from django_minio_router.tenant_work import names_of

_SAME_WARNINGS = 5  # each with its bucket; the rest are counted, unless --verbosity is 2


class Command(DialogueCommand):
    help = (
        "Create the buckets of all storages in use, and set their policies. Strategies are expanded to "
        "concrete buckets, and nothing is changed if two contradict each other. Can be repeated. Without a "
        "tenant option, and outside of any tenant, strategies that need one are named and skipped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--storage",
            action="append",
            dest="aliases",
            metavar="ALIAS",
            help="only the buckets of this alias in STORAGES; may be repeated",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would be done, and change nothing"
        )
        parser.add_argument(
            "--check", action="store_true", help="change nothing, and exit with 1 if anything differs"
        )
        parser.add_argument("--jobs", type=int, default=8, metavar="N", help="buckets at a time (default: 8)")
        add_enqueue_arguments(parser)
        parser.add_argument("--silenced", action="store_true", help="print nothing but errors")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["silenced"]:
            self.verbosity = 0
        self.warnings = Counter[str]()
        self.dry_run = options["dry_run"] or options["check"]
        if options["jobs"] < 1:
            raise CommandError(f"--jobs is {options['jobs']}. It takes a number from 1 up.")
        refuse_dry_run(options)
        self.told_tenants = options["all_tenants"] or bool(options["tenants"])
        plan = self._plan(**options)
        if options["enqueue"]:
            self._report_unused(plan)
            self._enqueue(**options)
            return
        outcomes = self._apply(plan, options["jobs"])
        self._report_unused(plan)
        self._conclude(outcomes, check=options["check"])

    def _plan(self, *, aliases: list[str] | None, **options: Any) -> Plan:
        try:
            with closing(self._tenants(**options)) as tenants:  # whose rows are being read
                return make_plan(tenants, self._aliases(aliases))
        except (ConfigurationError, RoutingError, DatabaseError) as error:
            raise CommandError(f"Nothing was changed. {error}") from error

    def _tenants(
        self, *, all_tenants: bool, tenants: list[str] | None, **options: Any
    ) -> Generator[Any, None, None]:
        if all_tenants:
            yield from get_tenancy().tenants()
        elif tenants:
            yield from tenants_named(tenants)

    def _enqueue(self, *, queue: str, aliases: list[str] | None, **options: Any) -> None:
        """Enqueue a task for what no tenant is needed for, and one for each tenant."""
        names = (name for name in names_of(tenants_asked_for(**options)) if name is not None)
        try:
            enqueue(self.say, "initialize", chain([None], names), queue=queue, aliases=aliases)
        except (ConfigurationError, DatabaseError) as error:
            raise CommandError(str(error)) from error

    def _aliases(self, aliases: list[str] | None) -> list[str] | None:
        unknown = set(aliases or ()) - set(settings.STORAGES)
        if unknown:
            raise CommandError(
                f"There is no storage {', '.join(sorted(unknown))} in STORAGES. "
                f"Known: {', '.join(sorted(settings.STORAGES))}."
            )
        return aliases

    def _apply(self, plan: Plan, jobs: int) -> list[Outcome]:
        total = len(plan.buckets) + len(plan.refused)
        with ProgressBar(self.stdout, total, shown=self.verbosity > 0) as bar:

            def report(outcome: Outcome) -> None:
                bar.advance()
                line = self._line(outcome)
                if outcome.state is State.FAILED:
                    bar.write(self.stderr, self.style.ERROR(line))
                elif outcome.warning and self._is_shown(outcome.warning):
                    bar.write(self.stdout, self.style.WARNING(f"{line}. Look at it: {outcome.warning}."))
                elif self.verbosity > (outcome.state is State.UNCHANGED):
                    bar.write(self.stdout, line)

            try:
                return apply_plan(plan, dry_run=self.dry_run, jobs=jobs, report=report)
            except ServerError as error:
                raise CommandError(f"Nothing was changed. {error}") from error

    def _is_shown(self, warning: str) -> bool:
        """Count the warning; of those that are the same for very many buckets, some are enough."""
        self.warnings[warning] += 1
        return self.verbosity > (self.warnings[warning] > _SAME_WARNINGS)

    def _line(self, outcome: Outcome) -> str:
        if outcome.state is State.FAILED:
            return f"{outcome.bucket}: failed. {outcome.cause}"
        detail = f" ({outcome.cause})" if outcome.cause else ""
        return f"{outcome.bucket}: {self._would_be(outcome.state)}{detail}"

    def _would_be(self, state: State) -> str:
        would = "would be " if self.dry_run and state in {State.CREATED, State.CHANGED} else ""
        return would + state.value

    def _report_unused(self, plan: Plan) -> None:
        for source in () if self.told_tenants else plan.skipped:
            self._warn(f"Skipped {source.where}: no tenant is active. Use --all-tenants, or --tenant SCHEMA.")
        for target in plan.idle_hooks:
            self._warn(f"The policy hook of {target!r} did nothing: no storage in this run uses it.")

    def _conclude(self, outcomes: list[Outcome], *, check: bool) -> None:
        counts = Counter(outcome.state for outcome in outcomes)
        summary = ", ".join(f"{counts[state]} {self._would_be(state)}" for state in State if counts[state])
        for warning, count in self.warnings.items():
            if count > _SAME_WARNINGS and self.verbosity == 1:
                self._warn(f"{count - _SAME_WARNINGS} more buckets: {warning}.")
        self.say(f"{summary}." if summary else "No storage in use needs a bucket here.")
        if counts[State.FAILED]:
            raise CommandError(f"{counts[State.FAILED]} of {len(outcomes)} buckets failed.")
        differing = counts[State.CREATED] + counts[State.CHANGED]
        if check and differing:
            raise CommandError(
                f"{differing} of {len(outcomes)} buckets differ. Mend them with initialize_buckets, "
                "without --check."
            )

    def _warn(self, text: str) -> None:
        self.say(self.style.WARNING(text))
