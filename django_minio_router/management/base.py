"""The base class of the commands: output by ``--verbosity``, failures and confirmation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError


class RouterCommand(BaseCommand):
    """A command that prints an expected error in one line, without a traceback, and exits with 1."""

    verbosity = 1
    failures = 0

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity = 0 if options.get("silenced") else options["verbosity"]
        self.failures = 0
        if options.get("jobs", 1) < 1:
            raise CommandError(f"--jobs is {options['jobs']}. Use a number of at least 1.")
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
        """Print and count a failure; the command continues."""
        self.failures += 1
        self.stderr.write(self.style.ERROR(text))

    def confirm(self, what: str, *, refused: str = "Nothing was deleted.") -> None:
        """Ask for confirmation. ``CommandError`` unless the answer is yes, or if there is no terminal."""
        try:
            answer = input(f"Delete {what} for good? Type 'yes': ")
        except EOFError:
            answer = ""
        if answer != "yes":
            raise CommandError(f"{refused} Confirm with 'yes', or use --no-input.")

    def print_json(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Print a JSON list row by row, in constant memory."""
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
