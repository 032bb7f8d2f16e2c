"""``manage.py purge_tenant``"""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from django_minio_router.exceptions import RoutingError
from django_minio_router.files.purge import (
    Contents,
    count_contents,
    make_purge,
    purge,
    refuse_shared,
    refuse_unmarked,
)
from django_minio_router.inventory.places import Place
from django_minio_router.management.base import RouterCommand, add_dry_run_argument, add_no_input_argument
from django_minio_router.management.enqueue import add_enqueue_arguments, enqueue
from django_minio_router.tenancy import get_tenancy


class Command(RouterCommand):
    help = (
        "Delete all files of a tenant from the server: every version, unfinished uploads, and its buckets. "
        "The tenant's row and schema are not touched, and need not exist any more. Can be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenant", metavar="KEY", help="the schema name or key of the tenant")
        add_dry_run_argument(parser)
        add_no_input_argument(parser)
        add_enqueue_arguments(parser)
        # For a task, what a person confirmed: the primary key of the row, or "" if there was none, and the
        # addresses of the places.
        parser.add_argument("--confirmed", nargs="+", help=argparse.SUPPRESS)

    def handle(self, *args: Any, tenant: str, **options: Any) -> None:
        get_tenancy().require()
        if tenant == get_tenancy().shared_key:
            raise CommandError(f"{tenant!r} is the public schema, not a tenant.")
        confirmed = options["confirmed"] or self._confirmed(tenant, **options)
        if options["enqueue"] and confirmed:
            work = [(tenant, [tenant, "--confirmed", *confirmed])]
            enqueue(self.say, "purge_tenant", work, queue=options["queue"])
        elif confirmed:
            self._delete(tenant, *confirmed)

    def _confirmed(self, tenant: str, *, dry_run: bool, interactive: bool, **options: Any) -> list[str]:
        """Return the primary key of the row and the addresses of the places; empty to delete nothing.

        They are checked again later, since both may change before a worker deletes the files.
        """
        row = get_tenancy().named(tenant)
        if row is None:
            self.say(f"The tenant {tenant!r} does not exist. Looking for what it left behind.")
        found = make_purge(row or tenant)
        refuse_shared(found)
        refuse_unmarked(found.places)
        places = self._report(found.places)
        if not places or dry_run:
            return []
        if interactive:
            self.confirm(f"all files of the tenant {tenant!r}")
        return ["" if row is None else str(row.pk), *(place.address for place in places)]

    def _report(self, places: list[Place]) -> list[Place]:
        """Print the contents, and return the places that are not empty."""
        found = [(place, count_contents(place)) for place in places]
        non_empty = [(place, contents) for place, contents in found if _is_not_empty(place, contents)]
        for place, contents in non_empty:
            kind = "folder" if place.prefix else "bucket"
            self.say(f"{kind} {place} on {place.server.endpoint}: {_summary(contents)}")
        if not non_empty:
            self.say("There is nothing to delete.")
        elif len(non_empty) > 1:
            total = sum((contents for _, contents in non_empty), start=Contents())
            self.say(f"In all {len(non_empty)} places: {_summary(total)}.")
        return [place for place, _ in non_empty]

    def _delete(self, tenant: str, pk: str, *places: str) -> None:
        self.deleted = 0
        with get_tenancy().context(None):
            for place in purge(_tenant(tenant, pk), only=places, report=self._count):
                self.say(f"deleted: {place}")
        self.say(f"{self.deleted} versions deleted.")

    def _count(self, count: int) -> None:
        self.deleted += count
        if self.deleted % 10_000 == 0:
            self.say(f"{self.deleted} versions deleted so far")


def _tenant(tenant: str, pk: str) -> Any:
    """Return the row, or the key if it is deleted. ``RoutingError`` if the key is another tenant's now."""
    row = get_tenancy().named(tenant)
    renamed = row is None and pk != "" and get_tenancy().find(pk) is not None
    if renamed or (row is not None and str(row.pk) != pk):
        raise RoutingError(
            f"Nothing was deleted. {tenant!r} is no longer the tenant that was confirmed: it was "
            "renamed or created again. Check it, and run 'manage.py purge_tenant' again."
        )
    return row or tenant


def _is_not_empty(place: Place, contents: Contents) -> bool:
    return contents.exists and (not place.prefix or any(contents[:3]))


def _summary(contents: Contents) -> str:
    return (
        f"{contents.objects} objects and old versions, {filesizeformat(contents.size)}, "
        f"{contents.markers} delete markers, {contents.uploads} unfinished uploads"
    )
