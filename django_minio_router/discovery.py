"""Which storages of ours does the project use, and for which models?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from django.apps import apps
from django.conf import settings
from django.core.files.storage import storages
from django.utils.module_loading import import_string

from .backend import MinioBackend
from .binding import file_fields, uses_default_storage
from .conf import Config
from .router import MinioRouter
from .strategies import BucketStrategy

if TYPE_CHECKING:
    from django.db.models import FileField, Model


_FLAT_SIGNS = ("MINIO_ENDPOINT", "MINIO_PRIVATE_BUCKETS", "MINIO_PUBLIC_BUCKETS")


@dataclass(frozen=True)
class Use:
    """One place that uses a storage: an alias of ``STORAGES`` or a field, as ``where`` says."""

    where: str
    storage: MinioBackend | MinioRouter
    alias: str | None = None
    model: type[Model] | None = None
    field: FileField | None = None

    @property
    def strategy(self) -> BucketStrategy | None:
        return self.storage.strategy if isinstance(self.storage, MinioRouter) else None

    @property
    def config(self) -> Config:
        return self.storage.config


def uses(aliases: Iterable[str] | None = None) -> list[Use]:
    """Return every use in ``STORAGES`` and in the fields of all installed models, or those of ``aliases``."""
    found = [*_storage_uses(), *_field_uses()]
    if aliases is None:
        return found
    wanted = set(aliases)
    return [use for use in found if use.alias in wanted]


def _storage_uses() -> Iterator[Use]:
    for alias, entry in settings.STORAGES.items():
        backend = entry.get("BACKEND", "")
        storage_class = import_string(backend) if isinstance(backend, str) else backend
        if isinstance(storage_class, type) and issubclass(storage_class, MinioBackend | MinioRouter):
            yield Use(f"STORAGES[{alias!r}]", cast("MinioBackend | MinioRouter", storages[alias]), alias)


def _field_uses() -> Iterator[Use]:
    for model in apps.get_models(include_auto_created=True):
        for field in file_fields(model):
            if isinstance(field.storage, MinioBackend | MinioRouter):
                where = f"{model._meta.label}.{field.name}"
                yield Use(where, field.storage, _alias_of(field), model, field)


def _alias_of(field: FileField) -> str | None:
    if uses_default_storage(field):
        return "default"
    storage = field.storage
    origin = getattr(storage, "origin", storage)
    for alias in settings.STORAGES:
        if storages[alias] is origin:
            return str(alias)
    return None


def configs(found: Iterable[Use]) -> list[Config]:
    """Return the flat settings, where there are any, and each different configuration of a use."""
    different: list[Config] = []
    flat = [Config()] if any(hasattr(settings, name) for name in _FLAT_SIGNS) else []
    for config in [*flat, *(use.config for use in found)]:
        if config not in different:
            different.append(config)
    return different


def models_by_strategy(found: Iterable[Use]) -> dict[BucketStrategy, list[type[Model]]]:
    """Return each strategy with the models whose fields route by it."""
    models: dict[BucketStrategy, list[type[Model]]] = {}
    for use in found:
        if use.strategy is not None:
            of_strategy = models.setdefault(use.strategy, [])
            if use.model is not None and use.model not in of_strategy:
                of_strategy.append(use.model)
    return models
