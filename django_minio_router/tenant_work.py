"""What the commands do for one tenant, for tasks: told a schema name, it answers in JSON or raises.

Each function may be repeated, and run by several workers at once. None stands for what is no tenant's.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from .buckets.ensure import State
from .exceptions import RoutingError, TenantRequired
from .files import move as moving
from .files import purge as purging
from .files.ledger import Ledger
from .files.move import MoveState
from .files.usage import UsageReport
from .provisioning import new_tenant as provisioning
from .provisioning.apply import apply_plan
from .provisioning.plan import make_plan
from .tenancy import get_tenancy

logger = logging.getLogger(__name__)

_TOLD = 20  # lines in a result or an error; a database keeps it, and there may be millions of files


class Incomplete(Exception):
    """Some of the work failed, and all else was done. The message has the counts and the first causes."""


class _Report:
    """How much came to which end, and what a person should look at: logged, and the first lines kept."""

    def __init__(self, ends: Iterable[str]) -> None:
        self.counts = Counter(dict.fromkeys(ends, 0))
        self._failures: list[str] = []
        self._warnings: list[str] = []
        self._failed = 0

    def fail(self, line: str) -> None:
        self._failed += 1
        logger.error(line)
        self._failures += [line][: _TOLD - len(self._failures)]

    def warn(self, line: str) -> None:
        logger.warning(line)
        self._warnings += [line][: _TOLD - len(self._warnings)]

    def result(self) -> dict[str, Any]:
        """Return the counts and the warnings. ``Incomplete`` if anything failed."""
        if self._failed:
            counts = ", ".join(f"{count} {end}" for end, count in self.counts.items() if count)
            raise Incomplete(f"{counts}. {'; '.join(self._failures)}")
        return {**self.counts, "warnings": self._warnings}


# Whose work there is


def schema_names() -> Iterator[str | None]:
    """Yield None, and then the schema name of each tenant; memory does not grow with their number."""
    return names_of(get_tenancy().everyone())


def names_of(tenants: Iterable[Any | None]) -> Iterator[str | None]:
    for tenant in tenants:
        yield None if tenant is None else str(tenant.schema_name)


def _row(schema_name: str | None) -> Any | None:
    """Return the tenant's row, or None for what is no tenant's. ``TenantRequired`` if it is gone."""
    if schema_name is None:
        return None
    get_tenancy().require()
    row = get_tenancy().named(schema_name)
    if row is None:
        raise TenantRequired(f"There is no tenant {schema_name!r} (any more), so nothing was done for it.")
    return row


# The work


def initialize(schema_name: str | None, aliases: Collection[str] | None = None) -> dict[str, Any]:
    """Create the buckets that are this tenant's alone, or those that no tenant is needed for."""
    report = _Report(state.value for state in State)
    with get_tenancy().context(None):
        tenant = _row(schema_name)
        if tenant is None:
            outcomes = apply_plan(make_plan(aliases=aliases))
        else:
            outcomes = provisioning.provision(tenant, aliases)
    for outcome in outcomes:
        report.counts[outcome.state.value] += 1
        if outcome.state is State.FAILED:
            report.fail(f"{outcome.bucket}: {outcome.cause}")
        elif outcome.warning:
            report.warn(f"{outcome.bucket}: {outcome.warning}")
    return report.result()


def purge(
    schema_name: str,
    *,
    key: str | None,
    places: Collection[str],
    report: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Delete what the tenant has in the places that were confirmed, each as ``Place.address`` says it.

    ``key`` is the primary key that its row had then; None if there was no row any more. If the name is
    another tenant's now, or a place is not this one's alone, ``RoutingError``, and nothing is deleted.
    ``report`` is told how many versions were deleted since it was last told.
    """
    versions = 0

    def count(deleted: int) -> None:
        nonlocal versions
        versions += deleted
        report(deleted)

    with get_tenancy().context(None):
        tenant = _confirmed(schema_name, key)
        purging.purge(schema_name if tenant is None else tenant, only=places, report=count)
    return {"versions": versions, "places": sorted(places)}


def _confirmed(schema_name: str, key: str | None) -> Any | None:
    """Return the row, or None where it is gone. ``RoutingError`` if the name is not that tenant's now."""
    row = get_tenancy().named(schema_name)
    renamed = row is None and key is not None and get_tenancy().find(key) is not None
    if renamed or (row is not None and str(row.pk) != key):
        raise RoutingError(
            f"Nothing was deleted. {schema_name!r} is not the tenant any more whose files were to be: it was "
            "renamed, or created anew. Look at it, and run 'manage.py purge_tenant' again."
        )
    return row


def move(
    schema_name: str | None,
    *,
    source: str,
    to: str | None = None,
    labels: Collection[str] = (),
    jobs: int = 8,
    delete_source: bool = False,
) -> dict[str, Any]:
    """Move the files that this tenant's rows name. The arguments are the options of ``move_objects``.

    With ``delete_source`` everybody's rows are read, since a file stays that another one names.
    """
    report = _Report(state.name.lower() for state in MoveState)
    with get_tenancy().context(None):
        tenant = _row(schema_name)
        plan = moving.make_move(source, to, labels)
        ledger = Ledger()
        for outcome in moving.move_files(plan, tenant, jobs=jobs):
            ledger.record(outcome)
            _note(report, outcome)
        if delete_source:
            ledger.read_rows(plan, get_tenancy().everyone())
            _delete(report, ledger, jobs)
    return report.result()


def _note(report: _Report, outcome: moving.FileOutcome) -> None:
    report.counts[outcome.state.name.lower()] += 1
    line = f"{outcome.state.value}: {outcome.name} of {outcome.where}: {outcome.cause}"
    if outcome.state in {MoveState.DIFFERING, MoveState.FAILED}:
        report.fail(line)
    elif outcome.state in {MoveState.MISSING, MoveState.SKIPPED}:
        report.warn(line)


def _delete(report: _Report, ledger: Ledger, jobs: int) -> None:
    """Delete what no other row needs; what others need is no failure."""
    _, report.counts["needed"] = ledger.count()
    for left in ledger.delete_from_source(jobs=jobs):
        report.counts["deleted" if left is None else "kept"] += 1
        if left is not None:
            report.fail(f"kept: {left.name}: {left.cause}")


def measure(schema_name: str | None) -> list[dict[str, Any]]:
    """Return the rows that ``bucket_usage`` prints for this tenant, or for what is not one tenant's alone."""
    with get_tenancy().context(None):
        tenant = _row(schema_name)
        usages = UsageReport()
        places = usages.places(tenant)
        return [usage.as_row() for place in places for usage in usages.measure(tenant, place)]
