"""How a strategy learns the model: each field whose storage is a router gets a copy bound to it.

Django hands a storage only a name. Fields may share one router, abstract models hand theirs to all their
children, and the default storage is shared by all; so the router itself is never changed.
"""

from __future__ import annotations

from functools import wraps
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
from .rows import follow_rows
from .signals import field_bound


class _LateBound(LazyObject):  # type: ignore[type-arg]
    """A lazy storage, such as the default one, bound to a field at first use.

    Nothing may be set up while models load, and a test may change ``STORAGES`` until then. Who looks below a
    lazy object, as sorl-thumbnail does, finds the storage of ``STORAGES`` itself, and so its alias; what is
    called is the copy that knows the model.
    """

    def __init__(self, storage: Storage, field: FileField) -> None:
        # In a tuple, since LazyObject touches each attribute that it hands out, which would set it up.
        self.__dict__["_origin"] = storage, field
        super().__init__()

    def _setup(self) -> None:
        storage, field = self._origin
        called = storage.bind(field) if isinstance(storage, MinioRouter) else storage
        self.__dict__["_called"] = (called,)
        self._wrapped = self._origin[0]._wrapped  # it is lazy as well, and set up by now

    def _bound(self) -> Any:
        if self._wrapped is empty:
            self._setup()
        return self._called[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bound(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_wrapped":
            super().__setattr__(name, value)
        else:
            setattr(self._bound(), name, value)

    def __eq__(self, other: object) -> bool:
        """Compare what is called: who keeps content by storage and name keeps that of two models apart."""
        return bool(self._bound() == (other._bound() if type(other) is _LateBound else other))

    def __hash__(self) -> int:
        return hash(self._bound())

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickle_lazyobject, (self._bound(),)

    def __copy__(self) -> _LateBound:
        return _LateBound(*self._origin)

    def __deepcopy__(self, memo: dict[int, Any]) -> _LateBound:
        return _LateBound(*self._origin)


def file_fields(model: type[Model]) -> list[FileField]:
    """Return the file fields that the model itself defines, or has from abstract models."""
    return [field for field in model._meta.local_fields if isinstance(field, FileField)]


def uses_default_storage(field: FileField) -> bool:
    return _unbound(field.storage) is default_storage


def _unbound(storage: Any) -> Storage:
    # Not isinstance(), which sets up a lazy storage of another class.
    return storage._origin[0] if type(storage) is _LateBound else storage  # type: ignore[no-any-return]


def bind_fields(sender: type[Model], **kwargs: Any) -> None:
    for field in file_fields(sender):
        bind_field(field)


def bind_field(field: FileField) -> None:
    """Give the field a storage of its own, if its storage is a router or may turn out to be one."""
    storage = _unbound(field.storage)
    if storage is default_storage and not _default_storage_routes():
        field.storage = storage
        return
    if isinstance(storage, LazyObject):
        field.storage = cast("Storage", _LateBound(storage, field))
        # What FileField.deconstruct() takes first: so migrations show the storage that was given, and
        # leave out the default one.
        field.__dict__.setdefault("_storage_callable", storage)
    elif isinstance(storage, MinioRouter):
        field.storage = storage.bind(field)
    else:
        return
    follow_rows(field)
    field_bound.send(type(field), field=field)


def _default_storage_routes() -> bool:
    """Tell whether the default storage is a router. Its module may use models, so it has to wait for them."""
    if not apps.models_ready:
        return False
    try:
        storage_class = import_string(settings.STORAGES["default"]["BACKEND"])
    except (ImportError, KeyError):
        return False  # Django says so when the storage is used
    return isinstance(storage_class, type) and issubclass(storage_class, MinioRouter)


def bind_models() -> None:
    """Bind the fields of all models anew."""
    for model in apps.get_models(include_auto_created=True):
        bind_fields(model)


def _rebind(*, setting: str, **kwargs: Any) -> None:
    if setting in {"STORAGES", "DEFAULT_FILE_STORAGE"}:
        bind_models()


def _bind_late_fields() -> None:
    """Let fields that come to a model later be bound too: for ``add_to_class`` Django sends no signal."""
    original: Any = FileField.contribute_to_class
    if hasattr(original, "minio_router_binds"):
        return

    @wraps(original)
    def contribute_to_class(field: FileField, cls: type[Model], name: str, **kwargs: Any) -> None:
        original(field, cls, name, **kwargs)
        if apps.models_ready and not cls._meta.abstract:
            bind_field(field)

    contribute_to_class.minio_router_binds = True  # type: ignore[attr-defined]
    FileField.contribute_to_class = cast("Any", contribute_to_class)  # type: ignore[method-assign]


def connect() -> None:
    """Bind fields as their models are prepared, or later, and again when the default storage changes."""
    _bind_late_fields()
    class_prepared.connect(bind_fields, dispatch_uid="minio_router.bind_fields")
    setting_changed.connect(_rebind, dispatch_uid="minio_router.rebind")
