"""A site on SQLite with the recipes of docs/organizations.md that need apps or threads of their own.

``python -m tests.doc_examples.recipes RECIPE FOLDER`` runs one of them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import django
from django.conf import settings

from tests.support.pages import ROOT, blocks, section

PAGE = "docs/organizations.md"
context = ModuleType("orgs.context")


def tenancy(model: str, **options: str) -> dict[str, Any]:
    return {
        "BACKEND": "django_minio_router.tenancy.RowTenancy",
        "OPTIONS": {"model": model, "current": "orgs.context.get_current_organization", **options},
    }


def page_setting(title: str) -> dict[str, Any]:
    """Return what a section gives ``MINIO_TENANCY``."""
    (code,) = (code for code in blocks(section(PAGE, title), "python") if "MINIO_TENANCY" in code)
    found: dict[str, Any] = {}
    exec(compile(code, PAGE, "exec"), found)
    return dict(found["MINIO_TENANCY"])


def follow(*titles: str) -> dict[str, Any]:
    """Return what the Python of these sections defines, as one module."""
    for title in titles:
        for code in blocks(section(PAGE, title), "python"):
            exec(compile(code, PAGE, "exec"), vars(context))
    from django_minio_router.tenancy import get_tenancy

    get_tenancy.cache_clear()  # which took the empty functions of the start for those of the page
    return vars(context)


def database(folder: str) -> dict[str, Any]:
    """Return a file of SQLite's, or the MariaDB whose port the environment names."""
    port = os.environ.get("MARIADB_PORT")
    if port is None:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/db.sqlite3"}
    import pymysql

    pymysql.version_info = (2, 2, 1, "final", 0)  # Django asks whether mysqlclient is new enough
    pymysql.install_as_MySQLdb()
    name = f"recipes_{secrets.token_hex(4)}"
    with pymysql.connect(host="127.0.0.1", port=int(port), user="root") as connection:
        connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    server = {"HOST": "127.0.0.1", "PORT": port, "USER": "root", "NAME": name}
    return {"ENGINE": "django.db.backends.mysql", **server}


def set_up(folder: str, minio_tenancy: dict[str, Any]) -> None:
    sys.modules["orgs"] = ModuleType("orgs")
    sys.modules["orgs.context"] = sys.modules["orgs"].context = context  # type: ignore[attr-defined]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sites",
            "django_minio_router",
            "organizations",
            "tests.apps.orgs",
        ],
        DATABASES={"default": database(folder)},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=["orgs.context.OrganizationMiddleware"],
        MINIO_TENANCY=minio_tenancy,
        MINIO_TESTING="memory",
        ROOT_URLCONF=__name__,
        SITE_ID=1,
    )
    django.setup()
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    from tests.apps.orgs import models

    sys.modules["orgs.models"] = models
    setup_test_environment()
    call_command("migrate", verbosity=0)


def router(template: str) -> Any:
    from django_minio_router import MinioRouter
    from django_minio_router.strategies import PerTenant

    return MinioRouter(strategy=PerTenant(template))


def view(request: Any, slug: str = "") -> Any:
    from django.http import HttpResponse

    return HttpResponse(router("org-{slug}").backend.bucket)


async def async_view(request: Any, slug: str) -> Any:
    await asyncio.sleep(0.01)  # lets the other request in
    return view(request)


def urls() -> list[Any]:
    from django.urls import path

    return [path("", view), path("<slug>/files/", view), path("<slug>/async/", async_view)]


def a_middleware() -> None:
    """By subdomain and by path, in sync and async requests that take turns."""
    from django.test import AsyncClient, Client

    from tests.apps.orgs.models import Organization

    Organization.objects.bulk_create(Organization(slug=slug) for slug in ("acme", "globex"))
    found = follow("A middleware", "By subdomain, or by path")

    hosts = [f"{slug}.example.com" for slug in ("acme", "globex")]
    assert [Client().get("/", headers={"host": host}).content for host in hosts] == [
        b"org-acme",
        b"org-globex",
    ]
    assert Client().get("/", headers={"host": "nobody.example.com"}).status_code == 404

    found["organization_of"] = found["organization_of_path"]
    assert Client().get("/globex/files/").content == b"org-globex"

    async def both() -> list[Any]:
        paths = ["/acme/async/", "/globex/async/"] * 5
        return await asyncio.gather(*(AsyncClient().get(path) for path in paths))

    answers = asyncio.run(both())
    assert [answer.content for answer in answers] == [b"org-acme", b"org-globex"] * 5
    assert found["get_current_organization"]() is None


