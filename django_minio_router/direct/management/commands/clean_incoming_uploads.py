"""``manage.py clean_incoming_uploads``"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from django_minio_router.direct.incoming import clean
from django_minio_router.exceptions import ServerError
from django_minio_router.files.usage import UsageReport
from django_minio_router.management.base import RouterCommand
from django_minio_router.management.tenants import add_tenant_arguments, tenants_or_active

_LEAST = 24  # hours; no ticket lives longer


class Command(RouterCommand):
    help = (
        "Remove what direct uploads left below incoming/: files that no form accepted, and unfinished "
        "uploads. For servers and folders without a lifecycle rule; hooks.expire_incoming() sets one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_tenant_arguments(parser)
        parser.add_argument(
            "--min-age", type=int, default=_LEAST, metavar="HOURS", help="keep newer ones (default: 24)"
        )

    def handle(self, *, min_age: int, **options: Any) -> None:
        if min_age < _LEAST:
            raise CommandError(
                f"--min-age is {min_age}. Give at least {_LEAST} hours: an upload may be on its way so long."
            )
        before, report, removed = timezone.now() - timedelta(hours=min_age), UsageReport(), 0
        for tenant in tenants_or_active(**options):
            for place in report.places(tenant):
                try:
                    removed += sum(1 for _ in clean(place, before))
                except ServerError as error:
                    self.fail(f"{place}: {error}")
        self.say(f"Removed {removed} of what direct uploads left.")
        if self.failures:
            raise CommandError(f"{self.failures} places could not be cleaned.")
