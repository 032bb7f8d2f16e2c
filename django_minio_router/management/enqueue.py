"""``--enqueue``: create a task for each tenant instead of doing the work."""

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


def for_each(tenants: Iterable[Any | None], *arguments: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the key of each tenant and the command's arguments for it; None means no tenant."""
    for tenant in tenants:
        key = "" if tenant is None else get_tenancy().key(tenant)
        yield key, [*arguments, f"--tenant={key}"] if key else [*arguments]


def enqueue(
    say: Callable[[str], None], command: str, work: Iterable[tuple[str, list[str]]], *, queue: str
) -> None:
    """Enqueue a task for each tenant key with arguments in ``work``.

    Print each task's id, the command and the key, in constant memory. Raise ``CommandError`` if the project
    has no task backend with workers.
    """
    task = _task(queue)
    count = 0
    with get_tenancy().context(None):  # the task tables are shared
        for key, arguments in work:
            result = task.enqueue(command, *arguments)
            count += 1
            say(f"{result.id}\t{command}\t{key}")
    say(
        f"{count} tasks enqueued. Save these lines in a file, and 'manage.py bucket_tasks FILE' shows the "
        "state of each task, and why it failed."
    )


def _task(queue: str) -> Any:
    try:
        from django_minio_router import tasks

        task = tasks.run_command.using(queue_name=queue)
    except Exception as error:  # the framework validates its setting on import
        raise CommandError(f"--enqueue cannot use Django's tasks. {error}") from error
    if isinstance(task.get_backend(), tasks.ImmediateBackend):
        raise CommandError(
            "--enqueue needs workers, but TASKS names a backend that runs each task at once and stores no "
            "result. Use another, such as 'django_tasks_db.DatabaseBackend', or leave out --enqueue."
        )
    return task
