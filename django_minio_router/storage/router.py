"""``MinioRouter``: a storage whose strategy chooses the bucket for each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias, cast

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db.models import FileField, Model
from django.utils.deconstruct import deconstructible

from ..exceptions import ConfigurationError, RoutingError
from ..naming import bucket_name_problem, check_bucket_name, check_new_name
from ..s3.content import size_of
from ..s3.status import MinioServerStatus
from ..s3.writing import ObjectWriter
from ..settings.config import Config, import_named, refuse_unknown_keys
from ..settings.redacted import Hidden
from ..strategies import BucketStrategy, FixedBucket, Location
from ..tenancy import get_tenancy
from ..tenancy.context import TenantOverride, override_tenant, tenant_override
from .asynchronous import AsyncMethods
from .backend import MinioBackend
from .fallback import ForTenant, MovingBackend, is_same_place
from .installed import refuse_if_not_installed
from .saving import ObjectStorage, PendingSave
from .serialization import SerializableStorage
from .signals import bucket_chosen, object_saved, object_saving, tell
from .tracing import traced

StrategyOption: TypeAlias = BucketStrategy | str | Mapping[str, Any] | type[BucketStrategy]
PlaceOption: TypeAlias = StrategyOption | Storage

_CACHED_BACKENDS = 4096


@deconstructible(path="django_minio_router.models.MinioRouter")
class MinioRouter(ObjectStorage, AsyncMethods, SerializableStorage, Storage):
    """Send each call to the bucket that ``strategy`` names at that moment.

    ``strategy`` is an instance, a dotted path, or ``{"BACKEND": path, "OPTIONS": {...}}``; without one, all
    files go to the default media bucket. ``fallback`` is the old place of the files: a storage, an alias of
    ``STORAGES``, a bucket name or a strategy; files that are not in the new place yet are read there. The
    other options are those of ``MinioBackend``, whose methods describe results and errors. In addition, each
    call raises a ``RoutingError`` if the strategy has no bucket for it. An open file stays with the bucket
    that it was opened from.
    """

    def __init__(
        self,
        strategy: StrategyOption | None = None,
        *,
        fallback: PlaceOption | None = None,
        **options: Any,
    ) -> None:
        options = Hidden(options)
        self._record_arguments()
        _refuse_strategy_options(strategy, options)
        self.strategy = None if strategy is None else load_strategy(strategy)
        self.origin = self
        self._model: type[Model] | None = None
        self._settled: MinioBackend | None = None
        self._override: TenantOverride | None = None
        self._newer: tuple[MinioRouter, ...] = ()  # the routers that have this one as their fallback
        self._options = options
        self._unrouted = MinioBackend(**options)
        self._fallback = load_place(fallback, options) if fallback is not None else None
        # Shared by all copies of this router. lru_cache needs no lock that threads would wait for.
        self._backend_at = lru_cache(_CACHED_BACKENDS)(self._make_backend)
        self._moving_to = lru_cache(_CACHED_BACKENDS)(MovingBackend)

    def bind(self, field: FileField) -> MinioRouter:
        """Return a copy that routes for the model of the field. The router itself is not changed."""
        return self._copy(_model=field.model, _field=str(field))

    def __reduce__(self) -> tuple[Any, ...]:
        bound = {"_model": self._model, "_field": self._field, "_override": self._override}
        return *super().__reduce__(), bound

    def on_behalf_of(self, tenant: Any) -> MinioRouter:
        """Return a copy that routes for this tenant, whichever is active. The router itself stays."""
        return self._copy(_override=None if tenant is None else TenantOverride(tenant), _settled=None)

    @property
    def tenant(self) -> Any | None:
        """The tenant that this router routes for; None is the active one."""
        return None if self._override is None else self._override.tenant

    def without_fallback(self) -> MinioRouter:
        """Return a copy that reads the new place only. The router is not changed."""
        return self._copy(_fallback=None, _settled=None)

    def settled(self) -> MinioRouter:
        """Return a copy that stays with the bucket and the tenant of now, in whichever thread it is used."""
        tenant = get_tenancy().active_key() if self._override is None else self.tenant
        try:
            backend = self.backend if self._fallback is None else self._backend_with_fallback(tenant)
        except SynchronousOnlyOperation as error:
            raise RoutingError(
                f"{self.strategy!r} queries the database for the bucket, which async code must not. Enter "
                "tenant_bucket_context() with the tenant's row instead of its key."
            ) from error
        return self.on_behalf_of(tenant)._copy(_settled=backend)

    @property
    def fallback(self) -> Storage | None:
        """The storage of the old place, for the model and the tenant of this router."""
        old = self._fallback
        if isinstance(old, str):
            old = storages[old]
        if not isinstance(old, MinioRouter):
            return old
        newer = (*self._newer, self.origin)
        if old.origin in newer:
            raise ConfigurationError(
                "The fallback of a MinioRouter is itself, or a router that falls back on it. Name the place "
                "that it replaces."
            )
        return old._copy(_model=self._model, _field=self._field, _override=self._override, _newer=newer)

    @property
    def default(self) -> MinioBackend | None:
        """The storage for all calls if there is no strategy."""
        return self._unrouted if self.strategy is None else None

    @property
    def backend(self) -> MinioBackend:
        """The storage of the current bucket."""
        if self._settled is not None:
            return self._settled
        if self._fallback is not None:
            return self._backend_with_fallback(self._tenant_unlike_connection())
        if self.strategy is None:
            return self._unrouted
        try:
            if self._override is None:
                answer = self.strategy.bucket_for(self._model)
            else:
                answer = self._answer_for(self._override, self.strategy)
        except RoutingError as error:
            error.field = error.field or self._field
            raise
        except (StopIteration, OSError) as error:
            raise _strategy_failed(self.strategy, error) from error
        if not isinstance(answer, str):
            answer = answer if isinstance(answer, Location) else Location(answer)
            if not isinstance(answer.bucket, str):
                check_bucket_name(answer.bucket, repr(self.strategy))
        return self._backend_at(answer)

    def _answer_for(self, tenant: TenantOverride, strategy: BucketStrategy) -> str | Location:
        # Not override_tenant(), which is slower: each link of a row comes here.
        token = tenant_override.set(tenant)
        try:
            return strategy.bucket_for(self._model)
        finally:
            tenant_override.reset(token)

    def _as_tenant(self) -> AbstractContextManager[None]:
        """Activate this router's tenant for the strategy and for receivers of signals."""
        return nullcontext() if self._override is None else override_tenant(*self._override)

    def _backend_with_fallback(self, tenant: Any | None) -> MinioBackend:
        """Return the storage. ``tenant`` is set if the old place must not use the connection's tenant."""
        new, old = self.without_fallback().backend, cast("Storage", self.fallback)
        if isinstance(old, MinioRouter):
            old = old.backend if old._fallback is None else old._backend_with_fallback(tenant)
        if tenant is not None and not isinstance(old, MinioBackend):
            return MovingBackend(new, ForTenant(old, tenant))
        return new if is_same_place(new, old) else self._moving_to(new, old)

    def _tenant_unlike_connection(self) -> Any | None:
        """Return the tenant of this call if the connection is set to another one."""
        tenancy = get_tenancy()
        # An owner need not be a tenant.
        key = tenancy.active_key() if self._override is None else tenancy.key_if_any(self._override.tenant)
        return None if key in {None, tenancy.connected_key()} else key

    @property
    def config(self) -> Config:
        """The settings of this storage."""
        return self._unrouted.config

    def _make_backend(self, answer: str | Location) -> MinioBackend:
        """Return the storage for a strategy's answer, which takes precedence over the options."""
        strategy = cast("BucketStrategy", self.strategy)
        refuse_if_not_installed(strategy)
        location = Location.of(answer)
        bucket = check_bucket_name(location.bucket, repr(strategy))
        bucket_chosen.send(type(self), strategy=strategy, location=location)
        if location.prefix:
            check_new_name(f"{location.prefix.removesuffix('/')}/_")
        where = {"server": location.server, "prefix": location.prefix}
        options = answer.options if isinstance(answer, Location) else {}
        own_options = {name: value for name, value in where.items() if value} | options
        if location.endpoint:
            own_options["server"] = location.server  # not the router's
        backend = MinioBackend(
            bucket,
            public=strategy.public_read,
            defaults=strategy.defaults,
            **{**self._options, **own_options},
        )
        if strategy.varies_by_tenant and not location.prefix and "MINIO_PUBLIC_URL" not in own_options:
            _refuse_shared_url(strategy, backend.config.get("MINIO_PUBLIC_URL"))
        return backend

    # Saving: a subclass's hooks run as in Django's Storage, within one save of one backend

    @property
    def replace_existing(self) -> bool:  # type: ignore[override]
        """Whether a save overwrites an existing file instead of choosing another name."""
        return self._unrouted.replace_existing

    @traced
    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        return self._save_with_signals(
            name, content, lambda backend: backend.save_for(self, name, content, max_length)
        )

    def _save(self, name: str, content: Any) -> str:
        save = PendingSave.of(self)
        if save is not None:
            return save.backend._save(name, content)
        return self._save_with_signals(name, content, lambda backend: backend._save(name, content))

    def _save_with_signals(self, name: str | None, content: Any, store: Callable[[MinioBackend], str]) -> str:
        backend = self.backend
        size = size_of(content if hasattr(content, "chunks") else File(content))
        name = name or getattr(content, "name", None)
        object_saving.send(type(self), router=self, backend=backend, name=name, size=size)
        with self._as_tenant():
            return store(backend)

    @traced
    def open(self, name: str, mode: str = "rb", **text: Any) -> Any:
        return self._open(name, mode, **text)

    def _open(self, name: str, mode: str = "rb", **text: Any) -> Any:
        backend = self.backend
        file = backend.open(name, mode, **text)
        if isinstance(file, ObjectWriter):
            self._signal_on_close(file, backend)
        return file

    def _signal_on_close(self, file: ObjectWriter, backend: MinioBackend) -> None:
        def after_store(size: int) -> None:
            with self._as_tenant():
                tell(object_saved, backend, str(file.name), size)

        file.before_store = lambda size: object_saving.send(
            type(self), router=self, backend=backend, name=file.name, size=size
        )
        file.after_store = after_store

    @traced
    def delete(self, name: str) -> None:
        backend = self.backend
        with self._as_tenant():
            backend.delete(name)

    @traced
    def exists(self, name: str) -> bool:
        save = PendingSave.of(self)
        backend = self.backend if save is None or name != save.offered else save.backend
        return backend.exists(name)

    @traced
    def size(self, name: str) -> int:
        return self.backend.size(name)

    @traced
    def listdir(self, path: str = "") -> tuple[list[str], list[str]]:
        return self.backend.listdir(path)

    def url(self, name: str | None, **options: Any) -> str:
        return self.backend.url(name, **options)

    @traced
    def get_modified_time(self, name: str) -> datetime:
        return self.backend.get_modified_time(name)

    def is_minio_available(self) -> MinioServerStatus:
        return self._unrouted.is_minio_available()


