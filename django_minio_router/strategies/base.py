"""The two questions that every strategy answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.checks import CheckMessage
from django.utils.deconstruct import deconstructible
from django.utils.hashable import make_hashable

if TYPE_CHECKING:
    from django.db.models import Model

    from ..bucket_template import BucketTemplate


# What may run in a browser is downloaded, a bucket that anybody may read cannot be listed, and a link that
# somebody passes on does not live for a week.
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
        said = {**self._asdict(), "credentials": "***" if self.credentials else None}
        return f"Location({', '.join(f'{name}={value!r}' for name, value in said.items() if value)})"

    @property
    def options(self) -> dict[str, Any]:
        """The settings that the location itself says, as options of a storage."""
        access_key, secret_key = self.credentials or (None, None)
        said = {
            "MINIO_PUBLIC_URL": self.public_url,
            "MINIO_ENDPOINT": self.endpoint,
            "MINIO_REGION": self.region,
            "MINIO_ACCESS_KEY": access_key,
            "MINIO_SECRET_KEY": secret_key,
        }
        given = {name: value for name, value in said.items() if value}
        return {**given, "MINIO_CREDENTIALS": None} if self.credentials else given

    @property
    def place(self) -> Location:
        """The location without what opens it."""
        return self._replace(public_url="", credentials=None)

    @classmethod
    def of(cls, answer: str | Location) -> Location:
        """Return the place that a strategy's answer stands for, its links apart; a string is a bucket."""
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
    """Whether anybody may read the buckets, so that links are plain; None: what the settings declare,
    and private if they do not."""

    varies_by_tenant: bool = True
    """Whether the buckets depend on the active tenant, so that each tenant's are asked for."""

    keeps_tenants_apart: bool = False
    """Whether no two tenants share a place, be it a bucket or a folder."""

    one_bucket_per_tenant: bool = False
    """Whether a tenant's bucket is its own, so that none is used that is there without a tenant."""

    @property
    def tenant_template(self) -> BucketTemplate | None:
        """The template that makes names of tenants, if one does; two that may meet are reported."""
        return None

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Settings by name, as they hold for the buckets where the project sets nothing."""
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
