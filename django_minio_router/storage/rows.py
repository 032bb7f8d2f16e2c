"""A row's file belongs to the row's tenant, whichever tenant is active when it is used.

A row from the database remembers which tenant's table it came from. Its file acts for that tenant, also when
it is pickled or assigned to another row. When the row is saved for another tenant, the file is copied there.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from functools import cache, lru_cache, wraps
from typing import Any, cast

from django.core.files.storage import Storage
from django.db import router as database_router
from django.db.models import FileField, ImageField, Model
from django.db.models.fields.files import FieldFile
from django.db.models.query import ModelIterable, RawModelIterable

from ..exceptions import ConfigurationError, RoutingError
from ..tenancy import get_tenancy
from .fields import READ, BucketFileField, OwnedFile
from .router import MinioRouter

# The row that is being saved, and the database alias that it is saved to.
_saved_to: ContextVar[tuple[Model | None, str | None]] = ContextVar(
    "minio_router_saved_to", default=(None, None)
)


class _Reading(threading.local):
    """The key of the tenant whose rows are made now: that of the query. A context variable takes longer."""

    key: str | None = None


_reading = _Reading()

_EXTENDED = "minio_router_extended"  # attribute of a method that this package replaced
_KEY = "_minio_router_tenant"  # attribute of a row: the key that its connection had when it was read


def _key_of(field: FileField) -> str:
    """Return the attribute in which a row notes whose file this is, once it is stored."""
    return f"{_KEY}_{field.attname}"


class RowFile(FieldFile):
    """A field file whose storage acts for the row's tenant.

    A new row, before it is saved, belongs to the active tenant.
    """

    tenant_key: str | None = None
    _given: Storage | None = None
    _committed: bool  # Django's; typeshed lacks it

    def __init__(self, instance: Model, field: FileField, name: str | None) -> None:
        super().__init__(instance, field, name)
        self.tenant_key = _key_in(instance, field)

    @property
    def storage(self) -> Storage:
        if self._given is not None:
            return self._given
        storage: Storage = self.field.storage
        return storage if self.tenant_key is None else _storage_for(storage, self.tenant_key)

    @storage.setter
    def storage(self, storage: Storage) -> None:
        """Keep another storage. Django sets the field's, which knows no row: ours is found at each call."""
        if storage is not self.field.storage:
            self._given = storage

    @storage.deleter
    def storage(self) -> None:
        self._given = None

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Store the content where the row will be saved: for the active tenant, or as shared."""
        before, stored = self.tenant_key, self.name
        self._assign_to(_shared_key(self.field.model) or get_tenancy().active_key())
        try:
            super().save(name, content, save=save)
        except BaseException:
            if self.name == stored:  # else only saving the row failed
                self._assign_to(before)
            raise

    def delete(self, save: bool = True) -> None:
        """Delete the file. ``RoutingError`` if the row would then be saved in another tenant's table.

        The row of that tenant with the same primary key would lose the name of its file.
        """
        if save and self and isinstance(self.field.storage, MinioRouter):
            model = type(self.instance)
            other = _other_tenant(self, database_router.db_for_write(model, instance=self.instance))
            if other is not None:
                raise _mismatch_error(model, other, self.tenant_key)
        super().delete(save=save)

    delete.alters_data = True  # type: ignore[attr-defined]  # templates must not call it

    def _assign_to(self, key: str | None) -> None:
        """Note whose file it is, here and on the row for later file objects."""
        self.tenant_key = vars(self.instance)[_key_of(self.field)] = key

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "tenant_key": self.tenant_key}

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _unpickled, (_plain_class(type(self)),), self.__getstate__()


@lru_cache(maxsize=4096)
def _storage_for(storage: Storage, key: str) -> Storage:
    return storage.on_behalf_of(key) if isinstance(storage, MinioRouter) else storage


@cache
def _row_file_class(attr_class: type[FieldFile]) -> type[RowFile]:
    """Return a subclass of both ``RowFile`` and the field's own file class."""
    return type(attr_class.__name__, (RowFile, attr_class), {})


def _plain_class(row_file_class: type[RowFile]) -> type[FieldFile]:
    """Return the field's original file class, which pickle can import."""
    bases: Any = row_file_class.__mro__
    plain: type[FieldFile] = next(base for base in bases if not issubclass(base, RowFile))
    return plain


def _unpickled(attr_class: type[FieldFile]) -> RowFile:
    return object.__new__(_row_file_class(cast("Any", attr_class)))