def _refuse_strategy_options(strategy: StrategyOption | None, options: Mapping[str, Any]) -> None:
    """Refuse backend options that the strategy decides."""
    if "bucket_name" in options:
        raise ConfigurationError(
            f"MinioRouter got the bucket_name {options['bucket_name']!r}, which is not one of its options. "
            "Use strategy=FixedBucket(...), or MinioBackend."
        )
    if strategy is not None and "public" in options:
        raise ConfigurationError(
            "MinioRouter got both a strategy and 'public'. Set the strategy's public_read instead."
        )


def _strategy_failed(strategy: BucketStrategy, error: Exception) -> RoutingError:
    """Convert an error that a caller would misread as a missing file or the end of a loop."""
    return RoutingError(
        f"{strategy!r} raised {type(error).__name__}({error}) instead of returning a bucket, so nothing was "
        "done. Raise a RoutingError in its bucket_for() that says what is missing."
    )


def load_strategy(option: StrategyOption) -> BucketStrategy:
    """Return the strategy for an instance, a class, a dotted path or a dictionary."""
    strategy = _make_strategy(option)
    public_read: object = strategy.public_read
    if public_read is not None and not isinstance(public_read, bool):  # the string "False" would be true
        raise ConfigurationError(
            f"The public_read of {strategy!r} is {public_read!r}. It must be True, False or None."
        )
    return strategy


