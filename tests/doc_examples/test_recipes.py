"""The recipes of docs/organizations.md run as they are written, with the packages that they name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.test.utils import isolate_apps

from django_minio_router import MinioRouter, TenantRequired
from django_minio_router.strategies import PerTenant
from django_minio_router.tenancy import tenant_bucket_context
from tests.apps.orgs import models as orgs
from tests.apps.orgs.models import Organization
from tests.support import mariadb
from tests.support.pages import ROOT, blocks, section
from tests.support.quick_python import quick_python

from .recipes import PAGE, RECIPES

router = MinioRouter(strategy=PerTenant("org-{slug}"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_on_a_site_of_its_own(recipe: str, tmp_path: Path) -> None:
    if recipe == "django-organizations":
        pytest.importorskip("organizations")
    command = ["-m", "tests.doc_examples.recipes", recipe, tmp_path]
    done = quick_python().run(*command, folder=ROOT, environment=os.environ)

    assert done.returncode == 0, done.stdout + done.stderr


def test_recipes_run_on_a_database_that_ignores_case(tmp_path: Path) -> None:
    """MariaDB takes "acme" for "Acme", and for "acme ", where it is asked for a key."""
    pytest.importorskip("pymysql", reason="nox -s packages has it")
    if mariadb.PROGRAM is None:
        pytest.skip("apt-get install mariadb-server-core")
    with mariadb.mariadb(tmp_path) as port:
        for recipe in "a middleware", "keys by case", "users":
            command = [sys.executable, "-m", "tests.doc_examples.recipes", recipe, str(tmp_path)]
            env = {**os.environ, "MARIADB_PORT": str(port)}
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
            assert done.returncode == 0, recipe + done.stdout + done.stderr


@pytest.fixture
def examples(project: Any, minio_memory: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module in which the code of the page is put: of the app ``orgs``, as the page calls it."""
    project.MINIO_TESTING = "memory"
    examples = ModuleType(f"{orgs.__name__}.examples")
    monkeypatch.setattr(orgs, "context", examples, raising=False)
    for name, module in {"orgs": orgs, "orgs.context": examples, examples.__name__: examples}.items():
        monkeypatch.setitem(sys.modules, name, module)
    with isolate_apps("tests.apps.orgs"):
        yield examples


@pytest.fixture
def follow(examples: ModuleType) -> Callable[[str], dict[str, Any]]:
    """Return a function that returns what the Python of a section defines."""

    def follow(title: str) -> dict[str, Any]:
        for code in blocks(section(PAGE, title), "python"):
            exec(compile(code, PAGE, "exec"), vars(examples))
        return vars(examples)

    return follow


@pytest.fixture
def acme(db: None) -> Organization:
    Organization.objects.bulk_create([Organization(slug="acme"), Organization(slug="globex")])
    return Organization.objects.get(slug="acme")


def tenancy(**options: Any) -> dict[str, Any]:
    options = {"model": "orgs.Organization", "key": "slug", **options}
    return {"BACKEND": "django_minio_router.tenancy.RowTenancy", "OPTIONS": options}


def test_django_multitenant_says_who_is_active(
    acme: Organization, follow: Callable[..., Any], project: Any
) -> None:
    utils = pytest.importorskip("django_multitenant.utils")
    project.MINIO_TENANCY = follow("django-multitenant and django-scopes")["MINIO_TENANCY"]
    utils.set_current_tenant(acme)
    try:
        assert router.backend.bucket == "org-acme"
    finally:
        utils.unset_current_tenant()
    with pytest.raises(TenantRequired):
        router.url("a.txt")


def test_django_scopes_says_who_is_active(
    acme: Organization, follow: Callable[..., Any], project: Any
) -> None:
    scopes = pytest.importorskip("django_scopes")
    follow("django-multitenant and django-scopes")
    project.MINIO_TENANCY = tenancy(current="orgs.context.scoped_organization")
    with scopes.scope(organization=acme):
        assert router.backend.bucket == "org-acme"
    with pytest.raises(TenantRequired):
        router.url("a.txt")


def test_an_owner_that_is_not_a_tenant(acme: Organization, follow: Callable[..., Any], project: Any) -> None:
    found = follow("Owners that are not tenants")
    project.MINIO_TENANCY = tenancy()
    with tenant_bucket_context(acme):
        assert found["PerUploader"]().bucket_for(None) == f"uploads-{acme.pk}"
