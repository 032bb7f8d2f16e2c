"""Create and correct planned buckets, several at a time; a failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from ..buckets.ensure import Outcome, PlannedBucket, State, ensure_bucket
from ..exceptions import ServerError
from ..s3.client import Client, get_client
from ..s3.listing import bucket_names, pages
from .plan import Plan

# The names of the existing buckets, None if listing is not allowed, or the error of the server.
_Existing: TypeAlias = "Collection[str] | ServerError | None"

_PAGE = 500  # buckets submitted to the threads at once: a pending one takes a hundred times its name


def apply_plan(
    plan: Plan,
    *,
    dry_run: bool = False,
    adopt: bool = False,
    jobs: int = 8,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Create missing buckets and correct others, ``jobs`` at a time, and report each in order.

    With ``adopt``, existing buckets are marked as ours, so that they can be purged. With ``dry_run``, nothing
    is changed, and the outcomes say what would happen. Raise ``ServerError`` if no server can be used; if
    some can, their buckets are processed.
    """
    existing = _existing_buckets(plan)

    def run(planned: PlannedBucket) -> Outcome:
        names = existing[get_client(planned.config.internal)]
        if isinstance(names, ServerError):
            return Outcome(planned.name, State.FAILED, str(names))
        return try_bucket(planned, existing=names, dry_run=dry_run, adopt=adopt)

    outcomes = list(plan.refused)
    for outcome in outcomes:
        report(outcome)
    threads = ThreadPoolExecutor(jobs)
    try:
        for page in pages(plan.buckets.values(), _PAGE):
            for outcome in threads.map(run, page):
                report(outcome)
                outcomes.append(outcome)
    finally:
        threads.shutdown(cancel_futures=True)  # on Ctrl-C, finish only what is running
    return outcomes


def try_bucket(planned: PlannedBucket, **options: Any) -> Outcome:
    """Do as ``ensure_bucket`` with these options, and return any error as the outcome."""
    try:
        return ensure_bucket(planned, **options)
    except Exception as error:
        return Outcome(planned.name, State.FAILED, str(error) or type(error).__name__)


def _existing_buckets(plan: Plan) -> dict[Client, _Existing]:
    """Return the buckets of each server, listed once."""
    servers = {get_client(planned.config.internal) for planned in plan.buckets.values()}
    existing = {client: _bucket_names(client) for client in servers}
    errors = [answer for answer in existing.values() if isinstance(answer, ServerError)]
    if errors and len(errors) == len(existing):
        raise errors[0]
    return existing


def _bucket_names(client: Client) -> _Existing:
    try:
        return set(bucket_names(client))
    except ServerError as error:
        return None if error.code == "AccessDenied" else error
