"""Tenants being created: what they store before they are ready, and what a rollback removes.

A tenant gets its buckets when it is ready. Before that, a bucket is created only if a file needs it: the logo
in the tenant's own row, or what a sign-up stores in the same transaction.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, router, transaction
from django.db.models.signals import post_delete, post_save

from ..exceptions import ConfigurationError, RoutingError, ServerError
from ..s3.client import Client, get_client
from ..s3.listing import Version, delete_versions, remove_bucket, versions
from ..storage.signals import object_saved
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from ..buckets.ensure import PlannedBucket
    from ..storage.backend import MinioBackend

logger = logging.getLogger(__name__)

_ROLLBACK_TIMEOUT = 30.0  # seconds that a rollback waits for the removal


class _Stored(NamedTuple):
    """A stored file; ``etag`` is empty in a bucket that existed before."""

    storage: MinioBackend
    name: str
    etag: str

    @property
    def key(self) -> str:
        return self.storage.object_name(self.name)

    def remove(self) -> bool:
        """Remove the file unless it was replaced meanwhile, and return whether it is gone."""
        try:
            self.storage.objects.delete(self.key, if_match=self.etag, headers=self.storage.reading_headers)
        except ServerError as error:
            if error.status != 412:
                raise
            return False
        return True


@dataclass
class Creation:
    """A tenant being created in this thread, with its new buckets and stored files."""

    key: str
    row: weakref.ref[Any] | None = None  # the row, until it is saved
    made: list[PlannedBucket] = field(default_factory=list)
    files: list[_Stored] = field(default_factory=list)

    @property
    def is_dropped(self) -> bool:
        """Whether the row was garbage-collected without being saved."""
        return self.row is not None and self.row() is None

    def add_file(self, storage: MinioBackend, name: str) -> None:
        """Record a file that was stored for the tenant."""
        etag = storage._head(name).etag if self.has_made(storage) else ""
        self.files.append(_Stored(storage, name, etag))

    def has_made(self, storage: MinioBackend) -> bool:
        return (storage.config.internal.endpoint, storage.bucket) in {made.key for made in self.made}

    def is_older(self, bucket: str) -> Callable[[Version], bool]:
        """Return a predicate for the versions in a bucket, newest first: is it older than the tenant?"""
        own = [file.key for file in self.files if file.storage.bucket == bucket]

        def is_older(version: Version) -> bool:
            if version.name not in own:
                return True
            if not version.is_marker:
                own.remove(version.name)
            return False

        return is_older

    def rollback(self) -> None:
        """Remove the new buckets with their files, unless the tenant exists. Call it in a new thread."""
        try:
            if get_tenancy().named(self.key) is None:
                for planned in self.made:
                    self._remove(planned)
        except Exception:
            logger.exception(
                "The creation of the tenant %r was rolled back. Buckets made for it may be left: %s. Remove "
                "them, unless the tenant exists.",
                self.key,
                ", ".join(planned.name for planned in self.made),
            )
        finally:
            connections.close_all()

    def _remove(self, planned: PlannedBucket) -> None:
        client = get_client(planned.config.internal)
        files = [file for file in self.files if file.storage.bucket == planned.name]
        removed = [file.key for file in files if file.remove()]
        if len(removed) == len(files):
            _remove_versions(client, planned.on_server, removed)
            if remove_bucket(client, planned.on_server):
                return
        logger.warning(
            "The bucket %r was made for the tenant %r, whose creation was rolled back. It was kept, since "
            "another file was stored in it.",
            planned.name,
            self.key,
        )


def _remove_versions(client: Client, bucket: str, names: Collection[str]) -> None:
    """Remove the old versions of deleted files."""
    remaining = [version for version in versions(client, bucket) if version.name in names]
    for _ in delete_versions(client, bucket, remaining):
        pass


# Tenants being created


class _ThreadState(threading.local):
    """The creations of this thread by tenant key; like a transaction, they belong to one thread."""

    def __init__(self) -> None:
        self.creations: dict[str, Creation] = {}


_local = _ThreadState()


def creation_of(key: str | None) -> Creation | None:
    """Return the creation of the tenant with this key, if it is in progress in this thread."""
    creation = _local.creations.get(key) if key else None
    if creation is not None and creation.is_dropped:
        del _local.creations[creation.key]
        return None
    return creation


def active_creation() -> tuple[Any, Creation] | None:
    """Return the active tenant and its creation, if it is not saved or not ready yet."""
    tenancy = get_tenancy()
    with suppress(RoutingError):
        key = tenancy.active_key()
        if key is None:
            return None
        tenant = tenancy.active_tenant()
        creation = creation_of(key)
        if creation is None and tenant._state.adding:
            alias = router.db_for_write(type(tenant), instance=tenant)
            creation = _begin(Creation(key, weakref.ref(tenant)), alias)
        return None if creation is None else (tenant, creation)
    return None


def finish(key: str) -> Creation:
    """End and return the creation, since the tenant is ready; an empty one if there is none here."""
    return _local.creations.pop(key, None) or Creation(key)


def _begin(creation: Creation, using: str) -> Creation:
    _local.creations[creation.key] = creation
    _on_rollback(partial(_abandon, _local.creations, creation), using)
    return creation


def _abandon(creations: dict[str, Creation], creation: Creation) -> None:
    """Remove the new buckets, in a thread: during a rollback, the connection accepts no query."""
    if creations.get(creation.key) is creation:
        del creations[creation.key]
    if creation.made:
        thread = threading.Thread(target=creation.rollback, daemon=True)
        thread.start()
        thread.join(_ROLLBACK_TIMEOUT)


class _RollbackWatch:
    """A callback for ``on_commit``: if Django drops it uncalled, the transaction was rolled back."""

    def __init__(self, rolled_back: Callable[[], None]) -> None:
        self._dropped = weakref.finalize(self, rolled_back)
        self._dropped.atexit = False

    def __call__(self) -> None:
        self._dropped.detach()


def _on_rollback(do: Callable[[], None], using: str) -> None:
    """Call ``do`` if the current transaction or savepoint is rolled back."""
    if connections[using].in_atomic_block:
        transaction.on_commit(_RollbackWatch(do), using=using)


def _add_file(*, storage: MinioBackend, name: str, tenant: str | None, **kwargs: Any) -> None:
    creation = creation_of(tenant)
    if creation is not None:
        creation.add_file(storage, name)


def _when_saved(*, instance: Any, created: bool, raw: bool, using: str, **kwargs: Any) -> None:
    key = get_tenancy().key_if_any(instance)
    if not created or raw or key is None:
        return
    creation = creation_of(key)
    if creation is None:
        _begin(Creation(key), using)
    else:
        creation.row = None


def _when_deleted(*, instance: Any, using: str, **kwargs: Any) -> None:
    creation = creation_of(get_tenancy().key_if_any(instance))
    if creation is not None:
        transaction.on_commit(partial(_abandon, _local.creations, creation), using=using)


def connect() -> None:
    """Track tenants from their first save until they are ready."""
    try:
        models = get_tenancy().models_of_tenants()
    except ConfigurationError:
        return  # no tenants
    for known in models:
        post_save.connect(_when_saved, sender=known, dispatch_uid="minio_router.creations")
        post_delete.connect(_when_deleted, sender=known, dispatch_uid="minio_router.creations")
        object_saved.connect(_add_file, dispatch_uid="minio_router.creations")