def a_membership() -> None:
    """Of a user with the organization that the session names, and nobody's for visitors."""
    from django.contrib.auth.models import AnonymousUser, User
    from django.db import models

    from tests.apps.orgs.models import Organization

    members = models.ManyToManyField(User)
    Organization.add_to_class("members", members)
    from django.db import connection

    with connection.schema_editor() as editor:
        editor.create_model(Organization.members.through)  # type: ignore[attr-defined]
    context.Organization = Organization  # type: ignore[attr-defined]
    code = blocks(section(PAGE, "By membership"), "python")[0]
    exec(compile(code, PAGE, "exec"), vars(context))
    ann = User.objects.create(username="ann")
    acme, globex, other = (Organization.objects.create(slug=slug) for slug in ("acme", "globex", "other"))
    for organization in acme, globex:
        organization.members.add(ann)

    def of(user: Any, **session: Any) -> Any:
        return context.organization_of_member(SimpleNamespace(user=user, session=session))

    assert of(AnonymousUser()) is None
    assert of(ann) == acme
    assert of(ann, organization=globex.pk) == globex
    assert of(ann, organization=other.pk) is None, "a session may name what is no longer the user's"


def django_organizations() -> None:
    from django.contrib.auth.models import AnonymousUser, User
    from organizations.models import Organization

    from django_minio_router import TenantRequired

    follow("A middleware")
    exec(compile(blocks(section(PAGE, "By membership"), "python")[1], PAGE, "exec"), vars(context))
    context.organization_of = context.organization_of_user  # type: ignore[attr-defined]
    ann = User.objects.create(username="ann")
    acme = Organization.objects.create(name="Acme", slug="acme")
    acme.add_user(ann)

    def bucket_for(user: Any) -> str:
        middleware = context.OrganizationMiddleware(lambda request: router("org-{slug}").backend.bucket)
        return str(middleware(SimpleNamespace(user=user)))

    assert bucket_for(ann) == "org-acme"
    try:
        bucket_for(AnonymousUser())
    except TenantRequired:
        return
    raise AssertionError("a visitor has a bucket")


def sites() -> None:
    from django.contrib.sites.models import Site
    from django.core.files.base import ContentFile

    from django_minio_router.testing import stored_files

    follow("A bucket per site")
    storage = router("site-{pk}")
    other = Site.objects.create(domain="other.example", name="other")
    storage.save("a.txt", ContentFile(b"one"))
    settings.SITE_ID = other.pk
    storage.save("a.txt", ContentFile(b"two"))
    held = {bucket: found for bucket, found in stored_files().items() if bucket.startswith("site-") and found}
    assert held == {"site-1": {"a.txt": b"one"}, f"site-{other.pk}": {"a.txt": b"two"}}, held


def users() -> None:
    from django.contrib.auth.models import User
    from django.core.files.base import ContentFile

    from django_minio_router.testing import stored_files

    _, imports, *_ = blocks((ROOT / PAGE).read_text(), "python")
    exec(compile(imports.partition("\n\n\n")[0], PAGE, "exec"), vars(context))
    (upload,) = (code for code in blocks(section(PAGE, "A bucket per user"), "python") if "class " in code)
    exec(compile(upload, PAGE, "exec"), vars(context))
    for name in "ann", "bob":
        user = User.objects.create(username=name)
        context.Upload(user=user).file.save("a.txt", ContentFile(name.encode()), save=False)
    held = {bucket: found for bucket, found in stored_files().items() if bucket.startswith("user-")}
    assert held == {"user-1": {"a.txt": b"ann"}, "user-2": {"a.txt": b"bob"}}, held


def keys_by_case() -> None:
    """A key that differs by case alone is another tenant's or nobody's, whatever the database finds."""
    from django.core.files.base import ContentFile

    from django_minio_router import TenantRequired, tenant_bucket_context
    from django_minio_router.testing import stored_files
    from tests.apps.orgs.models import Organization

    Organization.objects.create(slug="acme")
    storage = router("org-{slug}-{pk}")
    with tenant_bucket_context("acme"):
        storage.save("a.txt", ContentFile(b"acme"))
    for key in "Acme", "acme ", "acmé":
        try:
            with tenant_bucket_context(key):
                raise AssertionError(f"{key!r} reads {storage.open('a.txt').read()!r}")
        except TenantRequired:
            pass
    held = {bucket: found for bucket, found in stored_files().items() if found}
    assert list(held.values()) == [{"a.txt": b"acme"}], held


RECIPES: dict[str, tuple[dict[str, Any], Callable[[], None]]] = {
    "a middleware": (tenancy("orgs.Organization", key="slug"), a_middleware),
    "a membership": (tenancy("orgs.Organization", key="slug"), a_membership),
    "keys by case": (tenancy("orgs.Organization", key="slug"), keys_by_case),
    "django-organizations": (tenancy("organizations.Organization", key="slug"), django_organizations),
    "users": (page_setting("A bucket per user"), users),
    "sites": (tenancy("sites.Site", current="orgs.context.current_site"), sites),
}


def main(recipe: str, folder: str) -> None:
    minio_tenancy, run = RECIPES[recipe]
    context.get_current_organization = context.current_site = lambda: None  # type: ignore[attr-defined]
    context.OrganizationMiddleware = lambda get_response: get_response  # type: ignore[attr-defined]
    set_up(folder, minio_tenancy)
    sys.modules[__name__].urlpatterns = urls()  # type: ignore[attr-defined]
    run()


if __name__ == "__main__":
    sys.modules["tests.doc_examples.recipes"] = sys.modules["__main__"]
    main(*sys.argv[1:])
