"""``--enqueue``: a task for each tenant, in place of the work itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.tenancy import get_tenancy


def add_enqueue_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--enqueue",
        action="store_true",
        help="leave the work to workers, as one Django task per tenant; bucket_tasks shows the results",
    )
    parser.add_argument(
        "--queue", default="default", metavar="NAME", help="with --enqueue: the queue (default: default)"
    )


def refuse_dry_run(options: dict[str, Any]) -> None:
    """Raise ``CommandError`` if tasks are asked to change nothing."""
    for option in ("dry_run", "check"):
        if options["enqueue"] and options.get(option):
            raise CommandError(f"--enqueue does the work. Leave out --{option.replace('_', '-')}, or it.")


def for_each(tenants: Iterable[Any | None], *arguments: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the key of each tenant with the arguments of a command for it; None is no tenant."""
    for tenant in tenants:
        key = "" if tenant is None else get_tenancy().key(tenant)
        yield key, [*arguments, f"--tenant={key}"] if key else [*arguments]


def enqueue(
    say: Callable[[str], None], command: str, work: Iterable[tuple[str, list[str]]], *, queue: str
) -> None:
    """Enqueue a task that runs the command for each key of a tenant and arguments in ``work``.

    Print the task's id, the command and the key. One at a time, so that memory does not grow with their
    number. ``CommandError`` if the project has no tasks, or none that workers could do.
    """
    task = _task(queue)
    count = 0
    with get_tenancy().context(None):  # where the tables of the tasks are
        for key, arguments in work:
            result = task.enqueue(command, *arguments)
            count += 1
            say(f"{result.id}\t{command}\t{key}")
    say(
        f"{count} tasks enqueued. With these lines in a file, 'manage.py bucket_tasks FILE' tells how far "
        "they are, and which failed and why."
    )


def _task(queue: str) -> Any:
    try:
        from django_minio_router import tasks

        task = tasks.run_command.using(queue_name=queue)
    except Exception as error:  # of the framework, which validates the setting as it is imported
        raise CommandError(f"--enqueue cannot use Django's tasks. {error}") from error
    if isinstance(task.get_backend(), tasks.ImmediateBackend):
        raise CommandError(
            "--enqueue needs workers, and TASKS names a backend that does each task at once and keeps no "
            "result. Name another, such as 'django_tasks_db.DatabaseBackend', or leave out --enqueue."
        )
    return task
