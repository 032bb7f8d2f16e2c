"""Set the headers of stored files as a save would set them now.

Headers are added and changed, never removed. An object that another writer stores meanwhile is not touched:
see ``Bucket.set_headers``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.files.storage import storages

from ..exceptions import BucketNotFound, ConfigurationError, RoutingError, ServerError
from ..inventory.columns import own_columns
from ..inventory.routes import storage_doubt
from ..inventory.uses import uses
from ..naming import is_incoming
from ..s3.bucket import ObjectInfo
from ..s3.listing import pages
from ..s3.uploads import KEPT_HEADERS
from ..storage.backend import MinioBackend
from ..storage.content_types import guess_type
from ..storage.fallback import is_file
from ..storage.router import MinioRouter
from ..storage.uploaded import StoredFile
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from django.db.models import FileField

_ATTEMPTS = 3
_UNKNOWN = {"", "application/octet-stream", "binary/octet-stream"}
_PAGE = 500


class HeaderState(Enum):
    """What happened to a file's headers, or would happen in a dry run."""

    CHANGED = "changed"
    RIGHT = "right already"
    MISSING = "missing"
    FAILED = "failed"
    SKIPPED = "left out"


class HeaderOutcome(NamedTuple):
    """The result for one file of ``where``; ``cause`` lists the new headers, or the failure."""

    state: HeaderState
    where: str
    name: str
    cause: str = ""


@dataclass(frozen=True)
class HeaderSync:
    """Which files to process, and how.

    ``aliases`` of ``STORAGES`` select all files of these storages; without any, process the files that rows
    of ``labels``, or of all models, refer to. ``by_name`` guesses types from names, whatever was declared.
    With ``by_copy``, every server copies: see ``Bucket.set_headers``.
    """

    aliases: Collection[str] = ()
    labels: Collection[str] = ()
    by_name: bool = False
    by_copy: bool = False
    dry_run: bool = False

    def run(self, tenant: Any | None, *, jobs: int = 8) -> Iterator[HeaderOutcome]:
        """Process the files of this tenant, or of no tenant for None. May be repeated.

        Raise ``ServerError`` if a server cannot be reached; the failure of a single file is an outcome.
        """
        with get_tenancy().context(tenant):
            groups = list(self._groups(tenant))
        with ThreadPoolExecutor(jobs) as threads:
            for group in groups:
                if isinstance(group, HeaderOutcome):
                    yield group
                else:
                    for page in group.pages():
                        yield from threads.map(group.sync, page)

    def _groups(self, tenant: Any | None) -> Iterator[_Files | HeaderOutcome]:
        for alias in self.aliases:
            where = f"STORAGES[{alias!r}]"
            backend = _backend(_storage_of_alias(alias))
            if isinstance(backend, str):
                yield HeaderOutcome(HeaderState.SKIPPED, where, "", backend)
            else:
                yield _Files(self, tenant, where, backend, _listed(backend))
        for field in () if self.aliases else self._fields():
            for column in own_columns(field, tenant):
                storage: Any = field.storage
                backend = storage_doubt(storage) or _backend(storage)
                if isinstance(backend, str):
                    yield HeaderOutcome(HeaderState.SKIPPED, str(column), "", backend)
                else:
                    names = ({name for _, name in page} for page in column.pages())
                    yield _Files(self, tenant, str(column), backend, names)

    def _fields(self) -> list[FileField]:
        found = [use.field for use in uses() if use.field is not None and not use.is_fallback]
        labels = {label.lower() for label in self.labels}
        missing = labels - {field.model._meta.label_lower for field in found}
        if missing:
            raise ConfigurationError(
                f"No model {', '.join(sorted(missing))} stores in a bucket. Correct --model: "
                "app_label.ModelName."
            )
        return [field for field in found if not labels or field.model._meta.label_lower in labels]


