"""``--enqueue``: a task for each tenant, in place of the work itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.tenancy import get_tenancy


def add_enqueue_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--enqueue",
        action="store_true",
        help="leave the work to workers, as a task of Django for each tenant; bucket_tasks reads the results",
    )
    parser.add_argument(
        "--queue", default="default", metavar="NAME", help="with --enqueue: of the tasks (default: default)"
    )


def refuse_dry_run(options: dict[str, Any]) -> None:
    """Raise ``CommandError`` where tasks are asked to change nothing."""
    for option in ("dry_run", "check"):
        if options["enqueue"] and options.get(option):
            raise CommandError(f"--enqueue does the work. Leave out --{option.replace('_', '-')}, or it.")


def enqueue(
    say: Callable[[str], None], work: str, names: Iterable[str | None], *, queue: str, **arguments: Any
) -> None:
    """Enqueue the task of this name for each schema name, and say its id, its name and the schema name.

    One at a time, so that memory does not grow with their number. ``CommandError`` where the project has no
    tasks, or none that workers could do.
    """
    task = _task(work, queue)
    count = 0
    with get_tenancy().context(None):  # where the tables of the tasks are
        for schema_name in names:
            result = task.enqueue(schema_name, **arguments)
            count += 1
            say(f"{result.id}\t{work}\t{schema_name or ''}")
    say(
        f"{count} tasks enqueued. With these lines in a file, 'manage.py bucket_tasks FILE' tells how far "
        "they are, and which failed and why.",
    )


def _task(work: str, queue: str) -> Any:
    try:
        from django_minio_router import tasks

        task = getattr(tasks, work).using(queue_name=queue)
    except Exception as error:  # of the framework, which validates the setting as it is imported
        raise CommandError(f"--enqueue cannot use Django's tasks. {error}") from error
    if isinstance(task.get_backend(), tasks.ImmediateBackend):
        raise CommandError(
            "--enqueue needs workers, and TASKS names a backend that does each task at once and keeps no "
            "result. Name another, such as 'django_tasks_db.DatabaseBackend', or leave out --enqueue."
        )
    return task
