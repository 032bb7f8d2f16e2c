"""Rows of tenants by their keys, kept for a while: a key alone is often all that says who is active."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.db.models.signals import ModelSignal, post_delete, post_save

from ..caches import BoundedCache

if TYPE_CHECKING:
    from django.db.models import Model

_KEPT_ROWS = 4096
_ROW_LIFE = 60.0  # seconds; no signal tells here what another process does to a tenant
_rows: BoundedCache[str, Any] = BoundedCache(_KEPT_ROWS, ttl=_ROW_LIFE)


def kept_row(key: str, alias: str, read: Callable[[str], Any]) -> Any:
    """Return the row with this key, read with ``read`` if it is not kept."""
    if key in _uncommitted(alias):
        return read(key)
    row = _rows.get(key)
    if row is None:
        since = _rows.discards  # while this thread reads, another one may commit
        row = read(key)
        _rows.set(key, row, since=since)
    return row


def forget_when_saved(models: Iterable[type[Model]], key_of: Callable[[Any], object]) -> None:
    """Forget each row of these models that is saved or deleted here."""

    def forget(*, instance: Any, using: str, **kwargs: object) -> None:
        _forget_row(instance.pk, key_of(instance), using)

    for model in models:
        for signal in post_save, post_delete:
            listen(signal, model, forget)


def listen(signal: ModelSignal, model: type[Model], receiver: Callable[..., None]) -> None:
    """Connect the receiver, in the place of one of its name that another tenancy had."""
    name = f"minio_router.{receiver.__name__}"
    signal.disconnect(sender=model, dispatch_uid=name)
    signal.connect(receiver, sender=model, weak=False, dispatch_uid=name)


def _forget_row(pk: object, key: Any, alias: str) -> None:
    """Forget the row now, and again after the commit: until then other threads read the old one."""
    _forget(pk, key)
    uncommitted = _uncommitted(alias)
    uncommitted.add(key)

    def when_committed() -> None:
        uncommitted.discard(key)
        _forget(pk, key)

    transaction.on_commit(when_committed, using=alias)


def _forget(pk: object, key: str) -> None:
    """Forget a row also under the key that it had before a rename: another tenant may get that now."""
    _rows.discard_if(lambda row: row.pk == pk)
    _rows.discard(key)


def forget_rows() -> None:
    _rows.clear()


def _uncommitted(alias: str) -> set[object]:
    """Return the keys of tenants that this thread saved, and whose transaction may be rolled back."""
    connection: Any = connections[alias]
    if not connection.in_atomic_block:  # and no signal said that it was
        connection.minio_router_uncommitted = set()
    found: set[object] = vars(connection).setdefault("minio_router_uncommitted", set())
    return found
