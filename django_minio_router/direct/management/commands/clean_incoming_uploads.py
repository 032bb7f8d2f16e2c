"""``manage.py clean_incoming_uploads``"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from django_minio_router.direct.incoming import clean
from django_minio_router.files.usage import UsageReport
from django_minio_router.management.base import RouterCommand
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active

_MIN_AGE = 24  # hours, the maximum lifetime of a ticket


class Command(RouterCommand):
    help = (
        "Remove what direct uploads left below incoming/: files that no form accepted, and unfinished "
        "uploads. For servers and folders without a lifecycle rule; hooks.expire_incoming() sets one."
    )
    failed = "places could not be cleaned"

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--min-age", type=int, default=_MIN_AGE, metavar="HOURS", help="keep newer ones (default: 24)"
        )

    def handle(self, *, min_age: int, **options: Any) -> None:
        if min_age < _MIN_AGE:
            raise CommandError(
                f"--min-age is {min_age}. Use at least {_MIN_AGE} hours: an upload may take that long."
            )
        before, report, removed = timezone.now() - timedelta(hours=min_age), UsageReport(), 0
        for tenant in tenants_or_active(**options):
            found = self.each((place, clean(place, before)) for place in report.places(tenant))
            removed += sum(1 for _ in found)
        self.say(f"Removed {removed} leftovers of direct uploads.")
