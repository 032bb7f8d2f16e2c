"""Tables in schemas whose rows nobody reads, found in the database catalogue."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db import DatabaseError, connections, router

from ..tenancy import get_tenancy
from .columns import Column


class Catalogue:
    """The catalogues of the databases, each read once."""

    def __init__(self) -> None:
        self._schemas = cache(_schemas_beside)

    def doubt(self, column: Column) -> str:
        """Return which other schema also has the column's table, with rows that are not read; else ``""``.

        It may belong to an unknown package for tenants, or to tenants in a second database.
        """
        model, main = column.field.model, router.db_for_write(column.field.model)
        alias = column.database or main
        if get_tenancy().divides(model) if alias == main else _is_copy(alias, main):
            return ""
        schema = self._schemas(alias).get(model._meta.db_table)
        if schema is None:
            return ""
        return (
            f"the database {alias!r} has the table {model._meta.db_table!r} in the schema {schema!r} too, "
            "and the rows there are not read"
        )


def _is_copy(alias: str, main: str) -> bool:
    """Return whether the two are one database, or one is declared a replica of the other."""
    one, other = connections[alias].settings_dict, connections[main].settings_dict
    place = ("NAME", "HOST", "PORT")
    return all(one[key] == other[key] for key in place) or one.get("TEST", {}).get("MIRROR") == main


def _schemas_beside(alias: str) -> dict[str, str]:
    """Return the tables outside of the search path, each with one schema that has it."""
    connection: Any = connections[alias]
    if connection.vendor != "postgresql":
        return {}
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname, nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
                " WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT starts_with(nspname, 'pg_')"
                " AND nspname <> 'information_schema' AND NOT nspname = ANY(current_schemas(false))"
            )
            return dict(cursor.fetchall())
    except DatabaseError as error:
        raise DatabaseError(
            f"The catalogue of the database {alias!r} cannot be read, though its rows may refer to objects: "
            f"{error}"
        ) from error
