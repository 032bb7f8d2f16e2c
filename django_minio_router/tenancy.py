"""Who is the tenant now? The one module that knows django-tenants, which is an optional extra."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache, partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.signals import setting_changed
from django.db import connections, transaction
from django.db.models import QuerySet
from django.db.models.signals import ModelSignal, post_delete, post_save
from django.dispatch import Signal

from .caches import BoundedCache
from .exceptions import ConfigurationError, TenantRequired

if TYPE_CHECKING:
    from django.db.models import Model

# Who the code acts for, where it says so: a row, or a schema name. It comes before the connection's tenant.
_acting_for: ContextVar[Any] = ContextVar("minio_router_acting_for", default=None)

_KEPT_ROWS = 4096
_ROW_LIFE = 60.0  # seconds; what another process does to a tenant, no signal tells here
_rows: BoundedCache[str, tuple[float, Any]] = BoundedCache(_KEPT_ROWS)
# Schema names of rows that were saved and may be rolled back, of which no signal tells: kept until then.
_uncommitted: BoundedCache[str, float] = BoundedCache(_KEPT_ROWS)


@cache
def _utils() -> Any:
    """Return django-tenants' functions, or None without it.

    It reads the settings as it is imported, and the settings may be what imports us.
    """
    try:
        from django_tenants import utils  # type: ignore[import-untyped]
    except ImportError:
        return None
    return utils


def is_installed() -> bool:
    return _utils() is not None


def _connection() -> Any:
    return connections[database_alias()]


def require_django_tenants() -> None:
    """Raise ``ConfigurationError`` unless django-tenants can be imported."""
    if not is_installed():
        raise ConfigurationError(
            "PerTenant needs django-tenants: pip install 'django-minio-router[tenants]'."
        )


def has_schemas() -> bool:
    """Tell whether the database keeps tenants apart by schemas."""
    return is_installed() and database_problem() is None


def database_problem() -> str | None:
    """Say why the database cannot tell the tenant, or return None."""
    connection = _connection()
    if hasattr(connection, "schema_name"):
        return None
    engine = connection.settings_dict.get("ENGINE", "")
    return f"the database engine is {engine!r}, not 'django_tenants.postgresql_backend'"


def current_schema() -> str | None:
    """Return the schema name of the active tenant, or None where there is none.

    django-tenants puts a new connection, so each new thread, on the public schema: public is no tenant.
    """
    require_django_tenants()
    said = _acting_for.get()
    schema_name = _connection_schema() if said is None else _schema_name_of(said)
    if not schema_name or schema_name == public_schema():
        return None
    return schema_name


def _schema_name_of(said: Any) -> str:
    """Return the schema name of a row, or of what is one itself; the text of any other object is no name."""
    try:
        schema_name: str | None = said if isinstance(said, str) else said.schema_name
    except AttributeError:
        raise TenantRequired(
            f"A {type(said).__name__} is no tenant, as it has no schema_name. Give a row or a schema name."
        ) from None
    if not schema_name:  # which must not be taken for public
        raise TenantRequired(
            f"The tenant {said!r} has an empty schema_name, so nothing can be stored for it. Set it first."
        )
    return schema_name


def _connection_schema() -> str | None:
    try:
        schema_name: str | None = _connection().schema_name
    except AttributeError:
        raise ConfigurationError(
            f"PerTenant cannot tell the tenant: {database_problem()}. Change DATABASES."
        ) from None
    return schema_name


@contextmanager
def tenant_bucket_context(tenant: Any) -> Iterator[None]:
    """Let storages act for this tenant, a row or a schema name, whatever the connection says.

    A context variable: it follows ``await``, ``sync_to_async`` and ``copy_context()``, where a database
    connection belongs to a thread. No query is sent, and the connection is not changed.
    """
    if tenant is None:
        raise TenantRequired("tenant_bucket_context() was given no tenant. Give it a row or a schema name.")
    token = _acting_for.set(tenant)
    try:
        yield
    finally:
        _acting_for.reset(token)


def acting_for(tenant: Any | None) -> AbstractContextManager[None]:
    """Let storages act for this tenant; None leaves the active one."""
    return nullcontext() if tenant is None else tenant_bucket_context(tenant)


def acted_for_beside_connection(tenant: Any | None) -> Any | None:
    """Return whom storages act for, this tenant or the active one, if the connection has another tenant."""
    said = _acting_for.get() if tenant is None else tenant
    if said is None or not has_schemas() or _schema_name_of(said) == _connection_schema():
        return None
    return said


def current_tenant() -> Any:
    """Return the row of the active tenant. ``TenantRequired`` if there is none, or no such row."""
    schema_name = current_schema()
    if schema_name is None:
        raise TenantRequired("No tenant is active. Enter tenant_context(tenant).")
    return active_row(schema_name)


def active_row(schema_name: str) -> Any:
    """Return the row of the active tenant, whose schema name is known."""
    said = _acting_for.get()
    tenant = _connection().tenant if said is None else said  # a row with a length may be false
    if isinstance(tenant, tenant_model()):
        return tenant
    # Under schema_context() the connection carries a schema name and no row.
    kept, now = _rows.get(schema_name), time.monotonic()
    if kept is None or kept[0] < now:
        since = _rows.discards  # while this thread reads, another one may commit
        kept = (now + _ROW_LIFE, _row(schema_name))
        if (_uncommitted.get(schema_name) or now) <= now:
            _rows.set(schema_name, kept, since=since)
    return kept[1]


def _row(schema_name: str) -> Any:
    with _utils().schema_context(public_schema()):
        row = _all_rows().filter(schema_name=schema_name).first()
    if row is None:
        raise TenantRequired(
            f"The schema {schema_name!r} is active, but no tenant has it. Create the tenant first."
        )
    return row


@cache
def tenant_model() -> type[Model]:
    """Return the model that ``TENANT_MODEL`` names. ``ConfigurationError`` if it names none."""
    name = getattr(settings, "TENANT_MODEL", None)
    if name is None:
        raise ConfigurationError("TENANT_MODEL is not set, so there are no tenants. Set up django-tenants.")
    try:
        return apps.get_model(name)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"TENANT_MODEL is {name!r}, which is no model: {error}. Write 'app_label.ModelName'."
        ) from error


def _all_rows() -> QuerySet[Any]:
    """Return the rows of all tenants and of public; what the model's managers hide has files all the same."""
    return QuerySet(tenant_model())


