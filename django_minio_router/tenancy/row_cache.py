"""A cache of tenant rows by key: often only the key of the active tenant is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import connections, transaction
from django.db.models import Model
from django.db.models.signals import ModelSignal, post_delete, post_save

from ..caches import BoundedCache

_MAX_ROWS = 4096
_ROW_TTL = 60.0  # seconds; no signal reports what another process does to a tenant
_rows: BoundedCache[str, Any] = BoundedCache(_MAX_ROWS, ttl=_ROW_TTL)


def cached_row(key: str, alias: str, read: Callable[[str], Any]) -> Any:
    """Return the row with this key, calling ``read`` if it is not cached."""
    if key in _uncommitted(alias):
        return read(key)
    row = _rows.get(key)
    if row is None:
        since = _rows.discards  # another thread may commit while this one reads
        row = read(key)
        _rows.set(key, row, since=since)
    return row


def invalidate_on_save(models: Iterable[type[Model]], key_of: Callable[[Any], object]) -> None:
    """Drop a row of these models from the cache when this process saves or deletes it."""

    def forget(*, instance: Any, using: str, **kwargs: object) -> None:
        _forget_row(instance.pk, key_of(instance), using)

    for model in models:
        for signal in post_save, post_delete:
            connect_once(signal, model, forget)


def connect_once(signal: ModelSignal, model: type[Model], receiver: Callable[..., None]) -> None:
    """Connect the receiver, replacing the one of that name from another tenancy."""
    name = f"minio_router.{receiver.__name__}"
    signal.disconnect(sender=model, dispatch_uid=name)
    signal.connect(receiver, sender=model, weak=False, dispatch_uid=name)


def _forget_row(pk: object, key: Any, alias: str) -> None:
    """Forget the row now, and again after the commit: until then, other threads may read the old one."""
    _forget(pk, key)
    uncommitted = _uncommitted(alias)
    uncommitted.add(key)

    def when_committed() -> None:
        uncommitted.discard(key)
        _forget(pk, key)

    transaction.on_commit(when_committed, using=alias)


def _forget(pk: object, key: str) -> None:
    """Forget a row under its previous key too: after a rename, another tenant may get that key."""
    _rows.discard_if(lambda row: row.pk == pk)
    _rows.discard(key)


def clear_cached_rows() -> None:
    _rows.clear()


def _uncommitted(alias: str) -> set[object]:
    """Return the keys of tenants that this thread saved in a transaction that may be rolled back."""
    connection: Any = connections[alias]
    if not connection.in_atomic_block:  # a rollback sends no signal
        connection.minio_router_uncommitted = set()
    found: set[object] = vars(connection).setdefault("minio_router_uncommitted", set())
    return found
