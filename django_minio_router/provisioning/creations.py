"""Tenants that are being created: what they store before they are ready, and what a roll-back takes back.

All buckets of a tenant are made when it is ready. Before that, only those that a file needs: the logo in the
tenant's own row, or what a sign-up stores in the same transaction.
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

_PATIENCE = 30.0  # seconds that a roll-back waits for what it takes back


class _Stored(NamedTuple):
    """A file that was stored; ``etag`` is empty in a bucket that was there before."""

    storage: MinioBackend
    name: str
    etag: str

    @property
    def key(self) -> str:
        return self.storage.object_name(self.name)

    def remove(self) -> bool:
        """Remove it unless another one was stored under the name meanwhile, and tell whether it is gone."""
        try:
            self.storage.objects.delete(
                self.storage.object_name(self.name),
                if_match=self.etag,
                headers=self.storage.headers.reading(),
            )
        except ServerError as error:
            if error.status != 412:
                raise
            return False
        return True


@dataclass
class Creation:
    """A tenant that is being created in this thread: the buckets made for it, and the files stored."""

    key: str
    row: weakref.ref[Any] | None = None  # of one that is not saved yet
    made: list[PlannedBucket] = field(default_factory=list)
    files: list[_Stored] = field(default_factory=list)

    @property
    def is_dropped(self) -> bool:
        """Whether the row was never saved, and is not there any more."""
        return self.row is not None and self.row() is None

    def note(self, storage: MinioBackend, name: str) -> None:
        """Note a file that was stored for the tenant."""
        etag = storage._head(name).etag if self.has_made(storage) else ""
        self.files.append(_Stored(storage, name, etag))

    def has_made(self, storage: MinioBackend) -> bool:
        return (storage.config.internal.endpoint, storage.bucket) in {made.key for made in self.made}

    def is_older(self, bucket: str) -> Callable[[Version], bool]:
        """Return a function that tells of each version in a bucket, the newest first, whether it is older."""
        own = [file.key for file in self.files if file.storage.bucket == bucket]

        def is_older(version: Version) -> bool:
            if version.name not in own:
                return True
            if not version.is_marker:
                own.remove(version.name)
            return False

        return is_older

    def take_back(self) -> None:
        """Remove the buckets that were made, with the files, unless somebody else has the tenant by now."""
        try:
            if get_tenancy().named(self.key) is None:
                for planned in self.made:
                    self._remove(planned)
        except Exception:
            logger.exception(
                "The creation of the tenant %r was rolled back. Buckets made for it may be left: %s. Remove "
                "them, unless the tenant is there.",
                self.key,
                ", ".join(planned.name for planned in self.made),
            )

    def _remove(self, planned: PlannedBucket) -> None:
        client = get_client(planned.config.internal)
        here = [file for file in self.files if file.storage.bucket == planned.name]
        gone = [file.key for file in here if file.remove()]
        if len(gone) == len(here):
            _remove_versions(client, planned.on_server, gone)
            if remove_bucket(client, planned.on_server):
                return
        logger.warning(
            "The bucket %r was made for the tenant %r, whose creation was rolled back. It stays, as another "
            "file was stored in it.",
            planned.name,
            self.key,
        )


def _remove_versions(client: Client, bucket: str, names: Collection[str]) -> None:
    """Remove what a deleted file leaves in a bucket with versions."""
    left = [version for version in versions(client, bucket) if version.name in names]
    for _ in delete_versions(client, bucket, left):
        pass


# Which tenants are being created


class _Here(threading.local):
    """The creations of this thread, as a transaction belongs to one, by the tenant's key."""

    def __init__(self) -> None:
        self.creations: dict[str, Creation] = {}


_here = _Here()


def creation_of(key: str | None) -> Creation | None:
    """Return the creation of the tenant with this key, if it is under way here."""
    creation = _here.creations.get(key) if key else None
    if creation is not None and creation.is_dropped:
        del _here.creations[creation.key]
        return None
    return creation


def active_creation() -> tuple[Any, Creation] | None:
    """Return the active tenant and its creation, if it is not saved yet, or not ready."""
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


def close(key: str) -> Creation:
    """End the creation, as the tenant is ready, and return it; an empty one if none was under way here."""
    return _here.creations.pop(key, None) or Creation(key)


def _begin(creation: Creation, using: str) -> Creation:
    _here.creations[creation.key] = creation
    _when_rolled_back(partial(_abandon, _here.creations, creation), using)
    return creation


def _abandon(creations: dict[str, Creation], creation: Creation) -> None:
    """Take back what was made. In a thread, as in the middle of a roll-back the connection takes no query."""
    if creations.get(creation.key) is creation:
        del creations[creation.key]
    if creation.made:
        thread = threading.Thread(target=_in_thread, args=[creation], daemon=True)
        thread.start()
        thread.join(_PATIENCE)


def _in_thread(creation: Creation) -> None:
    try:
        creation.take_back()
    finally:
        connections.close_all()


class _Watch:
    """A function for ``on_commit``: when Django drops it uncalled, the transaction was rolled back."""

    def __init__(self, rolled_back: Callable[[], None]) -> None:
        self._dropped = weakref.finalize(self, rolled_back)
        self._dropped.atexit = False

    def __call__(self) -> None:
        self._dropped.detach()


def _when_rolled_back(do: Callable[[], None], using: str) -> None:
    """Call it when this transaction, or this savepoint, is rolled back. Without one, it never is."""
    if connections[using].in_atomic_block:
        transaction.on_commit(_Watch(do), using=using)


def _note(*, storage: MinioBackend, name: str, tenant: str | None, **kwargs: Any) -> None:
    creation = creation_of(tenant)
    if creation is not None:
        creation.note(storage, name)


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
        transaction.on_commit(partial(_abandon, _here.creations, creation), using=using)


def connect() -> None:
    """Follow tenants from their first save until they are ready."""
    try:
        models = get_tenancy().models_of_tenants()
    except ConfigurationError:
        return  # no tenants
    for known in models:
        post_save.connect(_when_saved, sender=known, dispatch_uid="minio_router.creations")
        post_delete.connect(_when_deleted, sender=known, dispatch_uid="minio_router.creations")
    object_saved.connect(_note, dispatch_uid="minio_router.creations")
