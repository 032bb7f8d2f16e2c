"""The names in file fields: where their rows are, and which of them are one tenant's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.core.exceptions import FieldError
from django.db import router
from django.db.models import F, FileField, QuerySet

from ..exceptions import RoutingError
from ..storage.binding import file_fields
from ..storage.fields import BucketFileField, BucketImageField
from ..tenancy import get_tenancy

if TYPE_CHECKING:
    from django.db.models import Model

_PAGE = 500  # names in one query; SQLite may take no more than 999
_NAME = "minio_router_name"  # of the file of a row, as a column of its own


@dataclass(frozen=True)
class Column:
    """The names in one file field of one table; ``prefix`` stands before them in the names of the objects.

    ``schema`` is None where the database has no schemas. ``doubt`` says why objects may be named otherwise.
    ``database`` is an alias of ``DATABASES``; none is where the model's rows are written.
    """

    field: FileField
    schema: str | None
    prefix: str = ""
    doubt: str = ""
    database: str = ""

    def __str__(self) -> str:
        schema = f" in the schema {self.schema!r}" if self.schema is not None else ""
        database = f" in the database {self.database!r}" if self.database else ""
        return f"{self.field.model._meta.label}.{self.field.name}{schema}{database}"

    def meets(self, prefix: str) -> bool:
        """Tell whether an object below this prefix could be one of this column's."""
        return self.prefix.startswith(prefix) or prefix.startswith(self.prefix)

    def holding(self, objects: Collection[str]) -> set[str]:
        """Return those of the objects that a row refers to."""
        start = len(self.prefix)
        names = [name[start:] for name in objects if name.startswith(self.prefix)]
        if not names:
            return set()
        with get_tenancy().context(self.schema):
            rows = self._rows().filter(**{f"{self.field.name}__in": names})
            return {f"{self.prefix}{name}" for name in rows.values_list(self.field.name, flat=True)}

    def pages(self) -> Iterator[list[tuple[Any, str]]]:
        """Yield primary keys and names, some hundred rows at a time; rows without a file are left out."""
        last = None
        while page := self._page(last):
            last = page[-1][0]
            yield [(key, str(name)) for key, name in page if name]

    def count(self) -> int:
        """Return how many rows there are."""
        with get_tenancy().context(self.schema):
            return self._rows().count()

    def _page(self, last: Any) -> list[tuple[Any, Any]]:
        with get_tenancy().context(self.schema):
            rows = self._rows() if last is None else self._rows().filter(pk__gt=last)
            return self._read(rows.order_by("pk"))

    def _read(self, rows: QuerySet[Any]) -> list[tuple[Any, Any]]:
        return list(rows.values_list("pk", self.field.name)[:_PAGE])

    def _rows(self) -> QuerySet[Any]:
        """Return all rows; the managers of a model may hide some."""
        model = self.field.model
        return QuerySet(model, using=self.database or router.db_for_write(model))


@dataclass(frozen=True)
class _OwnedColumn(Column):
    """The names in those rows that belong to one tenant, whatever schema they are in."""

    owner: str | None = None

    def _rows(self) -> QuerySet[Any]:
        path = self._owner_path()
        return super()._rows() if path is None else super()._rows().filter(**{path: self.owner})

    def _read(self, rows: QuerySet[Any]) -> list[tuple[Any, Any]]:
        if self._owner_path() is not None:
            return super()._read(rows)
        # Of a row that holds an image without its dimensions Django opens the image, in the new place.
        files = [field.attname for field in self.field.model._meta.fields if isinstance(field, FileField)]
        found = rows.defer(*files).annotate(**{_NAME: F(self.field.attname)})[:_PAGE]
        return [(row.pk, self._name_in(row)) for row in found]

    def _owner_path(self) -> str | None:
        """Return the lookup of the owner's schema; None where only the row itself can tell."""
        owner = cast("Any", self.field).owner
        if callable(owner):
            return None
        path = "schema_name" if owner == "self" else f"{owner.replace('.', '__')}__schema_name"
        try:
            QuerySet(self.field.model).filter(**{path: ""})
        except FieldError:
            return None
        return path

    def _name_in(self, row: Model) -> str:
        try:
            owner = cast("Any", self.field).owner_of(row)
        except RoutingError:
            return ""
        belongs = getattr(owner, "schema_name", owner) == self.owner
        return str(getattr(row, _NAME) or "") if belongs else ""


def own_columns(field: FileField, tenant: Any | None) -> list[Column]:
    """Return the rows of a field that are this tenant's own; None is public. Ask while it is active."""
    if not isinstance(field, BucketFileField | BucketImageField):
        return any_columns(field, tenant)
    schema = None if tenant is None else str(tenant.schema_name)
    tables = [_schema_of_table(field, each) for each in {schema, None}]
    owner = schema or (get_tenancy().shared_key if (get_tenancy().problem() is None) else None)
    return [_OwnedColumn(field, table[0], owner=owner) for table in tables if table is not None]


def any_columns(field: FileField, tenant: Any | None) -> list[Column]:
    """Return the rows of a field in this tenant's schema, whoever owns them; None is public."""
    table = _schema_of_table(field, None if tenant is None else str(tenant.schema_name))
    return [] if table is None else [Column(field, table[0])]


def left_columns() -> list[Column]:
    """Return the rows in schemas that deleted tenants left, of the fields that have a column there."""
    fields = list(all_file_fields())
    tables = {field.model._meta.db_table for field in fields}
    left = get_tenancy().abandoned_tables(tables)
    return [
        Column(field, schema)
        for schema, columns in left.items()
        for field in fields
        if field.column in columns.get(field.model._meta.db_table, ())
    ]


def _schema_of_table(field: FileField, schema: str | None) -> tuple[str | None] | None:
    """Return the schema that this tenant's table is in; None where it has none of its own."""
    model = field.model
    tenancy = get_tenancy()
    if not tenancy.divides(model):
        return (None,) if schema is None else None
    name = schema or tenancy.shared_key
    if not tenancy.owns_table(model, name):
        return None
    return (name,) if schema is None or tenancy.can_read(name) else None


def all_file_fields() -> Iterator[FileField]:
    for model in apps.get_models(include_auto_created=True):
        yield from file_fields(model)
