"""The names in file fields: which tables have them, and which rows are one tenant's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import F, FileField, QuerySet

from ..exceptions import RoutingError
from ..storage.binding import file_fields
from ..storage.fields import BucketFileField
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from django.db.models import Model

_PAGE = 500  # names in one query; SQLite may accept 999 at most
_NAME = "minio_router_name"  # annotation with the name of a row's file


@dataclass(frozen=True)
class Column:
    """The names in one file field of one table; an object's name is ``prefix`` plus the name.

    ``tenant`` is the key of the tenant whose rows they are; None if rows are not separated by tenant.
    ``is_unattributed`` means that a row does not show its tenant. ``doubt`` says why objects may have other
    names. ``database`` is an alias of ``DATABASES``; by default the one that the model writes to.
    """

    field: FileField
    tenant: str | None
    prefix: str = ""
    doubt: str = ""
    database: str = ""
    is_unattributed: bool = False

    def __str__(self) -> str:
        division = get_tenancy().division
        whose = f" in the {division} {self.tenant!r}" if self.tenant is not None else ""
        database = f" in the database {self.database!r}" if self.database else ""
        return f"{self.field}{whose}{database}"

    def meets(self, prefix: str) -> bool:
        """Return whether the column could refer to an object below this prefix."""
        return self.prefix.startswith(prefix) or prefix.startswith(self.prefix)

    def referenced(self, objects: Collection[str]) -> set[str]:
        """Return the objects that a row refers to."""
        start = len(self.prefix)
        names = [name[start:] for name in objects if name.startswith(self.prefix)]
        if not names:
            return set()
        with get_tenancy().context(self.tenant):
            rows = self._rows().filter(**{f"{self.field.name}__in": names})
            return {f"{self.prefix}{name}" for name in rows.values_list(self.field.name, flat=True)}

    def pages(self, names: Collection[str] | None = None) -> Iterator[list[tuple[Any, str]]]:
        """Yield pages of primary keys and names, without rows that have no file.

        With ``names``, a few hundred at most, yield only the rows with one of these.
        """
        last = None
        while page := self._page(last, names):
            last = page[-1][0]
            yield [(key, str(name)) for key, name in page if name]

    def count(self) -> int:
        """Return the number of rows."""
        with get_tenancy().context(self.tenant):
            return self._rows().count()

    def strip_slashes(self, *, dry_run: bool = False) -> int:
        """Strip the leading slash that other storages put before names; return the number of rows."""
        name: str = self.field.name
        changed: int = 0
        with get_tenancy().context(self.tenant):
            rows = self._rows().filter(**{f"{name}__startswith": "/"})
            if dry_run:
                return int(rows.count())
            while page := list(rows.values_list("pk", name)[:_PAGE]):
                for key, old in page:  # skips a row that got another file meanwhile
                    same = self._rows().filter(pk=key, **{name: old})
                    changed += same.update(**{name: str(old).lstrip("/")})
        return changed

    def _page(self, last: Any, names: Collection[str] | None) -> list[tuple[Any, Any]]:
        with get_tenancy().context(self.tenant):
            rows = self._rows() if last is None else self._rows().filter(pk__gt=last)
            if names is not None:
                rows = rows.filter(**{f"{self.field.name}__in": names})
            return self._read(rows.order_by("pk"))

    def _read(self, rows: QuerySet[Any]) -> list[tuple[Any, Any]]:
        return list(rows.values_list("pk", self.field.name)[:_PAGE])

    def _rows(self) -> QuerySet[Any]:
        """Return all rows, including those that managers hide."""
        model = self.field.model
        return QuerySet(model, using=self.database or router.db_for_write(model))


@dataclass(frozen=True)
class _OwnedColumn(Column):
    """The names in the rows of one owner, a tenant's key, in whichever tenant's table."""

    owner: str | None = None

    def _rows(self) -> QuerySet[Any]:
        lookup = self._owner_lookup
        return super()._rows() if lookup is None else super()._rows().filter(**{lookup: self.owner})

    def _read(self, rows: QuerySet[Any]) -> list[tuple[Any, Any]]:
        if self._owner_lookup is not None:
            return super()._read(rows)
        # Django would open the image of a row without its dimensions, and in the new place.
        files = [field.attname for field in self.field.model._meta.fields if isinstance(field, FileField)]
        found = rows.defer(*files).annotate(**{_NAME: F(self.field.attname)})[:_PAGE]
        return [(row.pk, self._name_in(row)) for row in found]

    @property
    def _owner_lookup(self) -> str | None:
        """The lookup of the owner's key; None if only the row itself can tell."""
        owner, tenancy = cast("Any", self.field).owner, get_tenancy()
        if callable(owner):
            return None
        path = [] if owner == "self" else owner.split(".")
        found = _model_at(self.field.model, path)
        if found is None or not issubclass(found, tenancy.model):
            return None
        return "__".join([*path, tenancy.key_name])

    def _name_in(self, row: Model) -> str:
        try:
            owner = get_tenancy().key(cast("Any", self.field).owner_of(row))
        except RoutingError:
            return ""
        return str(getattr(row, _NAME) or "") if owner == self.owner else ""


