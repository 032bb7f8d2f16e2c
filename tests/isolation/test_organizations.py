"""Where tenants are rows: whoever is active, each file is where its owner, or the active tenant, has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_minio_router import MinioRouter, RoutingError
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import PerTenant, PerTenantPrefix
from django_minio_router.tenancy import get_tenancy
from tests.apps.orgs.models import Document, Note, Organization, organization
from tests.support.storages import set_storage

from .files import OF_THE_PACKAGE, UNTIL_FOUND, FirstCome, OnlyTurns, Project, run

OPTIONS = {"model": "orgs.Organization", "key": "slug"}
TENANCIES = {
    "with current": {**OPTIONS, "current": "tests.apps.orgs.models.current"},
    "owners only": OPTIONS,
}
CONTEXTS = OF_THE_PACKAGE | {
    "a row": ("said", organization),
    "a key": ("said", lambda tenant: organization(tenant.slug)),
    "nobody": ("said", lambda tenant: organization(None)),
    "a context of the tenancy": ("acting", lambda tenant: get_tenancy().context(tenant)),
    "a context without a tenant": ("acting", lambda tenant: get_tenancy().context(None)),
}


def file(kind: str, owner: Organization, name: str) -> Any:
    if kind == "notes":
        return Note(file=name).file
    row = Document(organization=owner, file=name, scan=name)
    return row.file if kind == "documents" else row.scan


def place(kind: str, tenant: Organization) -> tuple[str, str]:
    if kind == "scans":
        return "scans", f"{tenant.pk}/"
    return f"{kind}-{tenant.slug.replace('_', '--')}", ""


@pytest.fixture(params=TENANCIES)
def hears(request: pytest.FixtureRequest, project: Any) -> bool:
    project.MINIO_TESTING = "memory"
    options = TENANCIES[request.param]
    project.MINIO_TENANCY = {"BACKEND": "django_minio_router.tenancy.RowTenancy", "OPTIONS": options}
    return "current" in options


@pytest.fixture
def tenants(transactional_db: None) -> list[Organization]:
    """Three whose names are easily taken for each other's."""
    Organization.objects.bulk_create(
        Organization(pk=number, slug=slug)  # of three digits, as shorter names get a digest
        for number, slug in enumerate(("a_b", "a-b", "a-b-c"), 100)
    )
    return list(Organization.objects.order_by("pk"))


@pytest.fixture
def route(hears: bool, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[FirstCome]]:
    def route(leaky: str = "") -> list[FirstCome]:
        strategies = {
            "documents": (Document, "file", PerTenant("documents-{slug}")),
            "scans": (Document, "scan", PerTenantPrefix("scans", "{pk}")),
            "notes": (Note, "file", PerTenant("notes-{slug}")),
        }
        leaks = []
        for kind, (model, name, strategy) in strategies.items():
            if kind == leaky:
                leaks.append(FirstCome(strategy))
            field = model._meta.get_field(name)
            routed = leaks[-1] if kind == leaky else strategy
            set_storage(monkeypatch, field, MinioRouter(strategy=routed))
            bind_field(field)
        return leaks

    return route


@pytest.fixture
def organizations(tenants: list[Organization], hears: bool) -> Project:
    kinds = ["documents", "scans", "notes"]
    return Project(
        tenants, CONTEXTS, kinds, {"documents", "scans"}, file, place, hears, of_a_task=organization
    )


def test_nobody_reaches_another_organizations_files(
    organizations: Project, route: Callable[..., Any]
) -> None:
    route()
    run(organizations)


@pytest.mark.parametrize("leaky", ["documents", "scans", "notes"])
def test_a_strategy_that_leaks_is_found(
    organizations: Project, route: Callable[..., list[FirstCome]], leaky: str
) -> None:
    with pytest.raises(AssertionError):
        run(organizations, route(leaky), UNTIL_FOUND)


def test_async_calls_that_decide_late_are_found(
    organizations: Project, route: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose a file is must be known where the call is made, and not where it is awaited."""
    route()
    monkeypatch.setattr(MinioRouter, "settled", lambda self: self)
    with pytest.raises((AssertionError, FileNotFoundError, RoutingError)):
        run(organizations, how=UNTIL_FOUND, machine=OnlyTurns)
