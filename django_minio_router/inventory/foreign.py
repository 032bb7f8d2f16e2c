"""File fields with other storages than ours, which may use one of our buckets.

Such a storage may wrap one of ours, come from another package, or be chosen by each file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.files.storage import FileSystemStorage, InMemoryStorage, storages
from django.utils.module_loading import import_string

from ..s3.listing import pages
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

_OUTSIDE = (FileSystemStorage, InMemoryStorage)  # exactly these: a subclass may do anything
_QUERY = 500  # names in one query
_OURS_OR_DJANGOS = ("django.", "django_minio_router.")
_CHOOSING = {"__init__", "storage"}  # attributes of a file class that chooses its own storage


@dataclass(frozen=True)
class ForeignColumn(Column):
    """Names whose objects may be in any folder of the place, since the storage's naming is unknown."""

    def referenced(self, objects: Collection[str]) -> set[str]:
        """Return the objects whose name, or a suffix of it after a slash, is in a row."""
        ends: dict[str, list[str]] = {}
        for name in objects:
            if name.startswith(self.prefix):
                for end in _suffixes(name):
                    ends.setdefault(end, []).append(name)
        plain = replace(self, prefix="")
        held: set[str] = set()
        for some in pages(ends, _QUERY):
            held |= Column.referenced(plain, some)
        return {name for end in held for name in ends[end]}


def _suffixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition("/")[2]


def foreign_fields(found: list[StorageUse]) -> list[FileField]:
    """Return the file fields whose rows may refer to objects in a bucket, though nothing declares it."""
    ours = {use.field for use in found if use.field is not None and not use.is_fallback}
    return [
        field
        for field in all_file_fields()
        if (field not in ours and not _is_outside(field)) or _chooses_storage(field)
    ]


def foreign_columns(field: FileField, places: Collection[Place]) -> Iterator[tuple[str, Column]]:
    """Yield each bucket with the column that may refer to its objects.

    ``places`` are those of the active tenant.
    """
    inner = _backend_inside(field)
    for column in readable_columns(field):
        for place in places:
            yield place.bucket, ForeignColumn(field, column.tenant, place.prefix)
        if inner is not None:
            doubt = f"{type(field.storage).__name__} stores there for {field} and may change names"
            yield inner.bucket, Column(field, column.tenant, inner.prefix, doubt)


def _is_outside(field: FileField) -> bool:
    """Return whether the files are certainly not in a bucket."""
    if uses_default_storage(field):
        # Creating a storage of another package may send a request.
        backend_class = settings.STORAGES["default"]["BACKEND"]
        return (import_string(backend_class) if isinstance(backend_class, str) else backend_class) in _OUTSIDE
    return field.storage.__class__ in _OUTSIDE


def _chooses_storage(field: FileField) -> bool:
    return any(
        _CHOOSING & vars(base).keys()
        for base in field.attr_class.__mro__[:-1]
        if not f"{base.__module__}.".startswith(_OURS_OR_DJANGOS)
    )


def _backend_inside(field: FileField) -> MinioBackend | None:
    """Return the storage of ours that the field's storage wraps, if any."""
    if isinstance(field.storage, MinioBackend | MinioRouter):
        return None
    storage: Storage = storages["default"] if uses_default_storage(field) else field.storage
    for inner in vars(storage).values():
        if isinstance(inner, MinioBackend | MinioRouter):
            bound = inner.bind(field) if isinstance(inner, MinioRouter) else inner
            backend = StorageUse(str(field), bound).backend
            if backend is not None:
                return backend
    return None
