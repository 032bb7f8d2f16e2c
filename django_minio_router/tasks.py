"""A Django task that runs a command of this package for one tenant, for ``--enqueue``.

It uses ``django.tasks`` (Django 6.0) or its backport ``django-tasks``.
"""

from __future__ import annotations

import io
import json
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.core.management import CommandError, call_command

from .exceptions import ConfigurationError
from .tenancy import get_tenancy

if TYPE_CHECKING or find_spec("django.tasks") is None:
    try:
        from django_tasks import TaskResultStatus, default_task_backend, task
        from django_tasks.backends.immediate import ImmediateBackend
        from django_tasks.exceptions import TaskResultDoesNotExist
    except ImportError as error:
        raise ConfigurationError(
            "Tasks need Django 6, or its backport: pip install 'django-minio-router[tasks]'."
        ) from error
else:
    from django.tasks import TaskResultStatus, default_task_backend, task
    from django.tasks.backends.immediate import ImmediateBackend
    from django.tasks.exceptions import TaskResultDoesNotExist

__all__ = [
    "ImmediateBackend",
    "TaskResultDoesNotExist",
    "TaskResultStatus",
    "default_task_backend",
    "run_command",
]

COMMANDS = ("bucket_usage", "initialize_buckets", "move_objects", "purge_tenant")

_HALF = 4000  # characters; limits the result, which a database may store, for millions of files

logger = logging.getLogger(__name__)


@task
def run_command(name: str, *arguments: str) -> Any:
    """Run one of ``COMMANDS`` without an active tenant, and return its output: lines, or parsed JSON.

    Raise ``CommandError`` with the output and the error if it fails. May be repeated, and run by several
    workers at once. Output of more than 8,000 characters is shortened in the middle; all of it is logged.
    """
    if name not in COMMANDS:
        raise ConfigurationError(f"{name!r} cannot run as a task. Use one of {', '.join(COMMANDS)}.")
    printed, rows = _Printed(), io.StringIO()
    is_json = "--format=json" in arguments
    try:
        with get_tenancy().context(None):
            stdout = rows if is_json else printed
            call_command(name, *arguments, no_color=True, stdout=stdout, stderr=printed)
    except CommandError as error:
        printed.write(str(error))
        raise CommandError(str(printed)) from None  # a chained error would be stored in full
    return json.loads(rows.getvalue()) if is_json else str(printed).splitlines()


class _Printed(io.TextIOBase):
    """A stream that logs its text, and keeps the beginning and the end."""

    def __init__(self) -> None:
        self._beginning = self._end = ""
        self._left_out = 0

    def write(self, text: str) -> int:
        logger.info(text.rstrip())
        room = _HALF - len(self._beginning)
        self._beginning += text[:room]
        end = self._end + text[room:]
        self._end = end[-_HALF:]
        self._left_out += len(end) - len(self._end)
        return len(text)

    def __str__(self) -> str:
        gap = f" … {self._left_out} characters left out …\n" if self._left_out else ""
        return self._beginning + gap + self._end
