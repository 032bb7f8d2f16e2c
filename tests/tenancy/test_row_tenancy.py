"""Tenants that are rows of a model: who is active, and what is said of what is wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils.functional import SimpleLazyObject

from django_minio_router import ConfigurationError, MinioRouter, RoutingError, TenantRequired
from django_minio_router.strategies import BucketStrategy, PerTenant, PerTenantPrefix
from django_minio_router.tenancy import (
    RowTenancy,
    SchemaTenancy,
    current_key,
    current_tenant,
    get_tenancy,
    tenant_bucket_context,
)
from django_minio_router.testing import StrategyContract, stored_files
from tests.apps.orgs.models import Note, Organization, Partner, organization

from .conftest import ROW_TENANCY, queries

Orgs = tuple[Organization, Organization]
by_slug = MinioRouter(strategy=PerTenant("org-{slug}"))
by_pk = MinioRouter(strategy=PerTenant("org-{pk}-files"))


def bucket(router: MinioRouter = by_slug) -> str:
    return router.backend.bucket


# Who is active


def test_the_tenancy_of_the_setting_is_used(rows: Any) -> None:
    assert isinstance(get_tenancy(), RowTenancy)
    rows.MINIO_TENANCY = {"BACKEND": SchemaTenancy}
    assert isinstance(get_tenancy(), SchemaTenancy)
    rows.MINIO_TENANCY = None
    assert isinstance(get_tenancy(), SchemaTenancy), "as before, where django-tenants is set up"


@pytest.mark.parametrize(
    "said",
    [
        lambda acme: acme,
        lambda acme: "acme",
        lambda acme: Partner.objects.get(pk=acme.pk),
        lambda acme: SimpleLazyObject(lambda: acme),
    ],
    ids=["row", "key", "proxy", "lazy"],
)
def test_the_callable_says_who_is_active(orgs: Orgs, said: Callable[[Organization], Any]) -> None:
    acme, _ = orgs
    with organization(said(acme)):
        assert bucket() == "org-acme"
        assert bucket(by_pk) == f"org-{acme.pk}-files"
        assert current_key() == "acme"
        assert current_tenant() == acme


@pytest.mark.parametrize("said", [None, SimpleLazyObject(lambda: None)], ids=["None", "lazy None"])
def test_without_a_tenant_it_raises_and_names_the_remedy(orgs: Orgs, said: Any) -> None:
    with organization(said), pytest.raises(TenantRequired) as raised:
        by_slug.save("a.txt", ContentFile(b"?"))

    assert "MINIO_TENANCY" in str(raised.value)
    assert "tenant_bucket_context(tenant)" in str(raised.value)
    assert not any(stored_files().values())


def test_a_bucket_for_calls_without_a_tenant_can_be_named(orgs: Orgs) -> None:
    router = MinioRouter(strategy=PerTenant("org-{slug}", public="lobby"))
    assert bucket(router) == "lobby"
    with organization("acme"):
        assert bucket(router) == "org-acme"
    Organization.objects.bulk_create([Organization(slug="lobby")])
    with organization("lobby"), pytest.raises(RoutingError, match="and to public"):
        bucket(MinioRouter(strategy=PerTenant("{slug}", public="lobby")))


def test_without_a_callable_only_contexts_say_who_it_is(orgs: Orgs, rows: Any) -> None:
    rows.MINIO_TENANCY = {**ROW_TENANCY, "OPTIONS": {"model": "orgs.Organization", "key": "slug"}}
    with organization("acme"):
        with pytest.raises(TenantRequired, match=r"owner, .*give MINIO_TENANCY a 'current'"):
            bucket()
        with tenant_bucket_context("globex"):
            assert bucket() == "org-globex"


def test_the_default_template_is_the_key(orgs: Orgs, rows: Any) -> None:
    with organization("acme"):
        assert bucket(MinioRouter(strategy=PerTenant())) == "acme"
        assert by_slug.backend.prefix == ""
        assert MinioRouter(strategy=PerTenantPrefix("all")).backend.prefix == "acme/"


@pytest.mark.parametrize("template", ["org-{pk}-files", "org-{id}-files"])
def test_a_key_has_the_names_of_its_field(orgs: Orgs, rows: Any, template: str) -> None:
    acme, _ = orgs
    rows.MINIO_TENANCY = {**ROW_TENANCY, "OPTIONS": {"model": "orgs.Organization"}}
    with queries(0), tenant_bucket_context(str(acme.pk)):
        assert bucket(MinioRouter(strategy=PerTenant(template))) == f"org-{acme.pk}-files"


@pytest.mark.parametrize("said", [lambda pk: pk, lambda pk: str(pk), lambda pk: f"0{pk}"])
def test_each_way_of_writing_a_key_is_the_same_tenant(orgs: Orgs, rows: Any, said: Any) -> None:
    acme, _ = orgs
    options = {"model": "orgs.Organization", "current": "tests.apps.orgs.models.current"}
    rows.MINIO_TENANCY = {**ROW_TENANCY, "OPTIONS": options}
    with organization(said(acme.pk)):
        assert bucket(by_pk) == f"org-{acme.pk}-files"
        assert current_key() == str(acme.pk)


def test_a_key_is_looked_up_once_and_a_row_never(orgs: Orgs) -> None:
    acme, _ = orgs
    with organization(acme), queries(0):
        assert bucket() == "org-acme"
    # Of one that no test saves: what is saved in a transaction is read each time until the commit.
    Organization.objects.bulk_create([Organization(slug="quiet")])
    with organization("quiet"), queries(1):
        assert [bucket() for _ in range(3)] == ["org-quiet"] * 3
    with tenant_bucket_context("globex"), queries(0):
        assert bucket() == "org-globex"


# Contexts beside the callable


def test_the_bucket_context_comes_before_the_callable(orgs: Orgs) -> None:
    acme, globex = orgs
    with organization(acme), tenant_bucket_context(globex):
        assert bucket() == "org-globex"


def test_a_tenant_that_is_entered_within_a_bucket_context_comes_before_it(orgs: Orgs) -> None:
    acme, globex = orgs
    with tenant_bucket_context(globex), organization(acme):
        assert bucket() == "org-acme"


def test_a_tenant_that_is_not_there_is_found_also_within_a_bucket_context(orgs: Orgs) -> None:
    unknown = pytest.raises(TenantRequired, match=r"No orgs\.Organization has the slug 'nobody'")
    with tenant_bucket_context("globex"), organization("nobody"), unknown:
        bucket()


def test_without_a_tenant_means_so_whoever_is_active(orgs: Orgs) -> None:
    acme, _ = orgs
    with organization(acme), get_tenancy().context(None):
        assert current_key() is None
        with pytest.raises(TenantRequired):
            bucket()
        with tenant_bucket_context(acme):
            assert bucket() == "org-acme"


def test_contexts_follow_async_code_and_copied_contexts(orgs: Orgs) -> None:
    acme, globex = orgs

    async def view(tenant: Organization) -> str:
        with organization(tenant):
            await asyncio.sleep(0)
            return await sync_to_async(bucket, thread_sensitive=False)()

    async def both() -> list[str]:
        return await asyncio.gather(view(acme), view(globex))

    assert asyncio.run(both()) == ["org-acme", "org-globex"]
    with tenant_bucket_context(globex), ThreadPoolExecutor(1) as pool:
        assert pool.submit(copy_context().run, bucket).result() == "org-globex"


def test_a_thread_that_says_another_tenant_raises(orgs: Orgs, rows: Any) -> None:
    """As a project does that keeps the tenant in a thread-local variable, and does not clear it."""
    local = threading.local()
    options = {**ROW_TENANCY["OPTIONS"], "current": lambda: getattr(local, "tenant", None)}
    rows.MINIO_TENANCY = {**ROW_TENANCY, "OPTIONS": options}
    acme, globex = orgs

    def work() -> str:
        local.tenant = acme
        return bucket()

    with tenant_bucket_context(globex), ThreadPoolExecutor(1) as pool:
        done = pool.submit(copy_context().run, work)
        with pytest.raises(RoutingError, match="'current' of MINIO_TENANCY selects 'acme'"):
            done.result()


# What a callable may get wrong


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (KeyError("organization"), r"'current' of MINIO_TENANCY raised KeyError\('organization'\)"),
        (Organization(slug="new"), "returned an unsaved"),
        ("", "'' is not a tenant"),
        ("nobody", "No orgs.Organization has the slug 'nobody'"),
        (Note(), "is not a tenant. Pass a row of orgs.Organization, or its slug"),
        (SimpleLazyObject(lambda: get_user_model()(username="acme")), "is not a tenant"),
        (7, "7 is not a tenant"),
        (True, "True is not a tenant"),
        (b"acme", "b'acme' is not a tenant"),
    ],
    ids=["raises", "unsaved", "empty", "unknown", "other model", "user", "number", "bool", "bytes"],
)
def test_what_is_not_a_tenant_is_refused_and_nothing_stored(orgs: Orgs, said: Any, words: str) -> None:
    with organization(said):
        for call in (lambda: by_slug.save("a.txt", ContentFile(b"?")), lambda: by_slug.url("a.txt")):
            with pytest.raises(RoutingError, match=words):
                call()
    assert not any(stored_files().values())


def test_true_is_not_the_tenant_with_the_key_1(orgs: Orgs, rows: Any) -> None:
    options = {"model": "orgs.Organization", "current": "tests.apps.orgs.models.current"}
    rows.MINIO_TENANCY = {**ROW_TENANCY, "OPTIONS": options}
    Organization.objects.filter(pk=orgs[0].pk).update(id=1)
    for said in (True, 1.5, "x"):
        with organization(said), pytest.raises(TenantRequired, match="is not a tenant"):
            bucket(by_pk)


def test_a_row_that_was_deleted_is_not_a_tenant(orgs: Orgs) -> None:
    acme, _ = orgs
    acme.delete()
    with organization(acme), pytest.raises(TenantRequired, match="returned an unsaved"):
        bucket()


def test_a_row_without_a_key_is_not_a_tenant(orgs: Orgs) -> None:
    nameless = Organization.objects.create(slug="")
    for context in (organization(nameless), tenant_bucket_context(nameless)):
        with context, pytest.raises(TenantRequired, match="has no slug"):
            bucket()


def test_errors_of_the_callable_that_are_about_routing_pass(orgs: Orgs) -> None:
    with organization(TenantRequired("not on this host")), pytest.raises(TenantRequired, match="this host"):
        bucket()


def test_a_database_that_ignores_case_finds_no_other_tenant(
    orgs: Orgs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MySQL does: it finds "acme" for "Acme", which would get a bucket of its own."""
    insensitive = Organization.objects.filter(slug__iexact="Acme")
    monkeypatch.setattr(RowTenancy, "_all_rows", lambda tenancy: _Found(insensitive))
    with organization("Acme"), pytest.raises(TenantRequired, match="has the slug 'Acme'"):
        bucket()


