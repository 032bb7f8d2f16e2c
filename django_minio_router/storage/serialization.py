"""Copying, pickling and deconstructing storages."""

from __future__ import annotations

import copy
import inspect
import pickle
from functools import partial
from reprlib import repr as shortened
from typing import Any, TypeVar

from ..exceptions import RoutingError
from ..settings.declared import PREFIX, SETTINGS
from ..strategies import BucketStrategy
from ..tenancy import get_tenancy
from ..tenancy.context import TenantOverride

_Made = TypeVar("_Made", bound="SerializableStorage")
_FIELD_STORAGE = "django_minio_router.storage.binding.field_storage"
_NOT_FOR_MIGRATIONS = {"fallback", "http_client", "progress", "server", "sse", "storage_name"}
_NOT_FOR_PICKLES = {"http_client", "sse", *(name for name, setting in SETTINGS.items() if setting.secret)}


class SerializableStorage:
    """A storage that is copied as it is, and pickled by its constructor arguments, ``made_with``.

    A copy shares clients and caches. A storage with keys among its options cannot be pickled, so that no
    pickle contains a key.
    """

    _field = ""  # as errors name it: contracts.Contract.file
    _override: TenantOverride | None = None
    _constructor_args: tuple[tuple[Any, ...], dict[str, Any]]
    made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def _record_arguments(self) -> None:
        """Exclude server, keys and live objects from ``deconstruct()``, and so from migrations.

        ``deconstructible`` on a subclass redefines that method, so change what it reads.
        """
        self.made_with = args, kwargs = self._constructor_args
        named = {k: v for k, v in kwargs.items() if k not in _NOT_FOR_MIGRATIONS and not k.startswith(PREFIX)}
        self._constructor_args = tuple(map(_plain, args)), {k: _plain(v) for k, v in named.items()}

    def __copy__(self) -> Any:
        fresh = object.__new__(type(self))
        vars(fresh).update(vars(self))
        return fresh

    def _copy(self: _Made, **changes: Any) -> _Made:
        """Return a copy with other attributes. For a field, its ``deconstruct()`` names field and tenant."""
        changed = copy.copy(self)
        vars(changed).update(changes)
        if changed._field:
            # On the copy: deconstructible on a subclass redefines the method.
            vars(changed)["deconstruct"] = partial(_named, changed._field, changed._override)
        return changed

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(vars(self._copy(**state)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        args, kwargs = self.made_with
        secrets = sorted(kwargs.keys() & _NOT_FOR_PICKLES)
        if secrets:
            raise pickle.PicklingError(
                f"A storage with {', '.join(secrets)} among its options cannot be pickled, since the pickle "
                "would contain secrets. Put them in MINIO_SERVERS, and give the storage the server's name."
            )
        return _make, (type(self), args, kwargs)


def _named(field: str, override: TenantOverride | None) -> tuple[str, tuple[str], dict[str, str]]:
    """Return how to find the storage of a field again, in the values of a task.

    Made from its own arguments, it would lack the model and the tenant, and so be that of other files.
    """
    if override is None:
        return _FIELD_STORAGE, (field,), {}
    key = get_tenancy().key_if_any(override.tenant)
    if key is None:
        raise RoutingError(
            f"The storage of {field} acts for {shortened(override.tenant)}, which is not a tenant, so its "
            "deconstruct() cannot name it. Give the task the row, and use the storage of its file there."
        )
    return _FIELD_STORAGE, (field,), {"tenant": key}


def _plain(value: Any) -> Any:
    """Return a strategy as its dotted path, with ``OPTIONS`` if it has any, for any serialization format.

    A strategy whose class cannot be imported, or whose arguments have no names, is returned unchanged.
    """
    if not isinstance(value, BucketStrategy):
        return value
    made: Any = value
    try:
        path, args, options = made.deconstruct()
    except ValueError:
        return value
    names = [
        name
        for name, parameter in inspect.signature(type(value).__init__).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ][1:]
    if len(args) > len(names):
        return value
    options = {**dict(zip(names, args, strict=False)), **options}
    return {"BACKEND": path, "OPTIONS": options} if options else path


def _make(storage_class: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return storage_class(*args, **kwargs)
