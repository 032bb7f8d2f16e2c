"""``manage.py is_minio_available``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.inventory.uses import configs, uses
from django_minio_router.management.base import RouterCommand
from django_minio_router.s3.status import MinioServerStatus, missing_rights, probe
from django_minio_router.settings.config import Config
from django_minio_router.settings.server import Server
from django_minio_router.storage.backend import MinioBackend


class Command(RouterCommand):
    help = (
        "Check that the S3 servers of all storages in use answer and accept the keys, within five seconds "
        "each. With --bucket, also check that the keys may store, read, list and delete there. Exit with 1 "
        "if not."
    )
    failed = "rights are missing"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--silenced", action="store_true", help="print nothing if the servers answer")
        parser.add_argument(
            "--bucket",
            action="append",
            dest="buckets",
            metavar="NAME",
            help="also try the permissions of the keys in this bucket of the default server; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        statuses = _statuses()
        for status in filter(None, statuses):
            self.say(self.style.SUCCESS("The S3 server is available. ") + status.details)
        missing = [status.details for status in statuses if not status]
        if missing:
            raise CommandError("The S3 server is NOT available. " + "\n".join(missing))
        for bucket in options["buckets"] or ():
            self._check_rights(bucket)

    def _check_rights(self, bucket: str) -> None:
        problems = missing_rights(MinioBackend(bucket, public=False).objects)
        for problem in problems:
            self.fail(problem)
        if not problems:
            self.say(f"The keys may store, read, list and delete in {bucket!r}.")


def _statuses() -> list[MinioServerStatus]:
    """Probe each server once per pair of keys."""
    found = {_identity(config.internal): config for config in configs(uses()) or [Config()]}
    return [probe(config, signed=True) for config in found.values()]


def _identity(server: Server) -> tuple[object, ...]:
    return server.base_url, server.region, server.access_key, server.secret_key, server.credentials