class _Found:
    """Rows that are found whatever is asked for."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def order_by(self, *names: str) -> _Found:
        return self

    def filter(self, **lookups: Any) -> _Found:
        return self

    def iterator(self, **options: Any) -> Iterator[Any]:
        return iter(self._rows)


# A key that changes


def test_a_renamed_tenant_has_its_new_key_at_once(
    orgs: Orgs, django_capture_on_commit_callbacks: Any
) -> None:
    acme, _ = orgs
    with organization("acme"):
        assert bucket() == "org-acme"
    acme.slug = "acme-2"
    with django_capture_on_commit_callbacks(execute=True):
        acme.save()

    with organization("acme"), pytest.raises(TenantRequired, match="has the slug 'acme'"):
        bucket()
    with organization("acme-2"):
        assert bucket() == "org-acme-2"


def test_a_tenant_that_is_deleted_here_is_gone_at_once(orgs: Orgs) -> None:
    acme, _ = orgs
    with organization("acme"):
        assert bucket() == "org-acme"
        Partner.objects.get(pk=acme.pk).delete()
        with pytest.raises(TenantRequired):
            bucket()


# The contract


@pytest.mark.parametrize("strategy", [PerTenant("org-{slug}"), PerTenant("o-{pk}-{slug}"), PerTenant()])
@pytest.mark.parametrize("hears", [True, False], ids=["with current", "owners only"])
def test_strategies_keep_their_contract(orgs: Orgs, rows: Any, strategy: BucketStrategy, hears: bool) -> None:
    if not hears:
        rows.MINIO_TENANCY = {**ROW_TENANCY, "OPTIONS": {"model": "orgs.Organization", "key": "slug"}}
    hostile = [Organization(slug=slug) for slug in ("a_b", "a-b", "A-b", "a--b", "é")]
    Organization.objects.bulk_create(hostile)

    class Contract(StrategyContract):
        needs_tenant = True
        models = [Note]

        def make_strategy(self) -> BucketStrategy:
            return PerTenant(strategy.template)

        def make_tenants(self) -> list[Organization]:
            return [*orgs, *hostile]

    for name in [name for name in dir(Contract) if name.startswith("test_")]:
        getattr(Contract(), name)()


# Settings


@pytest.mark.parametrize(
    ("tenancy", "words"),
    [
        ("RowTenancy", "MINIO_TENANCY is 'RowTenancy'"),
        ({"OPTIONS": {}}, "names the BACKEND None, not a Tenancy"),
        ({"BACKEND": "orgs.Nothing"}, "cannot be imported"),
        ({"BACKEND": "django_minio_router.MinioRouter"}, "not a Tenancy"),
        ({**ROW_TENANCY, "KEY": "slug"}, "'KEY' beside BACKEND and OPTIONS"),
        ({**ROW_TENANCY, "OPTIONS": {}}, "missing 1 required positional argument: 'model'"),
        ({**ROW_TENANCY, "OPTIONS": {"model": "orgs.Organization", "keys": "slug"}}, "'keys'"),
        ({**ROW_TENANCY, "OPTIONS": {"model": "orgs.Nothing"}}, "which is not a model"),
        ({**ROW_TENANCY, "OPTIONS": {"model": Organization}}, "which is not a model"),
        ({**ROW_TENANCY, "OPTIONS": {"model": "orgs.Organization", "key": "code"}}, "the key 'code'"),
        (
            {**ROW_TENANCY, "OPTIONS": {"model": "orgs.Document", "key": "organization"}},
            "is not a value field",
        ),
        ({**ROW_TENANCY, "OPTIONS": {"model": "orgs.Organization", "key": "name"}}, "is not unique in"),
        (
            {**ROW_TENANCY, "OPTIONS": {**ROW_TENANCY["OPTIONS"], "current": "orgs.nothing"}},
            "current 'orgs.nothing', which cannot be imported",
        ),
        (
            {
                **ROW_TENANCY,
                "OPTIONS": {**ROW_TENANCY["OPTIONS"], "current": "tests.apps.orgs.models._current"},
            },
            "which is not callable",
        ),
    ],
)
def test_a_wrong_setting_is_reported_once_and_refused(
    orgs: Orgs, rows: Any, tenancy: Any, words: str
) -> None:
    rows.MINIO_TENANCY = tenancy

    found = [message for message in run_checks() if message.id.startswith("minio_router")]
    assert [message.id for message in found] == ["minio_router.E001"]
    assert words in found[0].msg
    with pytest.raises(ConfigurationError, match="MINIO_TENANCY"):
        by_slug.save("a.txt", ContentFile(b"?"))


def test_a_right_setting_is_not_reported(orgs: Orgs) -> None:
    assert [message for message in run_checks() if message.id.startswith("minio_router")] == []


def test_a_field_that_organizations_do_not_have_is_reported(
    orgs: Orgs, route: Callable[[BucketStrategy], None]
) -> None:
    route(PerTenant("org-{schema_name}"))
    found = [message.id for message in run_checks() if message.id.startswith("minio_router")]
    assert found == ["minio_router.E014"]


def test_commands_name_the_key(orgs: Orgs) -> None:
    with pytest.raises(CommandError, match=r"no tenant nobody\. Set --tenant to the slug of a tenant"):
        call_command("initialize_buckets", "--tenant", "nobody")
