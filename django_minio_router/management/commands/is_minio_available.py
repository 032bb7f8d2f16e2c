"""``manage.py is_minio_available``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_minio_router.backend import MinioBackend


class Command(BaseCommand):
    help = "Check that the S3 server answers. The exit code is 1 if it does not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--silenced", action="store_true", help="print nothing if it answers")

    def handle(self, *args: Any, **options: Any) -> None:
        status = MinioBackend().is_minio_available()
        if not status:
            raise CommandError(f"The S3 server is NOT available. {status.details}")
        if not options["silenced"] and options["verbosity"] > 0:
            self.stdout.write(self.style.SUCCESS("The S3 server is available. ") + status.details)