def follow_rows(field: FileField) -> None:
    """Make the files of this field follow their rows; an owner takes precedence."""
    if not isinstance(field, BucketFileField) and not issubclass(field.attr_class, RowFile):
        field.attr_class = _row_file_class(cast("Any", field.attr_class))
    follow_inherited(field.model)


def follow_inherited(model: type[Model]) -> None:
    """Make rows remember their tenant if a file of theirs follows them.

    Proxies and children inherit it, unless they have a ``from_db`` of their own.
    """
    files = (field for field in model._meta.fields if isinstance(field, FileField))
    if any(isinstance(field, BucketFileField) or issubclass(field.attr_class, RowFile) for field in files):
        extend_once(model, "from_db", _remember_tenant)
        extend_once(model, "save_base", _track_save_alias)
        for kind in (ModelIterable, RawModelIterable):
            extend_once(kind, "__iter__", _of_one_tenant)
        for below in model.__subclasses__():
            follow_inherited(below)


def extend_once(owner: type, name: str, extend: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace a method of a class by ``extend(method)``, unless it was replaced there or in a parent."""
    method: Any = getattr(owner, name)
    if hasattr(method, _EXTENDED):
        return
    function = getattr(method, "__func__", method)
    extended: Any = wraps(function)(extend(function))  # Django looks at the arguments of some
    setattr(extended, _EXTENDED, True)
    setattr(owner, name, extended if function is method else classmethod(extended))


# What a row remembers


def _shared_key(model: type[Model]) -> str | None:
    """Return the shared key if the table of the model has it.

    For a file that is the field's model: a proxy or a child may be in an app of the tenants.
    """
    tenancy = get_tenancy()
    return tenancy.shared_key if tenancy.is_shared(model) else None


def _key_in(row: Model, field: FileField) -> str | None:
    known = vars(row)
    return known.get(_key_of(field)) or _shared_key(field.model) or known.get(_KEY)


def _remember_tenant(original: Callable[..., Model]) -> Callable[..., Model]:
    """Make each row of a model remember its tenant when it is read."""

    def from_db(
        cls: type[Model], db: str | None, field_names: Collection[str], values: Any, **options: Any
    ) -> Model:
        row = original(cls, db, field_names, values, **options)
        key = _reading.key or get_tenancy().key_of_rows(db)
        state = vars(row)
        if key is not None:
            state[_KEY] = key
        if _has_owners(cls):
            state[READ] = dict(zip(field_names, values, strict=False))
        for name in _sized_images(cls):  # Django has created their file objects already
            if isinstance(state.get(name), RowFile):
                state[name].tenant_key = _key_in(row, state[name].field)
            elif isinstance(state.get(name), OwnedFile):
                state[name].row_as_read = state[READ]
        return row

    return from_db


@cache
def _has_owners(model: type[Model]) -> bool:
    return any(isinstance(field, BucketFileField) for field in model._meta.fields)


@cache
def _sized_images(model: type[Model]) -> Sequence[str]:
    images: list[Any] = [field for field in model._meta.fields if isinstance(field, ImageField)]
    return [field.attname for field in images if field.width_field or field.height_field]


def _of_one_tenant(original: Callable[[Any], Iterator[Model]]) -> Callable[[Any], Iterator[Model]]:
    """Make the rows of an iterator belong to the tenant of the query, whoever is active at a later row."""

    def __iter__(self: Any) -> Iterator[Model]:
        query, model = self.queryset.query, self.queryset.model
        may_follow = hasattr(model.from_db, _EXTENDED) or getattr(query, "select_related", False)
        rows = original(self)
        return _read_for_one(rows, self.queryset.db) if may_follow else rows

    return __iter__


def _read_for_one(rows: Iterator[Model], alias: str) -> Iterator[Model]:
    key = _key_of_query(alias)
    while True:
        before, _reading.key = _reading.key, key
        try:
            row = next(rows, None)
        finally:
            _reading.key = before
        if row is None:
            return
        yield row


def _key_of_query(alias: str) -> str | None:
    try:
        return get_tenancy().key_of_rows(alias)
    except ConfigurationError:  # a check reports it, and models without files can still be read
        return None


# When a row is written


def _track_save_alias(original: Callable[..., None]) -> Callable[..., None]:
    """Record the database that each row is saved to: ``save(using=…)`` may differ from where it was read."""

    def save_base(self: Model, *args: Any, **options: Any) -> None:
        token = _saved_to.set((self, options.get("using")))
        try:
            original(self, *args, **options)
        finally:
            _saved_to.reset(token)

    return save_base


def follow_saves() -> None:
    """Look after the files of rows that are saved.

    In the class: a copy of a field that history packages make into another kind must not take it along.
    """
    extend_once(FileField, "pre_save", _pre_save)
    extend_once(FileField, "get_db_prep_save", _get_db_prep_save)


def _get_db_prep_save(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_db_prep_save(field: FileField, value: Any, connection: Any) -> Any:
        if value and isinstance(value, RowFile) and isinstance(field.storage, MinioRouter):
            _refuse_other_tenants(field.storage, value, connection.alias)
        return original(field, value, connection)

    return get_db_prep_save


def _refuse_other_tenants(storage: MinioRouter, file: RowFile, alias: str) -> None:
    """Refuse a row that would name a file of another tenant: only ``save()`` copies it.

    ``using(…).bulk_create()`` does not tell the rows their connection, ``update()`` knows no rows.
    """
    other = _other_tenant(file, alias)
    if other is not None and not _share_a_bucket(storage, file.tenant_key, other):
        raise _mismatch_error(file.field.model, other, file.tenant_key)


def _other_tenant(file: RowFile, alias: str) -> str | None:
    """Return the key of the tenant in whose table this connection writes, unless it is the file's."""
    tenancy, field = get_tenancy(), file.field
    key = file.tenant_key or (tenancy.shared_key if _key_of(field) in vars(file.instance) else None)
    if key is None or _shared_key(field.model) is not None or not tenancy.divides(field.model):
        return None
    row_key = tenancy.key_of_rows(alias)
    return None if row_key == key else row_key


def _pre_save(original: Callable[..., Any]) -> Callable[..., Any]:
    def pre_save(field: FileField, instance: Model, add: bool) -> Any:
        """Copy the row's file to the tenant that the row is about to be saved for."""
        file = getattr(instance, field.attname)
        if not (file and isinstance(file, RowFile) and isinstance(field.storage, MinioRouter)):
            return original(field, instance, add)
        key, tenancy = _target_key(instance, field), get_tenancy()
        if file._committed and key is not None:
            _copy_to_tenant(file, field.storage, key)
        is_other_tenant = key not in {None, tenancy.shared_key, tenancy.active_key()}
        with tenancy.bucket_context(key) if is_other_tenant else nullcontext():
            return original(field, instance, add)

    return pre_save


def _target_key(instance: Model, field: FileField) -> str | None:
    """Return the key of the tenant in whose table the row is about to be saved; None if unknown.

    Raise ``RoutingError`` if its file would be another tenant's. If no tenant is active, the connection of
    the save decides.
    """
    tenancy, model = get_tenancy(), type(instance)
    shared = _shared_key(field.model)
    if shared is not None or not tenancy.divides(field.model):
        return shared
    row, using = _saved_to.get()
    named = using if row is instance else None
    alias = named or database_router.db_for_write(model, instance=instance)
    row_key, active = tenancy.key_of_rows(alias), tenancy.active_key()
    is_other_database = active is None and alias != database_router.db_for_write(model)
    if (
        row_key is not None
        and not is_other_database
        and active != (None if row_key == tenancy.shared_key else row_key)
    ):
        raise _mismatch_error(model, row_key, active)
    return row_key or active


def _mismatch_error(model: type[Model], row_key: str, whose: str | None) -> RoutingError:
    return RoutingError(
        f"A row of {model._meta.label} would be saved for {row_key!r}, but its file stored for {whose!r}. "
        "Enter tenant_context() for both, instead of tenant_bucket_context(). Only save() copies a file to "
        "another tenant; update() and bulk_update() do not."
    )


def _copy_to_tenant(file: RowFile, storage: MinioRouter, key: str) -> None:
    """Copy a file to the tenant that its row is about to be saved for, unless it is there."""
    if file.tenant_key in {None, key} or _share_a_bucket(storage, file.tenant_key, key):
        file._assign_to(key)
        return
    with file.storage.open(str(file.name)) as content, get_tenancy().bucket_context(key):
        file.save(posixpath.basename(str(file.name)), content, save=False)


def _share_a_bucket(storage: MinioRouter, one: str | None, other: str) -> bool:
    return storage.on_behalf_of(one).backend is storage.on_behalf_of(other).backend
