"""``manage.py check_server``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.buckets.abilities import Finding
from django_minio_router.management.base import RouterCommand
from django_minio_router.provisioning.server_check import CONSEQUENCES, check_server, servers_in_use
from django_minio_router.settings.config import Config

_HEAD = ("what", "here", "without it", "what to do")


class Command(RouterCommand):
    help = (
        "Check which features the S3 servers of all storages in use support, in a temporary bucket. Exit "
        "with 1 if a server lacks a feature that the settings need."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--server", metavar="NAME", default="", help="only this server of MINIO_SERVERS")
        parser.add_argument("--json", action="store_true", help="print a list of findings")

    def handle(self, *args: Any, **options: Any) -> None:
        configs = [Config(server=options["server"])] if options["server"] else servers_in_use()
        real = [config for config in configs if not config.in_memory]
        found = [(config, finding, needed) for config in real for finding, needed in check_server(config)]
        if options["json"]:
            self.print_json(_row(*entry) for entry in found)
        else:
            for config in configs:
                self._print_table(config, [f for c, f, _ in found if c is config])
        unsupported = [f"{finding.name}, which {needed} needs" for _, finding, needed in found if needed]
        if unsupported:
            raise CommandError(f"The server lacks {'; '.join(unsupported)}.")

    def _print_table(self, config: Config, findings: list[Finding]) -> None:
        self.say(config.internal.base_url)
        if config.in_memory:
            self.say("Files are kept in memory, so there is nothing to check.")
            return
        rows = [_HEAD, *map(_cells, findings)]
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        for row in rows:
            padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
            self.say("  ".join([*padded, row[3]]).rstrip())


def _cells(finding: Finding) -> tuple[str, str, str, str]:
    here = "yes" if finding.is_there else " ".join(filter(None, ["no", finding.details]))
    consequence, answer = ("", "") if finding.is_there else CONSEQUENCES[finding.name]
    return finding.name, here, consequence, answer


def _row(config: Config, finding: Finding, needed: str) -> dict[str, Any]:
    return {"server": config.internal.base_url, **finding._asdict(), "needed_by": needed}
