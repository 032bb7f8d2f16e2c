"""``manage.py purge_tenant``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.template.defaultfilters import filesizeformat

from django_minio_router import tenant_work
from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError
from django_minio_router.files.purge import Contents, count_contents, make_purge, refuse_shared
from django_minio_router.inventory.places import Place
from django_minio_router.management.dialogue import DialogueCommand
from django_minio_router.management.enqueuing import add_enqueue_arguments, enqueue, refuse_dry_run
from django_minio_router.tenancy import get_tenancy


class Command(DialogueCommand):
    help = (
        "Delete all files of a tenant from the server: every version, unfinished uploads, and its buckets. "
        "The tenant's row and schema stay, or may be gone already. Can be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("schema_name", metavar="SCHEMA", help="the schema name of the tenant")
        parser.add_argument("--dry-run", action="store_true", help="print what there is, and delete nothing")
        parser.add_argument(
            "--no-input", "--noinput", action="store_false", dest="interactive", help="delete without asking"
        )
        add_enqueue_arguments(parser)

    def handle(self, *args: Any, schema_name: str, **options: Any) -> None:
        refuse_dry_run(options)
        try:
            tenant = self._tenant(schema_name)
            found = make_purge(tenant)
            refuse_shared(found)
            places = self._report(found.places)
            if not places or options["dry_run"]:
                return
            if options["interactive"] and not self.may_delete(f"all files of the tenant {schema_name!r}"):
                raise CommandError("Nothing was deleted. Confirm with 'yes', or give --no-input.")
            # Of this very tenant, in these places: much may have changed before somebody confirms it.
            confirmed = {
                "key": None if isinstance(tenant, str) else str(tenant.pk),
                "places": [place.address for place in places],
            }
            if options["enqueue"]:
                enqueue(self.say, "purge", [schema_name], queue=options["queue"], **confirmed)
            else:
                self._delete(schema_name, places, confirmed)
        except (ConfigurationError, RoutingError, ServerError, DatabaseError) as error:
            raise CommandError(str(error)) from error

    def _tenant(self, schema_name: str) -> Any:
        """Return the row; where there is none, its name is all that is left of the tenant."""
        get_tenancy().require()
        if schema_name == get_tenancy().shared_key:
            raise CommandError(f"{schema_name!r} is the public schema, and no tenant.")
        row = get_tenancy().named(schema_name)
        if row is None:
            self.say(f"There is no tenant {schema_name!r} (any more). Looking for what it left behind.")
        return row or schema_name

    def _report(self, places: list[Place]) -> list[Place]:
        """Print what is there, and return where anything is."""
        found = [(place, count_contents(place)) for place in places]
        there = [(place, contents) for place, contents in found if _is_something(place, contents)]
        for place, contents in there:
            kind = "folder" if place.prefix else "bucket"
            self.say(f"{kind} {place} on {place.server.endpoint}: {_described(contents)}")
        if not there:
            self.say("There is nothing to delete.")
        elif len(there) > 1:
            total = sum((contents for _, contents in there), start=Contents())
            self.say(f"In all {len(there)} places: {_described(total)}.")
        return [place for place, _ in there]

    def _delete(self, schema_name: str, places: list[Place], confirmed: dict[str, Any]) -> None:
        self.deleted = 0
        tenant_work.purge(schema_name, **confirmed, report=self._count)
        for place in places:
            self.say(f"deleted: {place}")
        self.say(f"{self.deleted} versions deleted.")

    def _count(self, count: int) -> None:
        self.deleted += count
        if self.deleted % 10_000 == 0:
            self.say(f"{self.deleted} versions deleted so far")


def _is_something(place: Place, contents: Contents) -> bool:
    return contents.exists and (not place.prefix or any(contents[:3]))


def _described(contents: Contents) -> str:
    return (
        f"{contents.objects} objects and old versions, {filesizeformat(contents.size)}, "
        f"{contents.markers} delete markers, {contents.uploads} unfinished uploads"
    )
