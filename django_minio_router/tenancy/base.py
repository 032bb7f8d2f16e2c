"""The port ``Tenancy``: everything that the package asks about tenants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.db.models import Model
from django.utils.functional import cached_property

from ..exceptions import ConfigurationError, RoutingError, TenantRequired
from .context import NO_TENANT, TenantOverride, override_tenant, tenant_override


class Tenancy(ABC):
    """Who the tenants are, which one is active, and where its rows are.

    A tenant is a row of ``model``. Its *key* is a unique string that only a rename changes: the text of the
    row's field ``key_name``. ``shared_key`` is the key of what belongs to no tenant, such as the public
    schema, or None if there is no such thing.
    """

    key_name: str
    shared_key: str | None = None

    division: str = "tenant"
    """What divides rows, for messages."""

    source: str = "the active tenant"
    """Where the active tenant comes from, for messages; ``remedy`` is what to do if there is none."""
    remedy: str = "Enter tenant_bucket_context(tenant)"

    cache_key_function: str = ""
    """The path of a ``KEY_FUNCTION`` for Django's cache that keeps tenants apart, if there is one."""

    @cached_property
    def key_names(self) -> frozenset[str]:
        """The fields of a row that hold its key: a template over one of them needs no row."""
        return frozenset({self.key_name})

    @cached_property
    def key_template(self) -> str:
        """The template of a name that is the key itself."""
        return f"{{{self.key_name}}}"

    # Who is active

    def active_key(self) -> str | None:
        """Return the key of the tenant that storages act for, or None if no tenant is active.

        ``tenant_bucket_context`` takes precedence, unless another tenant was entered within it. Raise
        ``RoutingError`` in another thread whose connection is set to another tenant.
        """
        entered = tenant_override.get()
        key = self._verified_key() if entered is None else self._key_in_context(entered)
        return None if key == self.shared_key else key

    def _key_in_context(self, entered: TenantOverride) -> str | None:
        override_key = self.shared_key if entered.tenant is NO_TENANT else self.key(entered.tenant)
        if entered.connection is None:
            return override_key
        connected = self.connected_key()
        if connected in {override_key, entered.connected, self.shared_key, None}:
            return override_key
        if entered.connection is self.connection():
            return self._verified_key()
        raise RoutingError(
            f"tenant_bucket_context({override_key!r}) was entered in another thread, but {self.source} "
            f"selects {connected!r}, so a row and its file would belong to different tenants. {self.remedy} "
            "in this thread."
        )

    def active_tenant(self) -> Any:
        """Return the row of the active tenant. ``TenantRequired`` if there is no tenant, or no such row.

        A row that was passed to a context is returned as it is, including unsaved values.
        """
        self.require()
        key = self.active_key()
        if key is None:
            raise TenantRequired(f"{self.no_tenant_message()}. {self.remedy}.")
        entered = tenant_override.get()
        for tenant in (entered and entered.tenant, self.connected_tenant()):
            if isinstance(tenant, self.model) and self.key(tenant) == key:
                return tenant
        return self.row(key)

    def no_tenant_message(self) -> str:
        """Return the message that no tenant is active, and what is active instead."""
        shared = "" if self.shared_key is None else f" (the {self.division} is {self.shared_key!r})"
        return f"No tenant is active{shared}"

    def bucket_context(self, tenant: Any | None) -> AbstractContextManager[None]:
        """Make storages act for the tenant (a row, a key, or None for no tenant).

        The database is unchanged.
        """
        target = (self.shared_key or NO_TENANT) if tenant is None else tenant
        return override_tenant(target, self.connection(), self.connected_key())

    @contextmanager
    def context(self, tenant: Any | None) -> Iterator[None]:
        """Activate the tenant (a row, a key, or None for no tenant) for the database and storages."""
        target = self.shared_key if tenant is None else tenant
        with self._database_context(target), self.bucket_context(tenant):
            yield

    @abstractmethod
    def connected_key(self) -> str | None:
        """Return the key of the tenant that the database or request is set to, or ``shared_key``."""

    def _verified_key(self) -> str | None:
        """Return ``connected_key()``, after checking that the tenant exists where that is not certain."""
        return self.connected_key()

    @abstractmethod
    def connected_tenant(self) -> Any:
        """Return that tenant as it was set: a row, anything else with its key, or None."""

    @abstractmethod
    def connection(self) -> object:
        """Return the object that ``connected_key`` reads: one per thread."""

    @abstractmethod
    def _database_context(self, tenant: Any | None) -> AbstractContextManager[Any]:
        """Set the database to the tenant (a row, a key, or None if nothing is shared) without a query."""

    # The tenants

    @property
    @abstractmethod
    def model(self) -> type[Model]:
        """The tenant model. ``ConfigurationError`` if the settings do not name one."""

    def models_of_tenants(self) -> list[type[Model]]:
        """Return the tenant model and its proxies and children, which may be saved or deleted as well."""
        return [model for model in apps.get_models() if issubclass(model, self.model)]

    @abstractmethod
    def key(self, tenant: Any) -> str:
        """Return the key of a row or a key. ``TenantRequired`` for anything else."""

    def key_if_any(self, tenant: Any) -> str | None:
        """Return the key of a row, or None if it has no key or is not a tenant."""
        try:
            return self.key(tenant)
        except TenantRequired:
            return None

    def key_of(self, tenant: Any | None) -> str | None:
        """Return the key of a tenant, or ``shared_key`` for None."""
        return self.shared_key if tenant is None else self.key(tenant)

    @abstractmethod
    def row(self, key: str) -> Any:
        """Return the row with this key, perhaps from a cache. ``TenantRequired`` if it does not exist."""

    @abstractmethod
    def tenants(self, keys: Iterable[str] | None = None) -> Iterator[Any]:
        """Yield the rows of all tenants, or those with these keys, in constant memory."""

    @abstractmethod
    def find(self, reference: Any) -> Any | None:
        """Return the row for a reference from a signal or a person, or None if there is no such tenant.

        ``reference`` is a row, a primary key, a key or a mapping of fields. What is shared is not a tenant.
        """

    def named(self, key: str) -> Any | None:
        """Return the row with this key from the database, or None if there is no such tenant."""
        return next(self.tenants([key]), None)

    def everyone(self) -> Iterator[Any | None]:
        """Yield None for what belongs to no tenant, then the row of each tenant."""
        yield None
        yield from self.tenants()

    # Rows

    def key_of_rows(self, alias: str | None) -> str | None:
        """Return the key of the tenant whose rows this database connection uses now; None if unknown."""
        return None

    def is_shared(self, model: type[Model]) -> bool:
        """Return whether no row of the model belongs to a tenant, in whatever context it is read."""
        return False

    @abstractmethod
    def divides(self, model: type[Model]) -> bool:
        """Return whether the model's rows are separated by tenant, and so read in the tenant's context."""

    @abstractmethod
    def owns_table(self, model: type[Model], key: str | None) -> bool:
        """Return whether the tenant (None for what is shared) has its own table for the model."""

    @abstractmethod
    def can_read(self, key: str | None) -> bool:
        """Return whether the tenant's rows can be read: its schema may be dropped, or not created yet."""

    def abandoned_tables(self, tables: Collection[str]) -> Mapping[str, Mapping[str, set[str]]]:
        """Return what deleted tenants left: for each key, those of the tables, with their columns."""
        return {}

    # Checks and signals

    def verify(self) -> None:  # noqa: B027  a tenancy without settings has nothing to verify
        """Raise ``ConfigurationError`` if a setting of the tenancy is invalid. Sends no query."""

    def problem(self) -> str | None:
        """Return why the active tenant cannot be found, or None."""
        try:
            self.require()
        except ConfigurationError as error:
            return str(error)
        return None

    def require(self) -> None:
        """Raise ``ConfigurationError`` if the project has no tenants, or an invalid setting of them."""
        self.verify()

    def check(self, strategy: object) -> Iterable[CheckMessage]:
        """Yield the check messages for a strategy that needs tenants."""
        return ()

    @abstractmethod
    def connect(self, *, created: Callable[[Any], None], deleted: Callable[[Any], None]) -> None:
        """Call ``created`` with each new tenant once it is ready, and ``deleted`` with each deleted row.

        Both are called after the commit. A row whose creation failed was never ready, so its deletion is not
        reported.
        """


def model_named(what: str, label: Any) -> type[Model]:
    """Return the model of the label. ``what`` begins the ``ConfigurationError``."""
    try:
        return apps.get_model(label)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{what} {label!r}, which is not a model: {error}. Write 'app_label.ModelName'."
        ) from error
