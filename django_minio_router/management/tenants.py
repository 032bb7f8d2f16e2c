"""The options with which a command is told whose buckets it is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.tenancy import get_tenancy


def add_tenant_arguments(parser: CommandParser) -> None:
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--all-tenants", action="store_true", help="the buckets of every tenant")
    who.add_argument(
        "--tenant",
        action="append",
        dest="tenants",
        metavar="SCHEMA",
        help="the buckets of this tenant; may be repeated",
    )


def tenants_asked_for(
    *, all_tenants: bool, tenants: list[str] | None, **options: Any
) -> Iterable[Any | None]:
    """Return whose files the options are about, None for public: without any, it is the active tenant."""
    if all_tenants:
        return get_tenancy().everyone()
    if tenants:
        return tenants_named(tenants)
    inside = (get_tenancy().problem() is None) and get_tenancy().active_key() is not None
    return [get_tenancy().active_tenant() if inside else None]


def tenants_named(schema_names: list[str]) -> list[Any]:
    """Return the rows of these tenants. ``CommandError`` if there is no such tenant."""
    found = list(get_tenancy().tenants(schema_names))
    missing = set(schema_names) - {tenant.schema_name for tenant in found}
    if missing:
        raise CommandError(
            f"There is no tenant with the schema name {', '.join(sorted(missing))}. "
            "Give --tenant the schema_name of a tenant."
        )
    return found
