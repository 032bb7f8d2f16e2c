"""A row's file belongs to where the row is: it stays its tenant's, whoever is active when it is used.

A row that is read remembers whose table it came from. Its file acts for that tenant, and takes it along when
it is pickled or handed to another row. When the row is written in another tenant, the file is copied there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from functools import cache, lru_cache, partial, wraps
from typing import Any, cast

from django.core.files.storage import Storage
from django.db import router as database_router
from django.db.models import FileField, ImageField, Model
from django.db.models.fields.files import FieldFile, ImageFieldFile

from ..exceptions import RoutingError
from ..tenancy import get_tenancy
from .fields import READ, OwnedField, OwnedFile
from .router import MinioRouter

# The row that is being saved, and the alias of the database that it is saved to.
_saved_to: ContextVar[tuple[Model | None, str | None]] = ContextVar(
    "minio_router_saved_to", default=(None, None)
)

_KEY = "_minio_router_tenant"  # of a row: the key of the tenant, or of what is shared, whose table it is in


def _key_of(field: FileField) -> str:
    """Return where a row notes whose file this is, once it was stored."""
    return f"{_KEY}_{field.attname}"


class RowFile(FieldFile):
    """A field's file whose storage acts for the tenant that the row belongs to.

    A row that was not read, and is not saved yet, belongs to whoever is active.
    """

    tenant_key: str | None = None
    _given: Storage | None = None
    _committed: bool  # Django's; typeshed lacks it

    def __init__(self, instance: Model, field: FileField, name: str | None) -> None:
        super().__init__(instance, field, name)
        known = vars(instance)
        self.tenant_key = known.get(_key_of(field)) or known.get(_KEY) or _shared_key(type(instance))

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
        """Store the content where the row will be: for the active tenant, or for what is shared."""
        before, stored = self.tenant_key, self.name
        self._give_to(_shared_key(type(self.instance)) or get_tenancy().active_key())
        try:
            super().save(name, content, save=save)
        except BaseException:
            if self.name == stored:  # else it is the row that was not saved
                self._give_to(before)
            raise

    def _give_to(self, key: str | None) -> None:
        """Note whose file it is, also for the next object that Django makes for it."""
        self.tenant_key = vars(self.instance)[_key_of(self.field)] = key

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "tenant_key": self.tenant_key}

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _unpickled, (_plain_class(type(self)),), self.__getstate__()


class RowImageFile(RowFile, ImageFieldFile):
    pass


@lru_cache(maxsize=4096)
def _storage_for(storage: Storage, key: str) -> Storage:
    return storage.on_behalf_of(key) if isinstance(storage, MinioRouter) else storage


@cache
def _row_file_class(attr_class: type[FieldFile]) -> type[RowFile]:
    """Return a class of files that is a row's as well as what the field wants it to be."""
    known = {FieldFile: RowFile, ImageFieldFile: RowImageFile}
    return known.get(attr_class) or type(attr_class.__name__, (RowFile, attr_class), {})


def _plain_class(row_file_class: type[RowFile]) -> type[FieldFile]:
    """Return the class that the field has without us, which can be found by its name."""
    bases: Any = row_file_class.__mro__
    plain: type[FieldFile] = next(base for base in bases if not issubclass(base, RowFile))
    return plain


def _unpickled(attr_class: type[FieldFile]) -> RowFile:
    return object.__new__(_row_file_class(cast("Any", attr_class)))


def follow_rows(field: FileField) -> None:
    """Let the files of this field follow their rows; an owner comes first."""
    if not isinstance(field, OwnedField):
        if not issubclass(field.attr_class, RowFile):
            field.attr_class = _row_file_class(cast("Any", field.attr_class))
        field.pre_save = partial(_pre_save, field)  # type: ignore[method-assign]
        field.get_db_prep_save = partial(_get_db_prep_save, field)  # type: ignore[method-assign]
    _remember(field.model)
    _tell_where_rows_go(field.model)


# What a row remembers


def _shared_key(model: type[Model]) -> str | None:
    tenancy = get_tenancy()
    return tenancy.shared_key if tenancy.is_shared(model) else None


