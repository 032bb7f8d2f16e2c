"""The base class of the commands: output by ``--verbosity``, failures and confirmation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from django_minio_router.exceptions import ConfigurationError, RoutingError, ServerError

T = TypeVar("T")


class RouterCommand(BaseCommand):
    """A command that prints an expected error in one line, without a traceback, and exits with 1.

    It also exits with 1 after failures; ``failed`` says what they are.
    """

    verbosity = 1
    failures = 0
    failed = ""

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.verbosity = 0 if options.get("silenced") else options["verbosity"]
        self.failures = 0
        _refuse_options(options)
        try:
            output = super().execute(*args, **options)
        except (ConfigurationError, RoutingError, ServerError, DatabaseError) as error:
            raise CommandError(str(error)) from error
        if self.failures:
            raise CommandError(f"{self.failures} {self.failed}; see above.")
        return output

    def say(self, text: str) -> None:
        if self.verbosity > 0:
            self.stdout.write(text)

    def warn(self, text: str) -> None:
        self.say(self.style.WARNING(text))

    def fail(self, text: str) -> None:
        """Print and count a failure; the command continues."""
        self.failures += 1
        self.stderr.write(self.style.ERROR(text))

    def each(self, found: Iterable[tuple[object, Iterator[T]]]) -> Iterator[T]:
        """Yield all that is found for each thing. An error of a server or database fails that thing only."""
        for what, results in found:
            try:
                yield from results
            except (ServerError, DatabaseError) as error:
                self.fail(f"{what}: {str(error).strip()}")

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


class FileCommand(RouterCommand):
    """A command that reports the outcome for each file, and the number of files in each state."""

    failed = "files need a look"

    def report(self, outcome: Any, *, shown: bool) -> None:
        """Print an outcome that needs a look, or any if ``shown``."""
        line = f"{outcome.state.value}: {' of '.join(filter(None, (outcome.name, outcome.where)))}"
        line = f"{line}: {outcome.cause}" if outcome.cause else line
        if outcome.state.name in ("DIFFERING", "FAILED"):
            self.fail(line)
        elif outcome.state.name in ("MISSING", "SKIPPED"):
            self.warn(line)
        elif shown:
            self.say(line)

    def summarize(self, counts: Counter[Any], changed: Enum, *, dry_run: bool) -> None:
        """Print the counts. In a dry run, files in the state ``changed`` only would be changed."""
        shown = [state for state in type(changed) if counts[state] or state.name != "SKIPPED"]
        would = {changed: "would be "} if dry_run else {}
        self.say(", ".join(f"{counts[state]} {would.get(state, '')}{state.value}" for state in shown) + ".")


def _refuse_options(options: Mapping[str, Any]) -> None:
    """Raise ``CommandError`` for options that no command accepts."""
    if options.get("jobs", 1) < 1:
        raise CommandError(f"--jobs is {options['jobs']}. Use a number of at least 1.")
    for option in ("dry_run", "check"):
        if options.get("enqueue") and options.get(option):
            raise CommandError(
                f"--enqueue and --{option.replace('_', '-')} exclude each other. Leave out one of them."
            )


def add_dry_run_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="print what the command would do, and change nothing"
    )


def add_no_input_argument(parser: CommandParser) -> None:
    parser.add_argument(
        "--no-input", "--noinput", action="store_false", dest="interactive", help="delete without asking"
    )


def add_jobs_argument(parser: CommandParser, what: str) -> None:
    parser.add_argument(
        "--jobs", type=int, default=8, metavar="N", help=f"number of {what} handled at a time (default: 8)"
    )
