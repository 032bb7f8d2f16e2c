"""What the commands share: what they print, unless ``--verbosity 0`` asks for silence, and what they ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError


class RouterCommand(BaseCommand):
    """Prints an expected error in one line, without a traceback, and exits with 1."""

    verbosity = 1
    failures = 0

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity = 0 if options.get("silenced") else options["verbosity"]
        self.failures = 0
        if options.get("jobs", 1) < 1:
            raise CommandError(f"--jobs is {options['jobs']}. Give a number from 1 up.")
        try:
            return super().execute(*args, **options)
        except (ConfigurationError, RoutingError, ServerError, DatabaseError) as error:
            raise CommandError(str(error)) from error

    def say(self, text: str) -> None:
        if self.verbosity > 0:
            self.stdout.write(text)

    def warn(self, text: str) -> None:
        self.say(self.style.WARNING(text))

    def fail(self, text: str) -> None:
        """Print what failed, and count it: the rest is done all the same."""
        self.failures += 1
        self.stderr.write(self.style.ERROR(text))

    def confirm(self, what: str, *, refused: str = "Nothing was deleted.") -> None:
        """Ask whether to delete it. ``CommandError`` without a yes, and where nobody can answer."""
        try:
            answer = input(f"Delete {what} for good? Type 'yes': ")
        except EOFError:
            answer = ""
        if answer != "yes":
            raise CommandError(f"{refused} Confirm with 'yes', or give --no-input.")

    def print_json(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Print a list row by row, so that memory does not grow with it."""
        before = "["
        for row in rows:
            self.stdout.write(f"{before}\n{json.dumps(row)}", ending="")
            before = ","
        self.stdout.write("[]" if before == "[" else "\n]")


def add_no_input_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--no-input", "--noinput", action="store_false", dest="interactive", help="delete without asking"
    )


def add_jobs_argument(parser: CommandParser, what: str) -> None:
    parser.add_argument(
        "--jobs", type=int, default=8, metavar="N", help=f"number of {what} handled at a time (default: 8)"
    )
