"""Orphans that a row of another tenant may refer to.

Code within ``tenant_bucket_context()`` may have stored a file in another tenant's bucket, for a row of its
own. Then that row's own place has no object of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..inventory.columns import Column
from ..inventory.routes import Route, routes_now
from ..inventory.uses import uses
from ..s3.listing import pages
from ..tenancy import get_tenancy
from .orphans import Orphan, Sweep, is_there

_PAGE = 500  # names in one query


def without_misplaced(
    sweep: Sweep, orphans: Iterable[Orphan], spare: Callable[[Orphan, Column], None]
) -> Iterator[Orphan]:
    """Yield the orphans that no row of any tenant may refer to; call ``spare`` for the others.

    The tables of all tenants are searched once per page of orphans.
    """
    routes: list[Route] = []
    for number, page in enumerate(pages(orphans, _PAGE)):
        if not number:
            routes = list(_routes_of_everyone())
        references: dict[Orphan, Column] = {}
        for route in routes:
            references |= _referenced_by(sweep, route, page)
        for orphan in page:
            if orphan in references:
                spare(orphan, references[orphan])
            else:
                yield orphan


def _routes_of_everyone() -> Iterator[Route]:
    """Yield the routes of all columns in tenants' own tables."""
    tenancy, found = get_tenancy(), uses()
    if not any(use.field and tenancy.divides(use.field.model) for use in found):
        return
    for tenant in tenancy.everyone():
        key = tenancy.key_of(tenant)
        if key is not None and tenancy.can_read(key):
            with tenancy.context(tenant):
                routes = routes_now(found)
            yield from (route for route in routes if route.column.tenant == key)


def _referenced_by(sweep: Sweep, route: Route, orphans: list[Orphan]) -> dict[Orphan, Column]:
    """Return the orphans of other places that a row of this column refers to, without its own file."""
    names: dict[str, list[Orphan]] = {}
    for orphan in orphans:
        fields = {column.field for column in sweep.columns[orphan.place.bucket]}
        if orphan.place != route.place and route.column.field in fields:
            names.setdefault(orphan.name.removeprefix(orphan.place.prefix), []).append(orphan)
    named = {name for page in route.column.pages(names) for _, name in page} if names else set()
    missing = [name for name in named if not is_there(route, name)]
    return {orphan: route.column for name in missing for orphan in names[name]}
