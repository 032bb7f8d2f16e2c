"""Tenants as rows of a model, such as organizations, on any database."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from reprlib import repr as shortened
from types import NoneType
from typing import Any, cast

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import router, transaction
from django.db.models import Field, Model, QuerySet
from django.db.models.signals import post_delete, post_save
from django.utils.functional import cached_property

from ..exceptions import ConfigurationError, RoutingError, TenantRequired
from ..settings.config import import_callable
from .base import Tenancy, model_named
from .row_cache import cached_row, connect_once, invalidate_on_save


class RowTenancy(Tenancy):
    """Each row of ``model`` is a tenant, and ``key`` is the unique field that identifies it.

    ``current`` is a callable, or its dotted path, that returns the active row, its key, or None. Without it,
    only ``tenant_bucket_context()`` and the owners of fields name the tenant. The rows of other models are in
    shared tables, so only a row's owner says which tenant it belongs to.
    """

    source = "the 'current' of MINIO_TENANCY"

    def __init__(self, model: str, key: str = "pk", current: str | Callable[[], Any] | None = None) -> None:
        self._label = model
        self.key_name = key
        self._current_option = current
        self.remedy = (
            "Use a BucketFileField with an owner, or enter tenant_bucket_context(tenant), or give "
            "MINIO_TENANCY a 'current'"
            if current is None
            else "Return it from the 'current' of MINIO_TENANCY, or enter tenant_bucket_context(tenant)"
        )

    # The settings

    def verify(self) -> None:
        _ = self.model, self._key_field, self._current

    @cached_property  # pyright does not accept it as a property
    def model(self) -> type[Model]:  # pyright: ignore[reportIncompatibleMethodOverride]
        concrete: Any = model_named("MINIO_TENANCY names", self._label)._meta.concrete_model
        return concrete  # type: ignore[no-any-return]

    @cached_property
    def _key_field(self) -> Field[Any, Any]:
        meta = self.model._meta
        try:
            field: Any = meta.pk if self.key_name == "pk" else meta.get_field(self.key_name)
        except FieldDoesNotExist:
            field = None
        if field is None or not field.concrete or (field.is_relation and not field.primary_key):
            raise ConfigurationError(
                f"MINIO_TENANCY has the key {self.key_name!r}, which is not a value field of {meta.label}. "
                "Name a unique field, or 'pk'."
            )
        alone = [tuple(constraint.fields) for constraint in meta.total_unique_constraints]
        if not field.unique and (field.name,) not in alone:
            raise ConfigurationError(
                f"MINIO_TENANCY has the key {self.key_name!r}, which is not unique in {meta.label}, so two "
                "tenants could share their files. Set unique=True on the field, or name another one."
            )
        return field  # type: ignore[no-any-return]

    @cached_property
    def key_names(self) -> frozenset[str]:
        field = self._key_field
        return frozenset({self.key_name, field.name, field.attname, *(["pk"] if field.primary_key else [])})

    @cached_property
    def _current(self) -> Callable[[], Any]:
        if self._current_option is None:
            return lambda: None
        current: Callable[[], Any] = import_callable(
            "MINIO_TENANCY has the current", self._current_option, "a function that returns the active tenant"
        )
        return current

    # Who is active

    def connection(self) -> object:
        return threading.current_thread()

    def connected_tenant(self) -> Any:
        """Return the result of ``current``. ``RoutingError`` if it raises: its error may mean anything."""
        current = self._current
        try:
            tenant = current()
        except RoutingError:
            raise
        except Exception as error:
            raise RoutingError(
                f"The 'current' of MINIO_TENANCY raised {type(error).__name__}({error}), so the active "
                "tenant is unknown. It must return a row, its key, or None if no tenant is active."
            ) from error
        return None if isinstance(tenant, NoneType) else tenant  # isinstance() also sees a lazy None

    def connected_key(self) -> str | None:
        return self._key_of_current(self.connected_tenant())

    def _verified_key(self) -> str | None:
        tenant = self.connected_tenant()
        key = self._key_of_current(tenant)
        if key is not None and not isinstance(tenant, self.model):
            self.row(key)
        return key

    def _key_of_current(self, tenant: Any) -> str | None:
        if tenant is None:
            return None
        if isinstance(tenant, self.model) and (tenant._state.adding or tenant.pk is None):
            raise TenantRequired(
                f"The 'current' of MINIO_TENANCY returned an unsaved {self.model._meta.label}, so nothing "
                "can be stored for it. Save it first."
            )
        return self.key(tenant)

    def _database_context(self, tenant: Any | None) -> AbstractContextManager[Any]:
        return nullcontext()

    # The tenants

    def key(self, tenant: Any) -> str:
        if not isinstance(tenant, self.model):
            key = self._text(tenant)
            if key is None:
                raise TenantRequired(
                    f"{shortened(tenant)} is not a tenant. Pass a row of {self.model._meta.label}, or its "
                    f"{self.key_name}, as MINIO_TENANCY says."
                )
            return key
        key = self._text(getattr(tenant, self._key_field.attname))
        if key is None:
            raise TenantRequired(
                f"A row of {self.model._meta.label} has no {self.key_name}, so nothing can be stored for it. "
                "Set it, and save the row first."
            )
        return key

    def _text(self, value: Any) -> str | None:
        """Return a key as text in its canonical form, or None if it is not a key."""
        try:
            found = self._key_field.to_python(value)
        except (TypeError, ValueError, ValidationError):
            return None
        # A text field converts anything to text, and a number field True to 1.
        right = isinstance(value, str) or (found == value and not isinstance(value, bool))
        return str(found) if right and found is not None and found != "" else None

    def row(self, key: str) -> Any:
        return cached_row(key, self._alias, self._read_row)

    def _read_row(self, key: str) -> Any:
        row = self.named(key)
        if row is None:
            raise TenantRequired(
                f"No {self.model._meta.label} has the {self.key_name} {key!r}. Create it first, or correct "
                "its source: tenant_bucket_context(), an owner, or the 'current' of MINIO_TENANCY."
            )
        return row

    @property
    def _alias(self) -> str:
        alias: str = router.db_for_write(self.model)
        return alias

    def _all_rows(self) -> QuerySet[Any]:
        """Return the rows of all tenants, including those that managers hide."""
        return QuerySet(self.model, using=self._alias)

    def tenants(self, keys: Iterable[str] | None = None) -> Iterator[Any]:
        rows = self._all_rows().order_by("pk")
        if keys is None:
            yield from rows.iterator(chunk_size=1000)
            return
        wanted = {key for key in map(self._text, keys) if key is not None}
        found = rows.filter(**{f"{self.key_name}__in": wanted})
        # A case-insensitive database finds "acme" for "Acme".
        yield from (row for row in found.iterator(chunk_size=1000) if self.key(row) in wanted)

    def find(self, reference: Any) -> Any | None:
        pk = reference.pk if isinstance(reference, self.model) else reference
        with suppress(TypeError, ValueError, ValidationError):
            row = self._all_rows().filter(pk=pk).first()
            if row is not None or pk is not reference:
                return row
        return self.named(cast("str", reference))

    # Rows

    def divides(self, model: type[Model]) -> bool:
        return False

    def owns_table(self, model: type[Model], key: str | None) -> bool:
        return key is None

    def can_read(self, key: str | None) -> bool:
        return True

    # Signals

    def connect(self, *, created: Callable[[Any], None], deleted: Callable[[Any], None]) -> None:
        def when_saved(*, instance: Any, using: str, **kwargs: Any) -> None:
            if kwargs["created"]:
                transaction.on_commit(partial(created, instance), using=using)

        def when_deleted(*, instance: Any, using: str, **kwargs: object) -> None:
            row = copy.copy(instance)  # Django sets the primary key of the instance to None
            transaction.on_commit(partial(deleted, row), using=using)

        self.verify()
        models = self.models_of_tenants()
        invalidate_on_save(models, self.key_if_any)
        for model in models:
            connect_once(post_save, model, when_saved)
            connect_once(post_delete, model, when_deleted)