def _make_strategy(option: StrategyOption) -> BucketStrategy:
    made: Any = option
    options: Mapping[str, Any] = {}
    if isinstance(made, Mapping):
        refuse_unknown_keys(f"The strategy {option!r}", made)
        made, options = made.get("BACKEND"), made.get("OPTIONS", {})
    if isinstance(made, str):
        made = import_named(f"The strategy {option!r} names", made)
    if isinstance(made, type) and issubclass(made, BucketStrategy):
        try:
            return made(**options)
        except TypeError as error:
            raise ConfigurationError(
                f"The strategy {option!r} cannot be created: {error}. Give its arguments in OPTIONS: "
                "{'BACKEND': path, 'OPTIONS': {...}}."
            ) from error
    if not isinstance(made, BucketStrategy):
        raise ConfigurationError(
            f"The strategy {option!r} is not a BucketStrategy. Give an instance, a dotted path, or "
            "{'BACKEND': path, 'OPTIONS': {...}}."
        )
    if options:
        raise ConfigurationError(f"{option!r} is an instance, so OPTIONS cannot apply. Name its class.")
    return made


def load_place(option: PlaceOption, options: Mapping[str, Any]) -> Storage | str:
    """Return the storage for the option, or an alias unchanged, since ``STORAGES`` may change.

    ``options`` apply to the storage created for a strategy or a bucket name.
    """
    if isinstance(option, Storage):
        return option
    if isinstance(option, str) and option in settings.STORAGES:
        return option
    if isinstance(option, str) and not bucket_name_problem(option):  # a class path has capital letters
        option = FixedBucket(option)
    own = {name: value for name, value in options.items() if name not in {"public", "prefix"}}
    return MinioRouter(strategy=load_strategy(option), **own)


def _refuse_shared_url(strategy: BucketStrategy, public_url: str) -> None:
    """Refuse one URL for the buckets of all tenants: a link could show another tenant's file."""
    if public_url and "{bucket}" not in public_url:
        raise ConfigurationError(
            f"MINIO_PUBLIC_URL is {public_url!r}, the same for every bucket of {strategy!r}. Add "
            f"'{{bucket}}' to it, or return Location(bucket, public_url=...) from the strategy."
        )
