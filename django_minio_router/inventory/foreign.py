"""File fields that store by something else than a storage of ours, perhaps in one of our buckets.

It may be a storage around one of ours, one of another package, or one that each file chooses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage, InMemoryStorage, storages
from django.utils.module_loading import import_string

from ..exceptions import BucketTaken, ModelRequired, TenantRequired
from ..storage.backend import MinioBackend
from ..storage.binding import uses_default_storage
from ..storage.router import MinioRouter
from .columns import Column, all_file_fields
from .places import Place
from .routes import readable_columns
from .uses import StorageUse

if TYPE_CHECKING:
    from django.core.files.storage import Storage
    from django.db.models import FileField

_ELSEWHERE = (
    FileSystemStorage,
    InMemoryStorage,
)  # these very classes; what is derived of them may do anything
_QUERY = 500  # names in one query
_OURS_OR_DJANGOS = ("django.", "django_minio_router.")
_CHOOSING = {"__init__", "storage"}  # what a class of files has that chooses its storage by itself


@dataclass(frozen=True)
class ForeignColumn(Column):
    """Names whose objects may be below any folder of the place: how the storage names them is not known."""

    def holding(self, objects: Collection[str]) -> set[str]:
        """Return those of the objects whose name, or an end of it after a slash, a row holds."""
        ends: dict[str, list[str]] = {}
        for name in objects:
            if name.startswith(self.prefix):
                for end in _ends(name):
                    ends.setdefault(end, []).append(name)
        plain, names = replace(self, prefix=""), iter(ends)
        held: set[str] = set()
        while some := list(islice(names, _QUERY)):
            held |= Column.holding(plain, some)
        return {name for end in held for name in ends[end]}


def _ends(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition("/")[2]


def foreign_fields(found: list[StorageUse]) -> list[FileField]:
    """Return the file fields whose rows may refer to what is stored in a bucket, though nothing says so."""
    ours = {use.field for use in found if use.field is not None and not use.is_fallback}
    return [
        field
        for field in all_file_fields()
        if (field not in ours and not _is_elsewhere(field)) or _chooses_storage(field)
    ]


def foreign_columns(field: FileField, places: Collection[Place]) -> Iterator[tuple[str, Column]]:
    """Yield buckets with the column as it may refer to objects there.

    ``places`` are those that the active tenant stores in.
    """
    inner = _backend_inside(field)
    for column in readable_columns(field):
        for place in places:
            yield place.bucket, ForeignColumn(field, column.tenant, place.prefix)
        if inner is not None:
            doubt = f"{type(field.storage).__name__} stores there for {field}, and may change names"
            yield inner.bucket, Column(field, column.tenant, inner.prefix, doubt)


def _is_elsewhere(field: FileField) -> bool:
    """Tell whether the files are surely in no bucket."""
    if uses_default_storage(field):
        # To make a storage of another package may take a request.
        made_of = settings.STORAGES["default"]["BACKEND"]
        return (import_string(made_of) if isinstance(made_of, str) else made_of) in _ELSEWHERE
    return field.storage.__class__ in _ELSEWHERE


def _chooses_storage(field: FileField) -> bool:
    return any(
        _CHOOSING & vars(base).keys()
        for base in field.attr_class.__mro__[:-1]
        if not f"{base.__module__}.".startswith(_OURS_OR_DJANGOS)
    )


def _backend_inside(field: FileField) -> MinioBackend | None:
    """Return the storage of ours that the field's storage is put around, if there is one."""
    if isinstance(field.storage, MinioBackend | MinioRouter):
        return None
    storage: Storage = storages["default"] if uses_default_storage(field) else field.storage
    for inner in vars(storage).values():
        if isinstance(inner, MinioBackend):
            return inner
        if isinstance(inner, MinioRouter):
            with suppress(BucketTaken, ModelRequired, TenantRequired):
                backend: Any = inner.bind(field).backend
                return backend  # type: ignore[no-any-return]
    return None
