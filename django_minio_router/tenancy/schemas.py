"""Tenants as PostgreSQL schemas: the only module that uses django-tenants, an optional extra."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import Signal
from django.utils.functional import cached_property

from ..exceptions import ConfigurationError, TenantRequired
from .base import Tenancy, model_named
from .row_cache import cached_row, connect_once, invalidate_on_save

_CLONED = "_minio_router_cloned"


class SchemaTenancy(Tenancy):
    """The tenants of django-tenants. The key of a tenant is its schema name.

    django-tenants sets a new connection, and so each new thread, to the public schema, where no tenant is
    active. For a similar package, write a subclass with its ``utils`` and ``ready_signals``.
    """

    division = "schema"
    key_name = "schema_name"
    source = "the connection of this thread"
    remedy = "Enter tenant_context(tenant)"
    cache_key_function = "django_tenants.cache.make_key"

    def __init__(self) -> None:
        self.alias: str = self._call_util("get_tenant_database_alias", DEFAULT_DB_ALIAS)
        self.shared_key: str = self._call_util("get_public_schema_name", "public")
        self._is_shared = lru_cache(maxsize=1024)(self._find_shared)  # called for each row that is read

    @cached_property
    def utils(self) -> Any:
        """The module with ``schema_context``, ``tenant_context`` and ``schema_exists``."""
        from django_tenants import utils  # type: ignore[import-untyped]  # it reads the settings

        return utils

    @cached_property
    def ready_signals(self) -> tuple[Signal, ...]:
        """The signals sent with a new ``tenant`` once its schema exists."""
        from django_tenants import signals

        return signals.post_schema_sync, signals.schema_needs_to_be_sync

    def _call_util(self, name: str, default: Any) -> Any:
        function = getattr(self.utils, name, None)
        return default if function is None else function()

    # Who is active

    def connection(self) -> Any:
        return connections[self.alias]

    def connected_key(self) -> str | None:
        connection: Any = connections[self.alias]
        key: str | None = connection.schema_name
        return key

    def connected_tenant(self) -> Any:
        return self.connection().tenant

    def enter(self, tenant: Any) -> AbstractContextManager[Any]:
        """Return a context in which the database uses the rows of the tenant (a row or a key)."""
        enter = self.utils.schema_context if isinstance(tenant, str) else self.utils.tenant_context
        context: AbstractContextManager[Any] = enter(tenant)
        return context

    @contextmanager
    def _database_context(self, tenant: Any) -> Iterator[None]:
        """Enter the tenant, and afterwards restore the search path if a query within changed it.

        The caller's cursor may be open already, as in the middle of an INSERT.
        """
        connection = self.connection()
        path, moved = self._search_path(), None
        try:
            with self.enter(tenant):
                try:
                    yield
                finally:
                    moved = self._search_path()
        finally:
            if path is not None and moved is not None and moved != path:
                connection.cursor().close()

    def _search_path(self) -> Any:
        return getattr(self.connection(), "search_path_set_schemas", None)

    # The tenants

    @cached_property  # pyright does not accept it as a property
    def model(self) -> type[Model]:  # pyright: ignore[reportIncompatibleMethodOverride]
        name = getattr(settings, "TENANT_MODEL", None)
        if name is None:
            raise ConfigurationError(
                "TENANT_MODEL is not set, so there are no tenants. Set up django-tenants."
            )
        return model_named("TENANT_MODEL is", name)

    def key(self, tenant: Any) -> str:
        try:
            key: str | None = tenant if isinstance(tenant, str) else tenant.schema_name
        except AttributeError:
            raise TenantRequired(
                f"A {type(tenant).__name__} is not a tenant: it has no schema_name. Pass a row or a schema "
                "name."
            ) from None
        if not key:  # must not pass for public
            raise TenantRequired(
                f"The tenant {tenant!r} has an empty schema_name, so nothing can be stored for it. Set it "
                "first."
            )
        return key

    def row(self, key: str) -> Any:
        return cached_row(key, self.alias, self._read_row)

    def _read_row(self, key: str) -> Any:
        """Read the row by the qualified name of its table.

        The call may come in the middle of an INSERT with an open cursor: changing the search path then would
        send the INSERT to another schema.
        """
        rows = self.model._base_manager.using(self.alias).raw(self._row_query(), [key])
        row = next(iter(rows), None)
        if row is None:
            raise TenantRequired(
                f"The schema {key!r} is active, but no tenant has it. Create the tenant first."
            )
        return row

    def _row_query(self) -> str:
        meta = self.model._meta.concrete_model._meta  # type: ignore[union-attr]
        quote = self.connection().ops.quote_name

        def table(model: type[Model]) -> str:
            return f"{quote(self.shared_key)}.{quote(model._meta.db_table)}"

        columns = [f"{table(field.model)}.{quote(field.column)}" for field in meta.concrete_fields]
        joins = [
            f" JOIN {table(parent)} ON {table(link.model)}.{quote(link.column)}"
            f" = {table(parent)}.{quote(parent._meta.pk.column)}"
            for parent, link in meta.parents.items()
            if link is not None
        ]
        key: Any = meta.get_field("schema_name")
        return (
            f"SELECT {', '.join(columns)} FROM {table(meta.model)}{''.join(joins)}"  # noqa: S608
            f" WHERE {table(key.model)}.{quote(key.column)} = %s"
        )

    def _all_rows(self) -> QuerySet[Any]:
        """Return the rows of all tenants and of public, including those that managers hide."""
        return QuerySet(self.model, using=self.alias)

    def tenants(self, keys: Iterable[str] | None = None) -> Iterator[Any]:
        rows = self._all_rows().exclude(schema_name=self.shared_key)
        if keys is not None:
            rows = rows.filter(schema_name__in=list(keys))
        yield from rows.order_by("pk").iterator(chunk_size=1000)

    def find(self, reference: Any) -> Any | None:
        # Signals carry what projects choose with serializable_fields().
        fields: Mapping[str, Any] = {}
        if isinstance(reference, Mapping):
            fields = reference
        elif hasattr(reference, "schema_name"):
            fields = vars(reference)
        rows = self._all_rows().exclude(schema_name=self.shared_key)
        if "schema_name" in fields:
            return rows.filter(schema_name=fields["schema_name"]).first()
        key = fields.get("pk", fields.get("id", reference))
        try:
            return rows.get(pk=key)
        except (TypeError, ValueError, ValidationError, ObjectDoesNotExist):
            return rows.filter(schema_name=str(key)).first()

    # Rows

    def key_of_rows(self, alias: str | None) -> str | None:
        # A replica has its own connection, which may be set to another schema.
        return getattr(connections[alias or self.alias], "schema_name", None)

    def is_shared(self, model: type[Model]) -> bool:
        return self._is_shared(model)

    def _find_shared(self, model: type[Model]) -> bool:
        if not self.divides(model):
            return False
        config = apps.get_app_config(model._meta.app_label)
        names = {config.name, f"{type(config).__module__}.{type(config).__name__}"}
        shared_apps, tenant_apps = _installed_apps(self.shared_key)
        return bool(names & shared_apps) and not names & tenant_apps

    def divides(self, model: type[Model]) -> bool:
        return router.db_for_write(model) == self.alias

    def owns_table(self, model: type[Model], key: str | None) -> bool:
        # With several types of tenants, only the row has the type, not a schema entered by name.
        typed = key not in {None, self.shared_key} and self._call_util("has_multi_type_tenants", False)
        with self.context(self.row(str(key)) if typed else key):
            return bool(router.allow_migrate_model(self.alias, model))

    def can_read(self, key: str | None) -> bool:
        return key is None or key == self.shared_key or bool(self.utils.schema_exists(key))

    def abandoned_tables(self, tables: Collection[str]) -> dict[str, dict[str, set[str]]]:
        found: dict[str, dict[str, set[str]]] = {}
        if not tables:
            return found
        with self.context(None), self.connection().cursor() as cursor:
            taken = {self.shared_key, *self._all_rows().values_list("schema_name", flat=True)}
            cursor.execute(
                "SELECT nspname, relname, attname FROM pg_attribute"
                " JOIN pg_class ON pg_class.oid = attrelid"
                " JOIN pg_namespace ON pg_namespace.oid = relnamespace"
                " WHERE relname = ANY(%s) AND relkind IN ('r', 'p') AND NOT starts_with(nspname, 'pg_')"
                " AND attnum > 0 AND NOT attisdropped",
                [list(tables)],
            )
            for schema, table, column in cursor.fetchall():
                if schema not in taken:
                    found.setdefault(schema, {}).setdefault(table, set()).add(column)
        return found

    # Signals

    def connect(self, *, created: Callable[[Any], None], deleted: Callable[[Any], None]) -> None:
        if getattr(settings, "TENANT_MODEL", None) is None:
            return

        def when_ready(*, tenant: Any, **kwargs: object) -> None:
            transaction.on_commit(partial(created, tenant), using=self.alias)

        def when_inserted(*, instance: Any, **kwargs: object) -> None:
            if vars(instance).pop(
                _CLONED, False
            ):  # django-tenants takes it for an old row and sends no signal
                when_ready(tenant=instance)

        def when_deleted(*, instance: Any, using: str, **kwargs: object) -> None:
            if instance.schema_name != self.shared_key and not _is_cleaning_up():
                row = copy.copy(instance)  # Django sets the primary key of the instance to None
                transaction.on_commit(partial(deleted, row), using=using)

        for signal in self.ready_signals:
            signal.connect(when_ready, weak=False, dispatch_uid="minio_router.tenant_ready")
        models = self.models_of_tenants()
        invalidate_on_save(models, attrgetter("schema_name"))
        for model in models:
            connect_once(pre_save, model, note_clone)
            connect_once(post_save, model, when_inserted)
            connect_once(post_delete, model, when_deleted)


def note_clone(*, instance: Any, **kwargs: object) -> None:
    """Note that a row from the database is saved as a new one, without its key, as ``clone_tenant`` does."""
    if instance.pk is None and not instance._state.adding:
        instance._state.adding = True  # Django requires it of code that copies a row
        vars(instance)[_CLONED] = True


def _installed_apps(public: str) -> tuple[set[str], set[str]]:
    """Return the apps of the public schema, and those of tenants of any type."""
    shared_apps, tenant_apps = getattr(settings, "SHARED_APPS", ()), getattr(settings, "TENANT_APPS", ())
    if getattr(settings, "HAS_MULTI_TYPE_TENANTS", False) and getattr(settings, "TENANT_TYPES", {}):
        types = {name: values["APPS"] for name, values in settings.TENANT_TYPES.items()}
        shared_apps = types.pop(public, shared_apps)
        tenant_apps = chain.from_iterable(types.values())
    return set(shared_apps), set(tenant_apps)


def _is_cleaning_up() -> bool:
    """Return whether an exception is being handled.

    django-tenants deletes the row of a tenant that it failed to create in an ``except`` block, and files of a
    former tenant of that name may still exist.
    """
    return sys.exc_info()[0] is not None
