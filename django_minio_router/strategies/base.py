"""The base class of strategies, which answer two questions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.core.checks import CheckMessage
from django.db.models import Model
from django.utils.deconstruct import deconstructible
from django.utils.hashable import make_hashable

from ..bucket_template import BucketTemplate

# Safer than the flat defaults: browsers download what may run in them, public buckets cannot be listed, and a
# link that is passed on does not live for a week.
STRATEGY_DEFAULTS: Mapping[str, Any] = {
    "MINIO_ACTIVE_CONTENT": "download",
    "MINIO_PUBLIC_POLICY": "read",
    "MINIO_URL_EXPIRY_HOURS": timedelta(hours=1),
}


class Location(NamedTuple):
    """A place for files: a bucket, on a server of ``MINIO_SERVERS``, below a folder such as ``"acme/"``.

    ``public_url`` is the base of links to the bucket if it is public, as ``MINIO_PUBLIC_URL`` is for all
    buckets.

    A server that is not in the settings has an ``endpoint``, a ``region`` if it needs one, and
    ``credentials``: access key and secret key. The project's keys are never sent to it, and its keys are
    never shown.
    """

    bucket: str
    server: str = ""
    prefix: str = ""
    public_url: str = ""
    endpoint: str = ""
    region: str = ""
    credentials: tuple[str, str] | None = None

    def __repr__(self) -> str:
        values = {**self._asdict(), "credentials": "***" if self.credentials else None}
        return f"Location({', '.join(f'{name}={value!r}' for name, value in values.items() if value)})"

    @property
    def options(self) -> dict[str, Any]:
        """The settings in the location, as options of a storage."""
        access_key, secret_key = self.credentials or (None, None)
        values = {
            "MINIO_PUBLIC_URL": self.public_url,
            "MINIO_ENDPOINT": self.endpoint,
            "MINIO_REGION": self.region,
            "MINIO_ACCESS_KEY": access_key,
            "MINIO_SECRET_KEY": secret_key,
        }
        options = {name: value for name, value in values.items() if value}
        return {**options, "MINIO_CREDENTIALS": None} if self.credentials else options

    @property
    def folder(self) -> str:
        """The prefix with a trailing slash, as routers use it: without, it would match neighbours too."""
        return f"{self.prefix.rstrip('/')}/" if self.prefix else ""

    @property
    def place(self) -> Location:
        """The location without credentials and links, for comparison."""
        return self._replace(public_url="", credentials=None)

    @classmethod
    def of(cls, answer: str | Location) -> Location:
        """Return the location for a strategy's answer, without ``public_url``; a string is a bucket name."""
        return answer._replace(public_url="") if isinstance(answer, Location) else cls(answer)


@deconstructible
class BucketStrategy(ABC):
    """Which bucket does this call go to, and which buckets exist?

    ``bucket_for`` may route only to buckets that ``buckets_for`` lists under the same tenant; the contract
    in ``django_minio_router.testing`` checks this. Raise a ``RoutingError`` if no bucket is right: there is
    no fallback. Strategies are compared by their attributes and written to migrations by their arguments, so
    take plain values, store nothing else, and send no queries.
    """

    public_read: bool | None = False
    """Whether anybody may read the buckets, so that links are unsigned. None: as the settings declare, else
    private."""

    varies_by_tenant: bool = True
    """Whether the buckets depend on the active tenant."""

    keeps_tenants_apart: bool = False
    """Whether no two tenants share a place: a bucket or a folder."""

    one_bucket_per_tenant: bool = False
    """Whether each tenant has its own bucket, so that a bucket used without a tenant is refused."""

    @property
    def tenant_template(self) -> BucketTemplate | None:
        """The template for the names of tenants, if any. A check reports two that may collide."""
        return None

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The defaults of settings for these buckets, by name, where the project sets nothing."""
        return STRATEGY_DEFAULTS

    @abstractmethod
    def bucket_for(self, model: type[Model] | None) -> str | Location:
        """Return the bucket for a call now, or a ``Location`` to choose a server or a folder as well.

        ``model`` is the one whose field stores the file, None outside fields.
        """

    @abstractmethod
    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str | Location]:
        """Return all buckets for the active tenant and the models whose fields use the strategy.

        ``initialize_buckets`` calls this once outside any tenant, and once for each tenant that it handles.
        """

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        """Return messages for ``manage.py check``; send no request and no query."""
        return ()

    def _state(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_constructor_args"}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._state() == other._state()

    def __hash__(self) -> int:
        return hash((type(self), make_hashable(self._state())))

    def __repr__(self) -> str:
        args, kwargs = self._constructor_args  # type: ignore[attr-defined]
        parts = [repr(value) for value in args]
        parts += [f"{name}={value!r}" for name, value in kwargs.items()]
        return f"{type(self).__name__}({', '.join(parts)})"
