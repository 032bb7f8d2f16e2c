"""The signals that storages send to upper layers and projects."""

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
"""A router is about to use a bucket for the first time. Arguments: ``strategy``, ``location``. A receiver can
prevent it by raising."""

bucket_missing = Signal()
"""A file cannot be stored because its bucket is missing. Arguments: ``storage``. A receiver that created the
bucket returns True."""

object_saving = Signal()
"""A router is about to store a file. Arguments: ``router``, ``backend``, ``name`` (as requested), ``size``
(bytes; 0 if unknown). A receiver can prevent it by raising."""

object_saved = Signal()
"""A file was stored. Arguments: those of ``tell``."""

object_deleted = Signal()
"""A storage deleted a file, or found it missing. Arguments: those of ``tell``; ``size`` is None, since it is
unknown."""

object_moved = Signal()
"""A file was copied to its new place. Arguments: those of ``tell``, for the new place."""


def _renew_locks() -> None:
    # Django takes a lock to read a signal's receivers, and the thread that holds it is not in the child.
    for signal in globals().values():
        if isinstance(signal, Signal):
            signal.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def tell(signal: Signal, storage: MinioBackend, name: str, size: int | None = None) -> None:
    """Send the signal with ``storage``, ``bucket``, ``name``, ``size`` (bytes; 0 or None if unknown) and
    ``tenant``, its key or None. Exceptions in receivers are logged only."""
    if not signal.receivers:
        return
    tenant = None
    with suppress(RoutingError):  # irrelevant for a single bucket
        tenant = get_tenancy().active_key()
    signal.send_robust(
        type(storage), storage=storage, bucket=storage.bucket, name=name, size=size, tenant=tenant
    )
