"""Which of our storages the project uses, for which models, and which buckets its settings list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.conf import settings
from django.core.files.storage import storages

from ..exceptions import (
    BucketTaken,
    ConfigurationError,
    ModelRequired,
    PrivatePublicMixedError,
    TenantRequired,
)
from ..settings.config import Config, import_named, options_of, refuse_unknown_keys, server_names
from ..storage.backend import MinioBackend
from ..storage.binding import uses_default_storage
from ..storage.router import MinioRouter, load_strategy
from ..strategies import BucketStrategy, FixedBucket
from .columns import all_file_fields

if TYPE_CHECKING:
    from django.db.models import FileField, Model

    from ..buckets.policies import Hook

_FLAT_SIGNS = ("MINIO_ENDPOINT", "MINIO_PRIVATE_BUCKETS", "MINIO_PUBLIC_BUCKETS")
_LISTS = {"MINIO_PRIVATE_BUCKETS": False, "MINIO_PUBLIC_BUCKETS": True}


@dataclass(frozen=True)
class StorageUse:
    """A use of a storage, by an alias of ``STORAGES`` or a field, which ``where`` names.

    With ``is_fallback`` it is the storage that a router reads from until its files are moved.
    """

    where: str
    storage: MinioBackend | MinioRouter
    alias: str | None = None
    field: FileField | None = None
    is_fallback: bool = False

    @property
    def model(self) -> type[Model] | None:
        return None if self.field is None else self.field.model

    @property
    def strategy(self) -> BucketStrategy | None:
        return self.storage.strategy if isinstance(self.storage, MinioRouter) else None

    @property
    def single(self) -> MinioBackend | None:
        """The storage of the only bucket; None if a strategy decides."""
        return self.storage.default if isinstance(self.storage, MinioRouter) else self.storage

    @property
    def backend(self) -> MinioBackend | None:
        """The storage of the current bucket; None if there is no bucket now."""
        if not isinstance(self.storage, MinioRouter):
            return self.storage
        try:
            return self.storage.backend
        except (BucketTaken, ModelRequired, TenantRequired):
            return None

    @property
    def config(self) -> Config:
        return self.storage.config


def uses() -> list[StorageUse]:
    """Return every use in ``STORAGES`` and in the fields of all installed models."""
    ours = dict(_storages())
    in_settings = [StorageUse(f"STORAGES[{alias!r}]", storage, alias) for alias, storage in ours.items()]
    found = [*in_settings, *_field_uses(ours)]
    return [*found, *_fallbacks(found)]


def _fallbacks(found: Iterable[StorageUse]) -> Iterator[StorageUse]:
    for use in found:
        old = use.storage.fallback if isinstance(use.storage, MinioRouter) else None
        if isinstance(old, MinioBackend | MinioRouter):
            yield replace(use, storage=old, where=f"the fallback of {use.where}", is_fallback=True)


def _storages() -> Iterator[tuple[str, MinioBackend | MinioRouter]]:
    for alias, entry in settings.STORAGES.items():
        options_of(alias)
        if _is_ours(alias, entry.get("BACKEND", "")):
            refuse_unknown_keys(f"STORAGES[{alias!r}]", entry)
            yield alias, _storage(alias)


def _storage(alias: str) -> MinioBackend | MinioRouter:
    try:
        return cast("MinioBackend | MinioRouter", storages[alias])
    except ConfigurationError as error:
        raise ConfigurationError(f"STORAGES[{alias!r}]: {error}") from error


def _is_ours(alias: str, backend: object) -> bool:
    """Decide by its class, since creating a storage of another package may send a request."""
    if not isinstance(backend, str):  # Django splits it as a string; an instance may show keys
        kind = backend if isinstance(backend, type) else type(backend)
        raise ConfigurationError(
            f"The BACKEND of STORAGES[{alias!r}] is {kind.__name__}, not a string. "
            "Write a dotted path, such as 'django_minio_router.MinioBackend', and the arguments in OPTIONS."
        )
    backend_class = import_named(f"STORAGES[{alias!r}] names", backend)
    if not isinstance(backend_class, type):  # a function, which must be called
        return isinstance(_storage(alias), MinioBackend | MinioRouter)
    return issubclass(backend_class, MinioBackend | MinioRouter)


def _field_uses(ours: Mapping[str, MinioBackend | MinioRouter]) -> Iterator[StorageUse]:
    for field in all_file_fields():
        if uses_default_storage(field) and "default" not in ours:
            continue
        if isinstance(field.storage, MinioBackend | MinioRouter):
            yield StorageUse(str(field), field.storage, _alias_of(field, ours), field)


def _alias_of(field: FileField, ours: Mapping[str, MinioBackend | MinioRouter]) -> str | None:
    if uses_default_storage(field):
        return "default"
    origin = getattr(field.storage, "origin", field.storage)
    return next((alias for alias, storage in ours.items() if storage is origin), None)


def configs(found: Iterable[StorageUse]) -> list[Config]:
    """Return the distinct configurations: the flat settings, if any, of named servers, and of uses."""
    distinct: list[Config] = []
    flat = [Config()] if any(hasattr(settings, name) for name in _FLAT_SIGNS) else []
    named = [Config(server=name) for name in server_names()]
    for config in [*flat, *named, *(use.config for use in found)]:
        if config not in distinct:
            distinct.append(config)
    return distinct


def models_by_strategy(found: Iterable[StorageUse]) -> dict[BucketStrategy, list[type[Model]]]:
    """Return each strategy with the models whose fields use it."""
    models: dict[BucketStrategy, list[type[Model]]] = {}
    for use in found:
        if use.strategy is not None:
            of_strategy = models.setdefault(use.strategy, [])
            if use.model is not None and use.model not in of_strategy:
                of_strategy.append(use.model)
    return models


class ListedBuckets(NamedTuple):
    """An entry of ``MINIO_PRIVATE_BUCKETS`` or ``MINIO_PUBLIC_BUCKETS``.

    With ``is_name`` it is a bucket name, and ``strategy`` a ``FixedBucket``.
    """

    strategy: BucketStrategy
    is_public: bool
    setting: str
    is_name: bool

    @property
    def where(self) -> str:
        return self.setting if self.is_name else f"{self.strategy!r} of {self.setting}"


def listed(config: Config) -> Iterator[ListedBuckets]:
    """Yield what the two settings list. ``PrivatePublicMixedError`` if a strategy contradicts them."""
    for setting, is_public in _LISTS.items():
        for entry in config.get(setting):
            is_name = isinstance(entry, str)
            strategy = FixedBucket(entry) if is_name else load_strategy(entry)
            if strategy.public_read not in (None, is_public):
                raise PrivatePublicMixedError(
                    f"{setting} lists {strategy!r}, whose public_read is {strategy.public_read}. "
                    f"Give it public_read={is_public} wherever it is used, or move it to the other list."
                )
            yield ListedBuckets(strategy, is_public, setting, is_name)


def hooks(config: Config) -> dict[str | BucketStrategy, Hook]:
    """Return the hook of each bucket name and strategy in ``MINIO_POLICY_HOOKS``; the last one wins."""
    return {_target(target): hook for target, hook in config.get("MINIO_POLICY_HOOKS")}


def _target(target: Any) -> str | BucketStrategy:
    return target if isinstance(target, str) else load_strategy(target)