def _model_at(model: type[Model], path: Iterable[str]) -> type[Model] | None:
    """Return the model at the end of this path; None unless the path consists of foreign keys."""
    found: Any = model
    for name in path:
        try:
            field = found._meta.get_field(name)
        except FieldDoesNotExist:
            return None
        if not (field.concrete and (field.many_to_one or field.one_to_one)):
            return None
        found = field.related_model
    return cast("type[Model] | None", found)


def own_columns(field: FileField, tenant: Any | None) -> list[Column]:
    """Return the rows of a field that are this tenant's own; None is public. Call while it is active."""
    tenancy = get_tenancy()
    if not isinstance(field, BucketFileField) or tenancy.problem() is not None:
        return any_columns(field, tenant)
    tables = dict.fromkeys([*_tables(field, tenant), *_tables(field, None)])
    return [_OwnedColumn(field, table, owner=tenancy.key_of(tenant)) for table in tables]


def undivided_column(field: FileField, key: str | None) -> Column:
    """Return the rows of a shared table that may refer to files of the tenant (None: of no tenant).

    With an owner field, only that owner's rows do. Else any row counts, so that no file that is needed is
    taken for an orphan.
    """
    if key is None:
        return Column(field, None)
    if isinstance(field, BucketFileField):
        return _OwnedColumn(field, None, owner=key)
    return Column(field, None, is_unattributed=True)


def possible_columns(field: FileField, tenant: Any | None) -> list[Column]:
    """Return the rows of a field that may be this tenant's: its own, and those without a tenant."""
    if get_tenancy().divides(field.model):
        return own_columns(field, tenant)
    return [undivided_column(field, get_tenancy().key_of(tenant))]


def any_columns(field: FileField, tenant: Any | None) -> list[Column]:
    """Return the rows of a field in this tenant's table, whoever owns them; None is public."""
    return [Column(field, table) for table in _tables(field, tenant)]


def abandoned_columns() -> list[Column]:
    """Return the rows that deleted tenants left, for the fields that have a column there."""
    fields = list(all_file_fields())
    left = get_tenancy().abandoned_tables({field.model._meta.db_table for field in fields})
    return [
        Column(field, key)
        for key, tables in left.items()
        for field in fields
        if field.column in tables.get(field.model._meta.db_table, ())
    ]


def _tables(field: FileField, tenant: Any | None) -> list[str | None]:
    """Return the key of the tenant's own table for the field in a list; empty if it has none."""
    tenancy = get_tenancy()
    if not tenancy.divides(field.model):
        return [None] if tenant is None else []
    key = tenancy.key_of(tenant)
    return [key] if tenancy.owns_table(field.model, key) and tenancy.can_read(key) else []


def all_file_fields() -> Iterator[FileField]:
    for model in apps.get_models(include_auto_created=True):
        yield from file_fields(model)
