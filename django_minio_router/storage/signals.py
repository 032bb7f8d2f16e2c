"""What upper rooms and projects hear of storages, since data goes down and no storage asks them."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from django.dispatch import Signal

from ..exceptions import RoutingError
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from .backend import MinioBackend

field_bound = Signal()
"""A file field got its storage. Arguments: ``field``."""

bucket_chosen = Signal()
"""A router is about to use a bucket for the first time. Arguments: ``strategy``, ``location``. A receiver
that raises keeps it from being used."""

bucket_missing = Signal()
"""A file cannot be stored, as its bucket is missing. Arguments: ``storage``. A receiver that has created it
returns True."""

object_saving = Signal()
"""A router is about to store a file. Arguments: ``router``, ``backend``, ``name`` (as it was asked for),
``size`` (bytes; 0 if unknown). A receiver that raises keeps it from being stored."""

object_saved = Signal()
"""A file is stored. Arguments: those of ``tell``."""

object_deleted = Signal()
"""A storage was told to delete a file, and the file is not there (any more). Arguments: those of ``tell``;
``size`` is None, as nobody asked for it."""

object_moved = Signal()
"""A file was copied to the place that it moves to. Arguments: those of ``tell``, of the new place."""


def _renew_locks() -> None:
    # Django takes a lock to read a signal's receivers, and the thread that holds it is not in the child.
    for signal in globals().values():
        if isinstance(signal, Signal):
            signal.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def tell(signal: Signal, storage: MinioBackend, name: str, size: int | None = None) -> None:
    """Tell what has been done: ``storage``, ``bucket``, ``name``, ``size`` (bytes; 0 or None if unknown) and
    ``tenant``, its key or None. What a receiver raises is logged, and breaks nothing."""
    tenant = None
    with suppress(RoutingError):  # a single bucket does not care for whom its thread was left
        tenant = get_tenancy().active_key()
    signal.send_robust(
        type(storage), storage=storage, bucket=storage.bucket, name=name, size=size, tenant=tenant
    )
