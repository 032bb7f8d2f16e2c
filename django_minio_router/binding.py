"""How a strategy learns the model: each field whose storage is a router gets a copy bound to it.

Django hands a storage only a name. Fields may share one router, abstract models hand theirs to all their
children, and the default storage is shared by all; so the router itself is never changed.
"""

from __future__ import annotations

from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.core.files.storage import Storage, default_storage, storages
from django.core.signals import setting_changed
from django.db.models import FileField, Model
from django.db.models.signals import class_prepared
from django.utils.functional import LazyObject
from django.utils.module_loading import import_string

from .router import MinioRouter


class _BoundDefaultStorage(LazyObject):  # type: ignore[type-arg]
    """The default storage, bound to a field at first use: nothing may be set up while models load."""

    def __init__(self, field: FileField) -> None:
        self.__dict__["_field"] = field
        super().__init__()

    def _setup(self) -> None:
        router = cast("MinioRouter", storages["default"])
        self._wrapped = router.bind(self.__dict__["_field"])


def file_fields(model: type[Model]) -> list[FileField]:
    """Return the file fields that the model itself defines, or has from abstract models."""
    return [field for field in model._meta.local_fields if isinstance(field, FileField)]


def bind_fields(sender: type[Model], **kwargs: Any) -> None:
    for field in file_fields(sender):
        bind_field(field)


def bind_field(field: FileField) -> None:
    """Give the field a storage of its own, if its storage is a router."""
    if uses_default_storage(field):
        if not _default_storage_routes():
            field.storage = default_storage
            return
        field.storage = cast("Storage", _BoundDefaultStorage(field))
        # FileField.deconstruct() looks here first, and leaves the default storage out of migrations.
        field.__dict__.setdefault("_storage_callable", default_storage)
    elif isinstance(field.storage, MinioRouter):
        field.storage = field.storage.bind(field)


def uses_default_storage(field: FileField) -> bool:
    return field.storage is default_storage or isinstance(cast("object", field.storage), _BoundDefaultStorage)


def _default_storage_routes() -> bool:
    backend = getattr(settings, "STORAGES", {}).get("default", {}).get("BACKEND", "")
    storage_class = import_string(backend) if isinstance(backend, str) and backend else backend
    return isinstance(storage_class, type) and issubclass(storage_class, MinioRouter)


def _rebind(*, setting: str, **kwargs: Any) -> None:
    if setting in {"STORAGES", "DEFAULT_FILE_STORAGE"}:
        for model in apps.get_models(include_auto_created=True):
            bind_fields(model)


def connect() -> None:
    """Bind fields as their models are prepared, and those of the default storage when it changes."""
    class_prepared.connect(bind_fields, dispatch_uid="minio_router.bind_fields")
    setting_changed.connect(_rebind, dispatch_uid="minio_router.rebind")
