"""The port ``Tenancy``: who is the tenant? All that the package asks about tenants, it asks here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.utils.functional import cached_property

from ..exceptions import RoutingError, TenantRequired
from .context import NOBODY, Acting, acting, acting_for

if TYPE_CHECKING:
    from django.db.models import Model


class Tenancy(ABC):
    """Who the tenants are, which of them is active, and where each one's rows are.

    A tenant is a row of ``model``. Its *key* is a string that no other tenant has, and that never changes
    without a rename; it is the text of the row's field ``key_name``. ``shared_key`` is the key of what
    belongs to no tenant, such as the public schema, or None if there is no such thing.
    """

    key_name: str
    shared_key: str | None = None

    division: str = "tenant"
    """What rows are divided by, as messages call it."""

    source: str = "the active tenant"
    """What says who is active, as messages call it, and what to do if it does not."""
    remedy: str = "Enter tenant_bucket_context(tenant)"

    @cached_property
    def key_names(self) -> frozenset[str]:
        """The fields of a row that have its key: each template over one of them needs no row."""
        return frozenset({self.key_name})

    @cached_property
    def key_template(self) -> str:
        """The template of a name that is the key itself."""
        return f"{{{self.key_name}}}"

    # Who is active

    def active_key(self) -> str | None:
        """Return the key of the tenant that storages act for, or None if there is none.

        ``tenant_bucket_context`` comes first, unless another tenant was entered within it. Raise
        ``RoutingError`` in a thread whose connection was left to another tenant.
        """
        entered = acting.get()
        key = self._certain_key() if entered is None else self._key_within(entered)
        return None if key == self.shared_key else key

    def _key_within(self, entered: Acting) -> str | None:
        said = self.shared_key if entered.tenant is NOBODY else self.key(entered.tenant)
        if entered.connection is None:
            return said
        connected = self.connected_key()
        if connected in {said, entered.connected, self.shared_key, None}:
            return said
        if entered.connection is self.connection():
            return self._certain_key()
        raise RoutingError(
            f"tenant_bucket_context({said!r}) was entered in another thread, and {self.source} says "
            f"{connected!r}, so a row and its file would part. {self.remedy} in this thread."
        )

    def active_tenant(self) -> Any:
        """Return the row of the active tenant. ``TenantRequired`` if there is none, or no such row.

        A row that was entered is returned as it is, with values that are not saved yet.
        """
        self.require()
        key = self.active_key()
        if key is None:
            raise TenantRequired(f"{self.nobody()}. {self.remedy}.")
        entered = acting.get()
        for tenant in (entered and entered.tenant, self.connected_tenant()):
            if isinstance(tenant, self.model) and self.key(tenant) == key:
                return tenant
        return self.row(key)

    def nobody(self) -> str:
        """Say that no tenant is active, and what is instead."""
        shared = "" if self.shared_key is None else f" (the {self.division} is {self.shared_key!r})"
        return f"No tenant is active{shared}"

    def bucket_context(self, tenant: Any | None) -> AbstractContextManager[None]:
        """Let storages act for the tenant, a row or a key, or for none, and leave the database as it is."""
        whose = (self.shared_key or NOBODY) if tenant is None else tenant
        return acting_for(whose, self.connection(), self.connected_key())

    @contextmanager
    def context(self, tenant: Any | None) -> Iterator[None]:
        """Make the tenant, a row or a key, the active one for database and storages; None: no tenant."""
        whose = self.shared_key if tenant is None else tenant
        with self._database_context(whose), self.bucket_context(tenant):
            yield

    @abstractmethod
    def connected_key(self) -> str | None:
        """Return the key of the tenant that database or request are set to, ``shared_key`` included."""

    def _certain_key(self) -> str | None:
        """Return the same key for a call of a storage, of a tenant that is known to be there."""
        return self.connected_key()

    @abstractmethod
    def connected_tenant(self) -> Any:
        """Return the same tenant as it was set: a row, or anything else that says its key, or None."""

    @abstractmethod
    def connection(self) -> object:
        """Return the object that ``connected_key`` reads: the same within a thread, another in another."""

    @abstractmethod
    def _database_context(self, tenant: Any | None) -> AbstractContextManager[Any]:
        """Set the database to the tenant, a row or a key; no query is sent. None if nothing is shared."""

    # Who there is

    @property
    @abstractmethod
    def model(self) -> type[Model]:
        """The model whose rows are tenants. ``ConfigurationError`` if the settings name none."""

    def models_of_tenants(self) -> list[type[Model]]:
        """Return the models whose rows are tenants: a proxy may be saved or deleted as well."""
        return [model for model in apps.get_models() if issubclass(model, self.model)]

    @abstractmethod
    def key(self, tenant: Any) -> str:
        """Return the key of a row, or a key itself. ``TenantRequired`` for anything else."""

    def key_if_any(self, tenant: Any) -> str | None:
        """Return the key of a row, or None if it has none, or is not a tenant."""
        try:
            return self.key(tenant)
        except TenantRequired:
            return None

    def key_of(self, tenant: Any | None) -> str | None:
        """Return the key of a tenant, or ``shared_key`` for None: of what belongs to no tenant."""
        return self.shared_key if tenant is None else self.key(tenant)

    @abstractmethod
    def row(self, key: str) -> Any:
        """Return the row with this key, kept for a while. ``TenantRequired`` if there is none."""

    @abstractmethod
    def tenants(self, keys: Iterable[str] | None = None) -> Iterator[Any]:
        """Yield the rows of all tenants, or of those with these keys; memory does not grow with them."""

    @abstractmethod
    def find(self, said: Any) -> Any | None:
        """Return the row that a signal or a person means: a row, a primary key, a key or a mapping of
        fields. None if there is no such tenant (any more), and for what is shared."""

    def named(self, key: str) -> Any | None:
        """Return the row with this key as it is now, or None if there is no such tenant (any more)."""
        return next(self.tenants([key]), None)

    def everyone(self) -> Iterator[Any | None]:
        """Yield None for what belongs to no tenant, and then the row of each tenant."""
        yield None
        yield from self.tenants()

    # Where rows are

    def key_of_rows(self, alias: str | None) -> str | None:
        """Return whose rows this database connection reads and writes now; None if it does not tell."""
        return None

    def is_shared(self, model: type[Model]) -> bool:
        """Tell whether all rows of the model belong to no tenant, wherever they are read."""
        return False

    @abstractmethod
    def divides(self, model: type[Model]) -> bool:
        """Tell whether rows of the model are apart by tenant, so that they are read in its context."""

    @abstractmethod
    def owns_table(self, model: type[Model], key: str | None) -> bool:
        """Tell whether the tenant, or None for what is shared, has a table of its own for the model."""

    @abstractmethod
    def can_read(self, key: str | None) -> bool:
        """Tell whether the tenant's rows can be read: its schema may be gone, or not be there yet."""

    def abandoned_tables(self, tables: Collection[str]) -> Mapping[str, Mapping[str, set[str]]]:
        """Return what deleted tenants left: by key the tables among these, with their columns."""
        return {}

    # What is wrong, and what happens

    def verify(self) -> None:  # noqa: B027  a tenancy without settings of its own has none that are wrong
        """Raise ``ConfigurationError`` if a setting of the tenancy is wrong. Sends no query."""

    def problem(self) -> str | None:
        """Say why no tenant can be told, or return None."""
        return None

    def require(self) -> None:  # noqa: B027  a tenancy that can tell has nothing to say
        """Raise ``ConfigurationError`` if the project has no tenants."""

    def check(self, strategy: object) -> Iterable[CheckMessage]:
        """Yield what ``manage.py check`` reports of a strategy that needs tenants."""
        return ()

    @abstractmethod
    def connect(self, *, created: Callable[[Any], None], deleted: Callable[[Any], None]) -> None:
        """Call ``created`` with a new tenant once it is ready, ``deleted`` with the row of one that is gone.

        Both after the commit. A row whose creation failed was never ready, and is not said to be deleted.
        """