def _remember(model: type[Model]) -> None:
    """Let each row of the model that is read remember whose it is."""
    from_db: Any = model.from_db
    if hasattr(from_db.__func__, "minio_router_remembers"):
        return  # inherited from a parent
    original: Callable[..., Model] = from_db.__func__

    def remembering(cls: type[Model], db: str | None, field_names: Collection[str], values: Any) -> Model:
        row = original(cls, db, field_names, values)
        key = _shared_key(cls) or get_tenancy().key_of_rows(db)
        state = vars(row)
        if key is not None:
            state[_KEY] = key
        if _has_owners(cls):
            state[READ] = dict(zip(field_names, values, strict=False))
        for name in _sized_images(cls):  # which Django has opened already
            if isinstance(state.get(name), RowFile):
                state[name].tenant_key = key
            elif isinstance(state.get(name), OwnedFile):
                state[name].row_as_read = state[READ]
        return row

    remembering.minio_router_remembers = True  # type: ignore[attr-defined]
    model.from_db = classmethod(remembering)  # type: ignore[method-assign, assignment]


@cache
def _has_owners(model: type[Model]) -> bool:
    return any(isinstance(field, OwnedField) for field in model._meta.fields)


@cache
def _sized_images(model: type[Model]) -> Sequence[str]:
    images: list[Any] = [field for field in model._meta.fields if isinstance(field, ImageField)]
    return [field.attname for field in images if field.width_field or field.height_field]


# When a row is written


def _tell_where_rows_go(model: type[Model]) -> None:
    """Let each row say to which database it is saved: ``save(using=…)`` need not be where it was read."""
    original: Any = model.save_base
    if hasattr(original, "minio_router_tells"):
        return  # inherited from a parent

    @wraps(original)
    def telling(self: Model, *args: Any, **options: Any) -> None:
        token = _saved_to.set((self, options.get("using")))
        try:
            original(self, *args, **options)
        finally:
            _saved_to.reset(token)

    telling.minio_router_tells = True  # type: ignore[attr-defined]
    model.save_base = telling  # type: ignore[method-assign]


def _get_db_prep_save(field: FileField, value: Any, connection: Any) -> Any:
    """Refuse a row that goes to another connection than was known when its file was stored.

    ``using(…).bulk_create()`` tells no row of it.
    """
    if isinstance(value, RowFile) and _key_of(field) in vars(value.instance):
        tenancy, model = get_tenancy(), type(value.instance)
        if tenancy.divides(model) and not tenancy.is_shared(model):
            home = tenancy.key_of_rows(connection.alias)
            if home not in {None, value.tenant_key or tenancy.shared_key}:
                raise _parted(value.instance, str(home), value.tenant_key)
    return type(field).get_db_prep_save(field, value, connection)


def _pre_save(field: FileField, instance: Model, add: bool) -> Any:
    """Give the row a file of its own where it is written; Django calls this before."""
    file = getattr(instance, field.attname)
    if not (file and isinstance(file, RowFile) and isinstance(field.storage, MinioRouter)):
        return type(field).pre_save(field, instance, add)
    key, tenancy = _written_to(instance), get_tenancy()
    if file._committed and key is not None:
        _take_along(file, field.storage, key)
    elsewhere = key not in {None, tenancy.shared_key, tenancy.active_key()}
    with tenancy.bucket_context(key) if elsewhere else nullcontext():
        return type(field).pre_save(field, instance, add)


def _written_to(instance: Model) -> str | None:
    """Return the key of the tenant in whose table the row is about to be written; None if no table tells.

    ``RoutingError`` if its file would be another tenant's. Where nobody is active, the connection decides
    that the row is saved to.
    """
    tenancy, model = get_tenancy(), type(instance)
    shared = _shared_key(model)
    if shared is not None or not tenancy.divides(model):
        return shared
    row, using = _saved_to.get()
    named = using if row is instance else None
    alias = named or database_router.db_for_write(model, instance=instance)
    home, active = tenancy.key_of_rows(alias), tenancy.active_key()
    another = active is None and alias != database_router.db_for_write(model)
    if home is not None and not another and active != (None if home == tenancy.shared_key else home):
        raise _parted(instance, home, active)
    return home or active


def _parted(instance: Model, home: str, whose: str | None) -> RoutingError:
    return RoutingError(
        f"A row of {instance._meta.label} would be written for {home!r}, and its file stored for "
        f"{whose!r}. Enter tenant_context() for both, instead of tenant_bucket_context()."
    )


def _take_along(file: RowFile, storage: MinioRouter, key: str) -> None:
    """Copy a file to the tenant in which its row is about to be written, unless it is there."""
    if file.tenant_key in {None, key} or _share_a_bucket(storage, file.tenant_key, key):
        file._give_to(key)
        return
    with file.storage.open(str(file.name)) as content, get_tenancy().bucket_context(key):
        file.save(posixpath.basename(str(file.name)), content, save=False)


def _share_a_bucket(storage: MinioRouter, one: str | None, other: str) -> bool:
    return storage.on_behalf_of(one).backend is storage.on_behalf_of(other).backend
