"""Files of a test in memory: gone when it ends, and seen from outside while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.files.storage import Storage, default_storage

from ..files import quota
from ..s3 import memory
from ..s3.client import forget_clients
from ..tenancy import get_tenancy


@contextmanager
def memory_files(*, empty: bool = False) -> Iterator[None]:
    """Restore the files in memory at the end. Start without files if ``empty``."""
    with memory.restored(empty=empty):
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    """Keep nothing that was learnt of the files that there were."""
    forget_clients()
    quota.forget()


def stored_files(*, host: str = "") -> dict[str, dict[str, bytes]]:
    """Return what is in memory: names and contents by bucket. ``host`` selects one of several endpoints."""
    found: dict[str, dict[str, bytes]] = memory.contents(host)
    return found


def assert_stored(
    tenant: Any, name: str, content: bytes | str | None = None, *, storage: Storage = default_storage
) -> None:
    """Fail unless the tenant has that file, with that content if given; None means the active tenant.

    ``storage`` is the storage to check, such as a field's: ``Contract._meta.get_field("file").storage``.
    """
    with nullcontext() if tenant is None else get_tenancy().bucket_context(tenant):
        if not storage.exists(name):
            names = {bucket: sorted(files) for bucket, files in stored_files().items()}
            hint = f" In memory are: {names!r}." if names else ""
            raise AssertionError(f"There is no {name!r} for {tenant!r}.{hint}")
        with storage.open(name) as file:
            stored = file.read()
    expected = content.encode() if isinstance(content, str) else content
    if expected is not None and stored != expected:
        raise AssertionError(f"{name!r} of {tenant!r} holds {stored[:100]!r}, not {expected[:100]!r}.")


class FilesInMemory:
    """A mixin for a ``TestCase`` of Django or django-tenants: files that a test stores are gone at its end.

    ::

        class ReportTests(FilesInMemory, TenantTestCase): ...

    Files stored by ``setUpTestData()`` or ``setUpClass()`` stay for all tests of the class. Make this the
    first base class.
    """

    @classmethod
    def setUpClass(cls) -> None:
        held = memory_files()
        held.__enter__()
        cls.addClassCleanup(held.__exit__, None, None, None)  # type: ignore[attr-defined]
        super().setUpClass()  # type: ignore[misc]

    def setUp(self) -> None:
        held = memory_files()
        held.__enter__()
        self.addCleanup(held.__exit__, None, None, None)  # type: ignore[attr-defined]
        super().setUp()  # type: ignore[misc]

    assertStored = staticmethod(assert_stored)
