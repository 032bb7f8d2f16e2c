"""What upper rooms hear of storages, since data goes down and no storage asks them."""

from django.dispatch import Signal

field_bound = Signal()
"""A file field got its storage. Arguments: ``field``."""

bucket_chosen = Signal()
"""A router is about to use a bucket for the first time. Arguments: ``strategy``, ``location``. A receiver
that raises keeps it from being used."""

object_saving = Signal()
"""A router is about to store a file. Arguments: ``router``, ``backend``, ``size`` (bytes; 0 if unknown). A
receiver that raises keeps it from being stored."""

object_saved = Signal()
"""A router stored a file. Arguments: ``router``, ``backend``, ``name``, ``size`` (bytes)."""
