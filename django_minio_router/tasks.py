"""The work of one tenant as tasks of Django: what ``--enqueue`` leaves to workers.

``django.tasks`` where Django has it (6.0), else its backport ``django-tasks``; nothing else imports this.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from . import tenant_work
from .exceptions import ConfigurationError

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
    "initialize",
    "measure",
    "move",
    "purge",
]


@task
def initialize(schema_name: str | None, aliases: list[str] | None = None) -> dict[str, Any]:
    return tenant_work.initialize(schema_name, aliases)


@task
def purge(schema_name: str, key: str | None, places: list[str]) -> dict[str, Any]:
    return tenant_work.purge(schema_name, key=key, places=places)


@task
def move(schema_name: str | None, **options: Any) -> dict[str, Any]:
    return tenant_work.move(schema_name, **options)


@task
def measure(schema_name: str | None) -> list[dict[str, Any]]:
    return tenant_work.measure(schema_name)
