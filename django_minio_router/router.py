"""``MinioRouter``: a storage that asks its strategy, at each call, which bucket the call goes to."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from django.utils.module_loading import import_string

from .backend import MinioBackend, leave_out_of_migrations
from .caches import BoundedCache
from .conf import Config
from .exceptions import ConfigurationError
from .naming import check_bucket_name
from .reading import ObjectFile
from .status import MinioServerStatus
from .strategies import BucketStrategy

if TYPE_CHECKING:
    from django.db.models import FileField, Model

StrategyOption: TypeAlias = BucketStrategy | str | Mapping[str, Any] | type[BucketStrategy]

_KEPT_BACKENDS = 4096


@deconstructible(path="django_minio_router.models.MinioRouter")
class MinioRouter(Storage):
    """Send each call to the bucket that ``strategy`` names now.

    ``strategy`` is an instance, a dotted path, or ``{"BACKEND": path, "OPTIONS": {...}}``; without one all
    files go to the default media bucket. The other options are those of ``MinioBackend``, and its methods
    say what is returned and raised. In addition each call raises a ``RoutingError`` where the strategy has
    no bucket for it. A file stays with the bucket that opened it.
    """

    def __init__(self, strategy: StrategyOption | None = None, **options: Any) -> None:
        leave_out_of_migrations(self)
        self.strategy = None if strategy is None else load_strategy(strategy)
        self._options = options
        self.origin = self
        self._model: type[Model] | None = None
        self._backends: BoundedCache[str, MinioBackend] = BoundedCache(_KEPT_BACKENDS)
        self.default = self._make_backend("") if strategy is None else None

    def bind(self, field: FileField) -> MinioRouter:
        """Return a copy that routes for the model of the field. The router itself is not changed."""
        bound = copy.copy(self)
        bound.origin = self.origin
        bound._model = field.model
        return bound

    @property
    def backend(self) -> MinioBackend:
        """The storage of the bucket that calls go to now."""
        if self.default is not None:
            return self.default
        bucket = self.strategy.bucket_for(self._model)  # type: ignore[union-attr]
        return self._backends.get_or_make(bucket, self._make_backend)

    @property
    def config(self) -> Config:
        """The settings as they hold for this storage."""
        return MinioBackend(**self._options).config

    def _make_backend(self, bucket: str) -> MinioBackend:
        if self.strategy is None:
            return MinioBackend(bucket, **self._options)
        check_bucket_name(bucket, repr(self.strategy))
        return MinioBackend(bucket, public=self.strategy.public_read, **self._options)

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        return self.backend.save(name, content, max_length=max_length)

    def open(self, name: str, mode: str = "rb") -> ObjectFile:
        return self.backend.open(name, mode)

    def delete(self, name: str) -> None:
        self.backend.delete(name)

    def exists(self, name: str) -> bool:
        return self.backend.exists(name)

    def size(self, name: str) -> int:
        return self.backend.size(name)

    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        return self.backend.listdir(path)

    def url(self, name: str, **options: Any) -> str:  # type: ignore[override]
        return self.backend.url(name, **options)

    def get_modified_time(self, name: str) -> datetime:
        return self.backend.get_modified_time(name)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return self.backend.get_available_name(name, max_length=max_length)

    def is_minio_available(self) -> MinioServerStatus:
        return MinioBackend(**self._options).is_minio_available()

    def path(self, name: str) -> str:
        raise NotImplementedError("Objects have no path on a local disk. Use open() or url().")

    def get_accessed_time(self, name: str) -> datetime:
        raise NotImplementedError("S3 keeps no access time.")

    def get_created_time(self, name: str) -> datetime:
        raise NotImplementedError("S3 keeps no creation time. Use get_modified_time().")


def load_strategy(option: StrategyOption) -> BucketStrategy:
    """Return the strategy that an instance, a class, a dotted path or a dictionary stands for."""
    options: Mapping[str, Any] = {}
    made: Any = option
    if isinstance(made, Mapping):
        options = made.get("OPTIONS", {})
        made = made.get("BACKEND", "")
    if isinstance(made, str):
        try:
            made = import_string(made)
        except ImportError as error:
            raise ConfigurationError(
                f"The strategy {option!r} cannot be imported: {error}. Give a dotted path, an instance, or "
                "{'BACKEND': path, 'OPTIONS': {...}}."
            ) from error
    if isinstance(made, type) and issubclass(made, BucketStrategy):
        made = made(**options)
    if not isinstance(made, BucketStrategy):
        raise ConfigurationError(
            f"The strategy {option!r} is not a BucketStrategy. Derive it from "
            "django_minio_router.strategies.BucketStrategy."
        )
    return made
