"""Tell strategies the model: each field whose storage is a router gets a copy of it, bound to the field.

Django passes a storage only a name. The router itself is never changed, because fields may share it: through
abstract models, or as the default storage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.core.signals import setting_changed
from django.db.models import FileField, Model
from django.db.models.signals import class_prepared
from django.utils.functional import LazyObject, empty, unpickle_lazyobject
from django.utils.module_loading import import_string

from .router import MinioRouter
from .rows import extend_once, follow_inherited, follow_rows, follow_saves
from .signals import field_bound

_attribute = object.__getattribute__


class _LazyBound(LazyObject):  # type: ignore[type-arg]
    """A lazy storage, such as the default one, bound to a field on first use.

    It must not be set up while models load, and a test may change ``STORAGES`` before its first use. Code
    that unwraps lazy objects, such as sorl-thumbnail, finds the storage of ``STORAGES``, and so its alias;
    calls go to the copy that knows the model.
    """

    def __init__(self, storage: Storage, field: FileField) -> None:
        # In a tuple, because LazyObject calls methods of the attributes it returns, which would set them up.
        self.__dict__["_origin"] = storage, field
        super().__init__()

    def _setup(self) -> None:
        storage, field = self._origin
        called = storage.bind(field) if isinstance(storage, MinioRouter) else storage
        self.__dict__["_bound_storage"] = (called,)
        self._wrapped = self._origin[0]._wrapped  # lazy as well, and set up by now

    def _bound(self) -> Any:
        # Around LazyObject's __getattribute__, which is slow: each link of a row comes here.
        own = _attribute(self, "__dict__")
        # A test may also put another storage into the lazy one, or empty it.
        if own["_wrapped"] is empty or own["_wrapped"] is not _attribute(own["_origin"][0], "_wrapped"):
            self._setup()
        return own["_bound_storage"][0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bound(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_wrapped":
            super().__setattr__(name, value)
        else:
            setattr(self._bound(), name, value)

    def __eq__(self, other: object) -> bool:
        """Compare what is called: who keeps content by storage and name keeps that of two models apart."""
        return bool(self._bound() == (other._bound() if type(other) is _LazyBound else other))

    def __hash__(self) -> int:
        return hash(self._bound())

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickle_lazyobject, (self._bound(),)

    def __copy__(self) -> _LazyBound:
        return _LazyBound(*self._origin)

    def __deepcopy__(self, memo: dict[int, Any]) -> _LazyBound:
        return _LazyBound(*self._origin)


def file_fields(model: type[Model]) -> list[FileField]:
    """Return the file fields that the model defines or inherits from abstract models."""
    return [field for field in model._meta.local_fields if isinstance(field, FileField)]


def uses_default_storage(field: FileField) -> bool:
    return _unbound(field.storage) is default_storage


def _unbound(storage: Any) -> Storage:
    # Not isinstance(), which would set up other lazy storages.
    return storage._origin[0] if type(storage) is _LazyBound else storage  # type: ignore[no-any-return]


def bind_fields(sender: type[Model], **kwargs: Any) -> None:
    for field in file_fields(sender):
        bind_field(field)
    follow_inherited(sender)


def bind_field(field: FileField) -> None:
    """Give the field its own storage if its storage is a router, or a lazy object that may become one."""
    storage = _unbound(field.storage)
    if storage is default_storage and not _default_storage_routes():
        field.storage = storage
        return
    original = storage
    if isinstance(storage, LazyObject):
        field.storage = cast("Storage", _LazyBound(storage, field))
    elif isinstance(storage, MinioRouter):
        original, field.storage = storage.origin, storage.bind(field)
    else:
        return
    # FileField.deconstruct() prefers this attribute, so migrations show the original storage, and omit the
    # default one.
    if not callable(field.__dict__.get("_storage_callable")):  # unless it is the project's own
        field.__dict__["_storage_callable"] = original
    follow_rows(field)
    field_bound.send(type(field), field=field)


def field_storage(field: str, tenant: str | None = None) -> Storage:
    """Return the storage of a field such as ``"contracts.Contract.file"``, acting for the tenant of this key.

    Tasks come here by the ``deconstruct()`` of a row's storage.
    """
    label, _, name = field.rpartition(".")
    storage: Storage = cast("FileField", apps.get_model(label)._meta.get_field(name)).storage
    return storage.on_behalf_of(tenant) if tenant and isinstance(storage, MinioRouter) else storage


def _default_storage_routes() -> bool:
    """Return whether the default storage is a router. Its module may use models, so wait for them."""
    if not apps.models_ready:
        return False
    try:
        storage_class = import_string(settings.STORAGES["default"]["BACKEND"])
    except (ImportError, KeyError, AttributeError, TypeError):
        return False  # a check reports it, and Django when the storage is used
    return isinstance(storage_class, type) and issubclass(storage_class, MinioRouter)


def bind_models() -> None:
    """Bind the fields of all models again."""
    for model in apps.get_models(include_auto_created=True):
        bind_fields(model)


def _rebind(*, setting: str, **kwargs: Any) -> None:
    if setting in {"STORAGES", "DEFAULT_FILE_STORAGE"}:
        bind_models()


def _bind_late_fields(original: Callable[..., None]) -> Callable[..., None]:
    """Bind fields added to a model later too: ``add_to_class`` sends no signal."""

    def contribute_to_class(field: FileField, cls: type[Model], name: str, **kwargs: Any) -> None:
        original(field, cls, name, **kwargs)
        if apps.models_ready and not cls._meta.abstract:
            bind_field(field)

    return contribute_to_class


def connect() -> None:
    """Bind fields when their models are prepared or they are added, and when the default storage changes."""
    extend_once(FileField, "contribute_to_class", _bind_late_fields)
    follow_saves()
    class_prepared.connect(bind_fields, dispatch_uid="minio_router.bind_fields")
    setting_changed.connect(_rebind, dispatch_uid="minio_router.rebind")