def tenants(schema_names: Iterable[str] | None = None) -> Iterator[Any]:
    """Yield the rows of all tenants but public, or of those with the given schema names.

    Reads in chunks, so that memory does not grow with the number of tenants.
    """
    require_django_tenants()
    rows = _all_rows().exclude(schema_name=public_schema())
    if schema_names is not None:
        rows = rows.filter(schema_name__in=list(schema_names))
    yield from rows.order_by("pk").iterator(chunk_size=1000)


@contextmanager
def tenant_context(tenant: Any) -> Iterator[None]:
    """Make the tenant the active one, for storages and for the connection. No query is sent."""
    with _utils().tenant_context(tenant), tenant_bucket_context(tenant):
        yield


def row_of(said: Any) -> Any | None:
    """Return the row of what a signal calls the tenant: a row, a key, a schema name, or a dictionary.

    django-tenants lets projects choose, with ``serializable_fields()``. None if there is no such tenant (any
    more), and for public.
    """
    fields = said if isinstance(said, Mapping) else vars(said) if hasattr(said, "schema_name") else {}
    rows = _all_rows().exclude(schema_name=public_schema())
    if "schema_name" in fields:
        return rows.filter(schema_name=fields["schema_name"]).first()
    key = fields.get("pk", fields.get("id", said))
    try:
        return rows.get(pk=key)
    except (TypeError, ValueError, ValidationError, ObjectDoesNotExist):
        return rows.filter(schema_name=str(key)).first()


def has_row(key: Any) -> bool:
    """Tell whether a tenant has this primary key, whatever its name is."""
    return bool(_all_rows().filter(pk=key).exists())


def ready_signals() -> list[Signal]:
    """Return the signals that say that a tenant is ready; none in a project without tenants."""
    if not is_installed() or getattr(settings, "TENANT_MODEL", None) is None:
        return []
    from django_tenants.signals import (  # type: ignore[import-untyped]
        post_schema_sync,
        schema_needs_to_be_sync,
    )

    return [post_schema_sync, schema_needs_to_be_sync]


