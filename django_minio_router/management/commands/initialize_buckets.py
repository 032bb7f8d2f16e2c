"""``manage.py initialize_buckets``"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from itertools import chain
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from django_minio_router.buckets.ensure import Outcome, State
from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError
from django_minio_router.management.base import RouterCommand, add_dry_run_argument, add_jobs_argument
from django_minio_router.management.enqueue import add_enqueue_arguments, enqueue, for_each
from django_minio_router.management.progress import ProgressBar
from django_minio_router.management.tenants import add_tenant_arguments, named_tenants, tenants_or_active
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.new_tenant import provision
from django_minio_router.provisioning.plan import Plan, make_plan
from django_minio_router.tenancy import get_tenancy

_SAME_WARNINGS = 5  # printed with their buckets; more are only counted, unless --verbosity is 2


class Command(RouterCommand):
    help = (
        "Create the buckets of all storages in use, and set their policies. Expands strategies to concrete "
        "buckets, and changes nothing if two contradict each other. Can be repeated. Without a tenant "
        "option, and outside any tenant, lists and skips the strategies that need one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--own",
            action="store_true",
            help="only buckets that belong to a single tenant, without comparing them with other tenants'",
        )
        parser.add_argument(
            "--storage",
            action="append",
            dest="aliases",
            metavar="ALIAS",
            help="only the buckets of this alias in STORAGES; may be repeated",
        )
        parser.add_argument(
            "--adopt",
            action="store_true",
            help="mark existing buckets as this project's: purge_tenant only deletes marked ones",
        )
        add_dry_run_argument(parser)
        parser.add_argument(
            "--check", action="store_true", help="change nothing, and exit with 1 if anything differs"
        )
        add_jobs_argument(parser, "buckets")
        add_enqueue_arguments(parser)
        parser.add_argument("--silenced", action="store_true", help="print only errors")

    def handle(self, *args: Any, **options: Any) -> None:
        self.warnings = Counter[str]()
        self.dry_run = options["dry_run"] or options["check"]
        self._refuse_unknown(options["aliases"])
        if options["own"]:
            self._summarize(self._provision(**options), check=False)
            return
        plan = self._plan(**options)
        if options["enqueue"]:
            self._report_unused(plan, **options)
            self._enqueue(**options)
            return
        outcomes = self._apply(plan, options["jobs"], adopt=options["adopt"])
        self._report_unused(plan, **options)
        self._summarize(outcomes, check=options["check"])

    def _refuse_unknown(self, aliases: list[str] | None) -> None:
        unknown = set(aliases or ()) - set(settings.STORAGES)
        if unknown:
            raise CommandError(
                f"There is no storage {', '.join(sorted(unknown))} in STORAGES. "
                f"Use one of {', '.join(sorted(settings.STORAGES))}."
            )

    def _plan(self, *, aliases: list[str] | None, **options: Any) -> Plan:
        try:
            with closing(named_tenants(**options)) as tenants:  # its query is still open
                return make_plan(tenants, aliases)
        except (ConfigurationError, RoutingError, DatabaseError) as error:
            raise CommandError(f"Nothing was changed. {error}") from error

    def _provision(
        self, *, aliases: list[str] | None, enqueue: bool, adopt: bool, **options: Any
    ) -> list[Outcome]:
        if self.dry_run or enqueue:
            raise CommandError(
                "--own cannot be combined with --dry-run, --check and --enqueue. Leave out --own or the "
                "others."
            )
        outcomes: list[Outcome] = []
        tenants = (tenant for tenant in tenants_or_active(**options) if tenant is not None)
        with get_tenancy().context(None):  # to find the shared buckets
            for tenant in tenants:
                outcomes += provision(tenant, aliases, adopt=adopt)
        for outcome in outcomes:
            self._report(outcome)
        return outcomes

    def _enqueue(self, *, queue: str, aliases: list[str] | None, adopt: bool, **options: Any) -> None:
        """Enqueue one task for the buckets without a tenant, and one for each tenant."""
        chosen = [f"--storage={alias}" for alias in aliases or ()] + ["--adopt"] * adopt
        tenants = (tenant for tenant in tenants_or_active(**options) if tenant is not None)
        work = chain(for_each([None], *chosen), for_each(tenants, *chosen, "--own"))
        enqueue(self.say, "initialize_buckets", work, queue=queue)

    def _apply(self, plan: Plan, jobs: int, *, adopt: bool) -> list[Outcome]:
        total = len(plan.buckets) + len(plan.refused)
        with ProgressBar(self.stdout, total if self.verbosity > 0 else 0) as bar:

            def report(outcome: Outcome) -> None:
                with bar.step():
                    self._report(outcome)

            try:
                return apply_plan(plan, dry_run=self.dry_run, adopt=adopt, jobs=jobs, report=report)
            except ServerError as error:
                raise CommandError(f"Nothing was changed. {error}") from error

    def _report(self, outcome: Outcome) -> None:
        line = self._line(outcome)
        if outcome.state is State.FAILED:
            self.fail(line)
        elif outcome.warning and self._is_shown(outcome.warning):
            self.warn(f"{line}. Look at it: {outcome.warning}.")
        elif self.verbosity > (outcome.state is State.UNCHANGED):
            self.say(line)

    def _is_shown(self, warning: str) -> bool:
        """Count the warning, and return whether to print it: a few of the same are enough."""
        self.warnings[warning] += 1
        return self.verbosity > (self.warnings[warning] > _SAME_WARNINGS)

    def _line(self, outcome: Outcome) -> str:
        if outcome.state is State.FAILED:
            return f"{outcome.bucket}: failed. {outcome.cause}"
        detail = f" ({outcome.cause})" if outcome.cause else ""
        return f"{outcome.bucket}: {self._label(outcome.state)}{detail}"

    def _label(self, state: State) -> str:
        would = "would be " if self.dry_run and state in {State.CREATED, State.CHANGED} else ""
        return would + state.value

    def _report_unused(
        self, plan: Plan, *, all_tenants: bool, tenants: list[str] | None, **options: Any
    ) -> None:
        for source in () if all_tenants or tenants else plan.skipped:
            self.warn(f"Skipped {source.where}: no tenant is active. Use --all-tenants, or --tenant KEY.")
        for target in plan.unused_hooks:
            self.warn(f"The policy hook of {target!r} did nothing: no storage in this run uses it.")

    def _summarize(self, outcomes: list[Outcome], *, check: bool) -> None:
        counts = Counter(outcome.state for outcome in outcomes)
        summary = ", ".join(f"{counts[state]} {self._label(state)}" for state in State if counts[state])
        for warning, count in self.warnings.items():
            if count > _SAME_WARNINGS and self.verbosity == 1:
                self.warn(f"{count - _SAME_WARNINGS} more buckets: {warning}.")
        self.say(f"{summary}." if summary else "No storage in use needs a bucket here.")
        if self.failures:
            raise CommandError(f"{self.failures} of {len(outcomes)} buckets failed.")
        differing = counts[State.CREATED] + counts[State.CHANGED]
        if check and differing:
            raise CommandError(
                f"{differing} of {len(outcomes)} buckets differ. Create or change them with "
                "initialize_buckets, without --check."
            )
