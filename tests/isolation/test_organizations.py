"""Where tenants are rows: whoever is active, each file is where its owner, or the active tenant, has it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from contextvars import copy_context
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_minio_router import MinioRouter, RoutingError
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import BucketStrategy, PerTenant, PerTenantPrefix
from django_minio_router.tenancy import get_tenancy, tenant_bucket_context
from django_minio_router.testing import files, stored_files
from tests.apps.orgs.models import Document, Note, Organization, organization

OPTIONS = {"model": "orgs.Organization", "key": "slug"}
TENANCIES = {
    "with current": {**OPTIONS, "current": "tests.apps.orgs.models.current"},
    "owners only": OPTIONS,
}
OFTEN = settings(
    max_examples=30,
    stateful_step_count=30,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
TENANTS = st.integers(0, 2)
NAMES = st.sampled_from(["a.txt", "a.txt", "d/a.txt"])  # of all tenants, so that they meet
KINDS = st.sampled_from(["documents", "scans", "notes"])
Entered = tuple[str, "int | None"]

# How to make a tenant active: by what the project says, or by the package's own context.
CONTEXTS: dict[str, tuple[str, Callable[[Any], AbstractContextManager[Any]]]] = {
    "a row": ("said", organization),
    "a key": ("said", lambda tenant: organization(tenant.slug)),
    "nobody": ("said", lambda tenant: organization(None)),
    "a bucket context of a row": ("acting", tenant_bucket_context),
    "a bucket context of a key": ("acting", lambda tenant: tenant_bucket_context(tenant.slug)),
    "a context of the tenancy": ("acting", lambda tenant: get_tenancy().context(tenant)),
    "a context without a tenant": ("acting", lambda tenant: get_tenancy().context(None)),
}


def here(operation: Callable[[], Any], pool: ThreadPoolExecutor) -> Any:
    return operation()


def elsewhere(operation: Callable[[], Any], pool: ThreadPoolExecutor) -> Any:
    return pool.submit(_closing, operation).result()


def elsewhere_with_context(operation: Callable[[], Any], pool: ThreadPoolExecutor) -> Any:
    return pool.submit(copy_context().run, _closing, operation).result()


def _closing(operation: Callable[[], Any]) -> Any:
    try:
        return operation()
    finally:
        connection.close()


RUNNERS = st.sampled_from([here, here, elsewhere, elsewhere_with_context])
REFUSED = object()


class Organizations(RuleBasedStateMachine):
    def __init__(self, tenants: list[Organization], *, hears: bool) -> None:
        super().__init__()
        self.tenants, self.hears = tenants, hears
        self.stack: list[tuple[ExitStack, str, int | None]] = []
        self.pool = ThreadPoolExecutor(1)
        self.kept = ExitStack()
        self.kept.enter_context(files.memory_files(empty=True))
        self.expected: dict[str, dict[str, bytes]] = {}

    def teardown(self) -> None:
        while self.stack:
            self.leave()
        self.pool.shutdown()
        self.kept.close()

    @rule(how=st.sampled_from(list(CONTEXTS)), tenant=TENANTS)
    @precondition(lambda self: len(self.stack) < 4)
    def enter(self, how: str, tenant: int) -> None:
        kind, make = CONTEXTS[how]
        stack = ExitStack()
        stack.enter_context(make(self.tenants[tenant]))
        whom = None if how in {"nobody", "a context without a tenant"} else tenant
        self.stack.append((stack, kind, whom))

    @rule()
    @precondition(lambda self: self.stack)
    def leave(self) -> None:
        self.stack.pop()[0].close()

    def active(self, runner: Callable[..., Any]) -> Any:
        """Return the tenant for whom a call without an owner acts, None, or ``REFUSED``."""
        said: int | None = None
        acting: tuple[int | None, int | None] | None = None  # for whom, and what was said then
        for _, kind, whom in self.stack if runner is not elsewhere else ():
            if kind == "acting":
                acting = whom, said
            elif self.hears:
                said = whom
        if acting is None:
            return said
        if said in {*acting, None}:
            return acting[0]
        return said if runner is here else REFUSED

    def place(self, kind: str, owner: int, runner: Callable[..., Any]) -> tuple[str, str] | None:
        """Return bucket and folder of a file, or None if the call must be refused."""
        whose = owner if kind != "notes" else self.active(runner)
        if whose is None or whose is REFUSED:
            return None
        name = self.tenants[whose].slug.replace("_", "--")
        return {"documents": (f"docs-{name}", ""), "scans": ("scans", f"{self.tenants[whose].pk}/")}.get(
            kind, (f"notes-{name}", "")
        )

    def file(self, kind: str, owner: int, name: str = "") -> Any:
        if kind == "notes":
            return Note(file=name).file
        row = Document(organization=self.tenants[owner], file=name, scan=name)
        return row.file if kind == "documents" else row.scan

    def run(self, runner: Callable[..., Any], operation: Callable[[], Any]) -> Any:
        try:
            return runner(operation, self.pool)
        except (RoutingError, FileNotFoundError) as error:
            return type(error)

    def held(self, kind: str, owner: int, runner: Callable[..., Any], name: str) -> Any:
        place = self.place(kind, owner, runner)
        if place is None:
            return RoutingError
        return self.expected.get(place[0], {}).get(place[1] + name, FileNotFoundError)

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def save(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        content, file = secrets.token_bytes(8), self.file(kind, owner)

        def save() -> str:
            file.save(name, ContentFile(content), save=False)
            return str(file.name)

        saved, place = self.run(runner, save), self.place(kind, owner, runner)
        if place is None:
            assert isinstance(saved, type)
            assert issubclass(saved, RoutingError)
        else:
            self.expected.setdefault(place[0], {})[place[1] + saved] = content

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def read(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        file = self.file(kind, owner, name)
        got, held = self.run(runner, lambda: file.open().read()), self.held(kind, owner, runner, name)
        if isinstance(held, type):
            assert isinstance(got, type)
            assert issubclass(got, held)
        else:
            assert got == held

    @rule(kind=KINDS, owner=TENANTS, name=NAMES, runner=RUNNERS)
    def delete(self, kind: str, owner: int, name: str, runner: Callable[..., Any]) -> None:
        file, place = self.file(kind, owner, name), self.place(kind, owner, runner)
        done = self.run(runner, lambda: file.delete(save=False))
        if place is None:
            assert isinstance(done, type)
            assert issubclass(done, RoutingError)
        else:
            self.expected.get(place[0], {}).pop(place[1] + name, None)

    @invariant()
    def nothing_is_anywhere_else(self) -> None:
        held = {bucket: found for bucket, found in stored_files().items() if found}
        assert held == {bucket: found for bucket, found in self.expected.items() if found}


class FirstCome(BucketStrategy):
    """Leaks: all go where the first one went."""

    def __init__(self, own: BucketStrategy) -> None:
        self.own = own
        self.found: list[Any] = []

    def bucket_for(self, model: Any) -> Any:
        if not self.found:
            self.found.append(self.own.bucket_for(model))
        return self.found[0]

    def buckets_for(self, models: Any) -> Any:
        return self.own.buckets_for(models)


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
            "documents": (Document, "file", PerTenant("docs-{slug}")),
            "scans": (Document, "scan", PerTenantPrefix("scans", "{pk}")),
            "notes": (Note, "file", PerTenant("notes-{slug}")),
        }
        leaks = []
        for kind, (model, name, strategy) in strategies.items():
            if kind == leaky:
                leaks.append(FirstCome(strategy))
            field = model._meta.get_field(name)
            routed = leaks[-1] if kind == leaky else strategy
            monkeypatch.setattr(field, "storage", MinioRouter(strategy=routed))
            bind_field(field)
        return leaks

    return route


def test_nobody_reaches_another_organizations_files(
    tenants: list[Organization], route: Callable[..., Any], hears: bool
) -> None:
    route()
    run_state_machine_as_test(lambda: Organizations(tenants, hears=hears), settings=OFTEN)


@pytest.mark.parametrize("leaky", ["documents", "scans", "notes"])
def test_a_strategy_that_leaks_is_found(
    tenants: list[Organization], route: Callable[..., list[FirstCome]], hears: bool, leaky: str
) -> None:
    leaks = route(leaky)

    def machine() -> Organizations:
        for leak in leaks:  # each example in a new process, so to say
            leak.found.clear()
        return Organizations(tenants, hears=hears)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=settings(OFTEN, max_examples=100))