@dataclass(frozen=True)
class _Files:
    """Pages of file names in one storage, for one tenant."""

    options: HeaderSync
    tenant: Any | None
    where: str
    backend: MinioBackend
    names: Iterable[Collection[str]]

    def pages(self) -> Iterator[list[str]]:
        return (sorted(page) for page in self.names)

    def sync(self, name: str) -> HeaderOutcome:
        try:
            # A new thread's connection is on public, and metadata may depend on the active tenant.
            with get_tenancy().context(self.tenant):
                return self._sync(name)
        except Exception as error:
            if isinstance(error, ServerError) and error.status is None:
                raise
            return self._outcome(HeaderState.FAILED, name, str(error) or type(error).__name__)

    def _outcome(self, state: HeaderState, name: str, cause: str = "") -> HeaderOutcome:
        return HeaderOutcome(state, self.where, name, cause)

    def _sync(self, name: str) -> HeaderOutcome:
        """Read and store, and try again if the file was replaced meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                info = self.backend._head(name)
                if not is_file(info.headers):
                    raise FileNotFoundError
                headers, changed = self._new_headers(name, info)
                if not changed:
                    return self._outcome(HeaderState.RIGHT, name)
                self._store(info, headers)
            except (FileNotFoundError, BucketNotFound):
                return self._outcome(HeaderState.MISSING, name)
            except ServerError as error:
                if error.status not in (409, 412):
                    raise
            else:
                return self._outcome(HeaderState.CHANGED, name, ", ".join(changed))
        return self._outcome(HeaderState.FAILED, name, "it was replaced each time. Start the command again")

    def _store(self, info: ObjectInfo, headers: dict[str, str]) -> None:
        if info.headers.get("x-amz-tagging-count", "0") != "0" and not self.options.by_copy:
            raise ServerError(
                "it has tags, which only a copy by the server keeps. Give --server-copy while nobody writes",
                status=400,
            )
        if not self.options.dry_run:
            self.backend.objects.set_headers(info, headers, by_copy=self.options.by_copy)

    def _new_headers(self, name: str, info: ObjectInfo) -> tuple[dict[str, str], list[str]]:
        """Return all headers to store the file with, and the new ones as ``name: value``."""
        stored = StoredFile(self.backend.objects, info, name, self._declared(name, info))
        stored.key_headers = self.backend.reading_headers
        own = {key.lower(): value for key, value in self.backend.headers_of(name, stored).items()}
        stored.close()
        stored_keys = {key for key in own if key in KEPT_HEADERS or key.startswith("x-amz-meta-")}
        changed = [f"{key}: {own[key]}" for key in sorted(stored_keys) if info.metadata.get(key) != own[key]]
        return info.metadata | own, changed

    def _declared(self, name: str, info: ObjectInfo) -> str:
        """Return the declared type; empty if it must be guessed from the name, and can be."""
        declared = info.metadata.get("content-type", "")
        use_name = self.options.by_name or declared in _UNKNOWN
        return "" if use_name and guess_type(name) else declared


def _storage_of_alias(alias: str) -> Any:
    storage = storages[alias]
    if not isinstance(storage, MinioBackend | MinioRouter):
        raise ConfigurationError(f"STORAGES[{alias!r}] is not a storage of this package. Correct --storage.")
    return storage


def _backend(storage: Any) -> MinioBackend | str:
    """Return the storage of the active tenant's bucket, or why there is none."""
    try:
        return storage.without_fallback().backend if isinstance(storage, MinioRouter) else storage
    except RoutingError as error:
        return str(error)


def _listed(backend: MinioBackend) -> Iterator[list[str]]:
    """Yield pages of the names in the place of a storage, without direct uploads that no form has taken."""
    listed = (found for found in backend.objects.list(backend.prefix) if not found.is_folder)
    names = (found.key.removeprefix(backend.prefix) for found in listed if not is_incoming(found.key))
    return pages(names, _PAGE)
