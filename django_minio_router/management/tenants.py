"""The options that select the tenants of a command."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.tenancy import get_tenancy


def add_tenant_arguments(parser: CommandParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--all-tenants", action="store_true", help="all tenants")
    group.add_argument(
        "--tenant",
        action="append",
        dest="tenants",
        metavar="KEY",
        help="the tenant with this schema name or key; may be repeated",
    )


def named_tenants(
    *, all_tenants: bool, tenants: list[str] | None, **options: Any
) -> Generator[Any, None, None]:
    """Yield the rows of the selected tenants. ``CommandError`` if one does not exist."""
    if all_tenants:
        yield from get_tenancy().tenants()
    elif tenants:
        found = list(get_tenancy().tenants(tenants))
        missing = set(tenants) - {get_tenancy().key(tenant) for tenant in found}
        if missing:
            raise CommandError(
                f"There is no tenant {', '.join(sorted(missing))}. Set --tenant to the "
                f"{get_tenancy().key_name} of a tenant."
            )
        yield from found


def tenants_or_active(
    *, all_tenants: bool, tenants: list[str] | None, **options: Any
) -> Iterable[Any | None]:
    """Return the selected tenants; None stands for the files of no tenant.

    ``--all-tenants`` includes None. Without an option, return the active tenant, or None.
    """
    if all_tenants:
        return get_tenancy().everyone()
    if tenants:
        return list(named_tenants(all_tenants=False, tenants=tenants))  # a list, so that a typo fails at once
    is_active = get_tenancy().problem() is None and get_tenancy().active_key() is not None
    return [get_tenancy().active_tenant() if is_active else None]
