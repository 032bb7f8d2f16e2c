"""Copying, pickling and deconstructing storages."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

from ..settings.declared import PREFIX, SETTINGS
from ..strategies import BucketStrategy

_NOT_FOR_MIGRATIONS = {"fallback", "http_client", "progress", "server", "sse", "storage_name"}
_NOT_FOR_PICKLES = {"http_client", "sse", *(name for name, setting in SETTINGS.items() if setting.secret)}


class SerializableStorage:
    """A storage that is copied as it is, and pickled by its constructor arguments, ``made_with``.

    A copy shares clients and caches. A storage with keys among its options cannot be pickled, so that no
    pickle contains a key.
    """

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
