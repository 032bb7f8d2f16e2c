"""The options that say which tenants a command is about."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from django_minio_router.tenancy import get_tenancy


def add_tenant_arguments(parser: CommandParser) -> None:
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--all-tenants", action="store_true", help="all tenants")
    who.add_argument(
        "--tenant",
        action="append",
        dest="tenants",
        metavar="KEY",
        help="the tenant with this schema name or key; may be repeated",
    )


def named_tenants(
    *, all_tenants: bool, tenants: list[str] | None, **options: Any
) -> Generator[Any, None, None]:
    """Yield the rows of the tenants that the options name. ``CommandError`` if one does not exist."""
    if all_tenants:
        yield from get_tenancy().tenants()
    elif tenants:
        found = list(get_tenancy().tenants(tenants))
        missing = set(tenants) - {get_tenancy().key(tenant) for tenant in found}
        if missing:
            raise CommandError(
                f"There is no tenant {', '.join(sorted(missing))}. Give --tenant the "
                f"{get_tenancy().key_name} of a tenant."
            )
        yield from found


def tenants_or_active(
    *, all_tenants: bool, tenants: list[str] | None, **options: Any
) -> Iterable[Any | None]:
    """Return whose files the options are about; None stands for the files of no tenant.

    With ``--all-tenants`` that is everyone, without an option the active tenant, or None.
    """
    if all_tenants:
        return get_tenancy().everyone()
    if tenants:
        return list(named_tenants(all_tenants=False, tenants=tenants))  # a wrong name is found at once
    is_active = get_tenancy().problem() is None and get_tenancy().active_key() is not None
    return [get_tenancy().active_tenant() if is_active else None]
