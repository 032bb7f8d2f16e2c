"""A project without tenants: asking for one raises an error that says what to set up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.core.checks import CheckMessage
from django.db.models import Model

from .. import messages
from ..exceptions import ConfigurationError
from .base import Tenancy


class NoTenancy(Tenancy):
    """``engine`` is the database engine without tenants; empty if django-tenants is not installed."""

    key_name = "schema_name"

    def __init__(self, engine: str = "") -> None:
        self._engine = engine

    def connected_key(self) -> str | None:
        return None

    def connected_tenant(self) -> Any:
        return None

    def connection(self) -> object:
        return None

    def _database_context(self, tenant: Any | None) -> AbstractContextManager[Any]:
        return nullcontext()

    def require(self, *args: Any, **kwargs: Any) -> Any:
        """Raise the error that says what to set up."""
        remedy = "change DATABASES" if self._engine else "pip install 'django-minio-router[tenants]'"
        raise ConfigurationError(
            f"There are no tenants: MINIO_TENANCY is not set, and {self.problem()}. Name your tenant model "
            f"in MINIO_TENANCY, or {remedy}."
        )

    key = row = tenants = find = require
    model = property(require)

    def active_key(self) -> str | None:
        return None

    def key_if_any(self, tenant: Any) -> str | None:
        return None

    def everyone(self) -> Iterator[Any | None]:
        yield None

    def divides(self, model: type[Model]) -> bool:
        return False

    def owns_table(self, model: type[Model], key: str | None) -> bool:
        return key is None

    def can_read(self, key: str | None) -> bool:
        return key is None

    def problem(self) -> str:
        if not self._engine:
            return "django-tenants is not installed"
        return f"the database engine is {self._engine!r}, not 'django_tenants.postgresql_backend'"

    def check(self, strategy: object) -> Iterable[CheckMessage]:
        if not self._engine:
            yield messages.no_django_tenants(strategy)
        else:
            yield messages.no_tenant_database(strategy, self.problem())

    def connect(self, *, created: Callable[[Any], None], deleted: Callable[[Any], None]) -> None:
        """Do nothing: there are no tenants."""
