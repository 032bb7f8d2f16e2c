"""``manage.py bucket_tasks``"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.management.base import RouterCommand
from django_minio_router.tenancy import get_tenancy

_COMMAND_ERROR = "django.core.management.base.CommandError: "
_GONE = "GONE"  # the result was pruned, or is in another database


class Command(RouterCommand):
    help = (
        "Report on the tasks that --enqueue created: how many are left, running and done, and which failed "
        "and why. Exit with 1 if any failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the output of --enqueue; '-' for standard input")
        parser.add_argument(
            "--format",
            choices=["table", "json"],
            default="table",
            help="json: each task with its result (default: table)",
        )

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        self.counts: Counter[str] = Counter()
        report = self.print_json if options["format"] == "json" else self._print_table
        try:
            report(self._tasks(file))
        except NotImplementedError as error:  # of a backend whose results cannot be read
            raise CommandError(str(error)) from error
        if self.counts["FAILED"]:
            raise CommandError(f"{self.counts['FAILED']} of {self.counts.total()} tasks failed.")

    def _tasks(self, file: str) -> Iterator[dict[str, Any]]:
        """Yield each task of the file with its current state."""
        try:
            with nullcontext(sys.stdin) if file == "-" else Path(file).open(encoding="utf-8") as lines:
                for line in lines:
                    key, *rest = line.rstrip("\n").split("\t", maxsplit=2)
                    if len(rest) == 2:
                        task = {"id": key, "task": rest[0], "tenant": rest[1], **_state(key)}
                        self.counts[task["status"]] += 1
                        yield task
        except (OSError, UnicodeDecodeError) as error:
            cause = getattr(error, "strerror", error)
            raise CommandError(
                f"{file} cannot be read: {cause}. Use a file with the output of --enqueue."
            ) from error

    def _print_table(self, tasks: Iterator[dict[str, Any]]) -> None:
        for task in tasks:
            if task["status"] == "FAILED":
                whose = f" of {task['tenant']}" if task["tenant"] else ""
                self.stderr.write(self.style.ERROR(f"failed: {task['task']}{whose}: {task['error']}"))
        self.stdout.write(
            ", ".join(f"{count} {status.lower()}" for status, count in sorted(self.counts.items())) + "."
            if self.counts
            else "There is no task in this file."
        )


def _state(key: str) -> dict[str, Any]:
    from django_minio_router import tasks

    try:
        with get_tenancy().context(None):  # the task tables are shared
            result = tasks.default_task_backend.get_result(key)
    except tasks.TaskResultDoesNotExist:
        return {"status": _GONE, "result": None, "error": ""}
    done = result.status == tasks.TaskResultStatus.SUCCESSFUL
    return {
        "status": str(result.status.value),
        "result": result.return_value if done else None,
        "error": _cause(result.errors[-1]) if result.errors else "",
    }


def _cause(error: Any) -> str:
    """Return the end of the traceback in one line: the output of the command, or the exception."""
    name = error.exception_class_path.removeprefix("builtins.")
    _, _, message = error.traceback.rpartition(f"\n{name}")
    return " ".join(f"{name}{message}".split()).removeprefix(_COMMAND_ERROR)