def is_being_created(tenant: Any) -> bool:
    """Tell whether ``save()`` is at work on this tenant now, so that a delete is of what it failed to create.

    No signal says so, and a receiver of any of them may be what failed: only the stack knows.
    """
    from django_tenants.models import TenantMixin  # type: ignore[import-untyped]

    frame: FrameType | None = sys._getframe()
    while frame is not None:
        saved = frame.f_locals["self"] if frame.f_code is TenantMixin.save.__code__ else None
        if saved is not None and saved.schema_name == tenant.schema_name:
            return True
        frame = frame.f_back
    return False


def everyone() -> Iterator[Any]:
    """Yield None for public, and then the row of each tenant; only None where there are no schemas."""
    yield None
    if has_schemas():
        yield from tenants()


def context_of(tenant: Any | None) -> AbstractContextManager[Any]:
    """Make the tenant the active one; None is public, or nothing where there are no schemas."""
    if tenant is not None:
        return tenant_context(tenant)
    return in_schema(public_schema()) if has_schemas() else nullcontext()


def on_connection(tenant: Any) -> AbstractContextManager[None]:
    """Make the tenant, a row or a schema name, the active one for what asks the connection, too."""
    return _schema_context(tenant) if isinstance(tenant, str) else tenant_context(tenant)


def in_schema(schema_name: str | None) -> AbstractContextManager[Any]:
    """Make the schema the active one; None changes nothing."""
    return nullcontext() if schema_name is None else _schema_context(schema_name)


@contextmanager
def _schema_context(schema_name: str) -> Iterator[None]:
    with _utils().schema_context(schema_name), tenant_bucket_context(schema_name):
        yield


@cache  # each call asks, and to find that a setting is missing takes longer than all else
def public_schema() -> str:
    name: str = _utils().get_public_schema_name()
    return name


def schema_exists(schema_name: str) -> bool:
    exists: bool = _utils().schema_exists(schema_name)
    return exists


def left_schemas(tables: Collection[str]) -> dict[str, dict[str, set[str]]]:
    """Return the schemas, but for public, that have one of the tables and belong to no tenant.

    With these tables, and the columns that each has there: those of the time when it was left.
    """
    with in_schema(public_schema()), _connection().cursor() as cursor:
        taken = {public_schema(), *_all_rows().values_list("schema_name", flat=True)}
        cursor.execute(
            "SELECT nspname, relname, attname FROM pg_attribute"
            " JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE relname = ANY(%s) AND relkind IN ('r', 'p') AND NOT starts_with(nspname, 'pg_')"
            " AND attnum > 0 AND NOT attisdropped",
            [list(tables)],
        )
        found: dict[str, dict[str, set[str]]] = {}
        for schema, table, column in cursor.fetchall():
            if schema not in taken:
                found.setdefault(schema, {}).setdefault(table, set()).add(column)
    return found


@cache
def database_alias() -> str:
    """Return the alias of the database that holds the schemas."""
    alias: str = _utils().get_tenant_database_alias()
    return alias


def _forget_names(**kwargs: object) -> None:
    public_schema.cache_clear()
    database_alias.cache_clear()
    tenant_model.cache_clear()


setting_changed.connect(_forget_names)


def connect_to_tenants(signal: ModelSignal, receiver: Callable[..., None]) -> None:
    """Connect a receiver to what happens to tenants, also to one that is saved or deleted as a proxy."""
    if not is_installed() or getattr(settings, "TENANT_MODEL", None) is None:
        return
    of_tenants = tenant_model()
    for model in apps.get_models():
        if issubclass(model, of_tenants):
            signal.connect(receiver, sender=model)


def _forget_row(*, instance: Any, using: str, **kwargs: object) -> None:
    """Forget the row now, and again after the commit: until then other threads read the old one."""
    forget = partial(_forget, instance.pk, instance.schema_name)
    forget()
    _uncommitted.set(instance.schema_name, time.monotonic() + _ROW_LIFE)
    transaction.on_commit(forget, using=using)


def _forget(key: object, schema_name: str) -> None:
    """Forget a row also under the name that it had before a rename: another tenant may get that now."""
    _rows.discard_if(lambda kept: kept[1].pk == key)
    _rows.discard(schema_name)
    _uncommitted.discard(schema_name)


def connect() -> None:
    """Keep the rows true: forget one when it is saved or deleted."""
    connect_to_tenants(post_save, _forget_row)
    connect_to_tenants(post_delete, _forget_row)
