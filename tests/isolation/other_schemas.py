"""The tenancies of docs/tenants.md, each in a process that has its package in the place of django-tenants.

``python -m tests.isolation.other_schemas PACKAGE FOLDER``, with an empty database in ``DATABASE_URL``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

from tests.support.pages import blocks, section

APPS = ["django.contrib.contenttypes", "django_minio_router", "tests.apps.other_shop"]
PACKAGES: dict[str, dict[str, Any]] = {
    "django_pgschemas": {
        "ENGINE": "django_pgschemas.postgresql",
        "MODEL_OF_TENANTS": "django_pgschemas.models.TenantModel",
        "DATABASE_ROUTERS": ["django_pgschemas.routers.TenantAppsRouter"],
        "TENANTS": {
            "public": {"APPS": ["django_pgschemas", *APPS]},
            "default": {
                "TENANT_MODEL": "shop.Customer",
                "APPS": ["tests.apps.other_papers"],
                "URLCONF": "tests.isolation.site",
            },
        },
        "MINIO_TENANCY": {"BACKEND": "shop.tenancy.PgSchemas"},
    },
    "tenant_schemas": {
        "ENGINE": "tenant_schemas.postgresql_backend",
        "MODEL_OF_TENANTS": "tenant_schemas.models.TenantMixin",
        "DATABASE_ROUTERS": ["tenant_schemas.routers.TenantSyncRouter"],
        "MINIO_TENANCY": {"BACKEND": "shop.tenancy.TenantSchemas"},
    },
}
TITLES = {"django_pgschemas": "django-pgschemas", "tenant_schemas": "django-tenant-schemas"}


def set_up(package: str, folder: Path) -> None:
    options = dict(PACKAGES[package])
    url = urlsplit(os.environ["DATABASE_URL"])
    for app in "shop", "papers":
        (folder / f"{app}_migrations").mkdir()
        (folder / f"{app}_migrations" / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    settings.configure(
        INSTALLED_APPS=[package, *APPS, "tests.apps.other_papers"],
        SHARED_APPS=[package, *APPS],
        TENANT_APPS=["tests.apps.other_papers"],
        TENANT_MODEL="shop.Customer",
        MIGRATION_MODULES={app: f"{app}_migrations" for app in ("shop", "papers")},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": options.pop("ENGINE"),
                "NAME": url.path[1:],
                "USER": url.username,
                "PASSWORD": unquote(url.password or ""),
                "HOST": url.hostname,
                "PORT": url.port,
            }
        },
        MINIO_TESTING="memory",
        **options,
    )
    tenancy = sys.modules["shop"] = ModuleType("shop")
    tenancy.tenancy = sys.modules["shop.tenancy"] = ModuleType("shop.tenancy")  # type: ignore[attr-defined]
    *_, code = blocks(section("docs/tenants.md", TITLES[package]), "python")
    exec(compile(code, "docs/tenants.md", "exec"), vars(tenancy.tenancy))
    django.setup()


def database_of(package: str) -> list[Any]:
    """Migrate, and create three tenants whose names are easily taken for each other's."""
    from django.core.management import call_command

    call_command("makemigrations", "shop", "papers", stdout=StringIO())
    if package == "django_pgschemas":
        call_command("migrateschema", schemas=["public"], stdout=StringIO())
    else:
        call_command("migrate_schemas", shared=True, interactive=False, verbosity=0)

    from tests.apps.other_shop.models import Customer

    customers = []
    for name in ("ab_c", "a_bc", "abc1"):
        extra = {"domain_url": f"{name}.example"} if package == "tenant_schemas" else {}
        customers.append(Customer(schema_name=name, **extra))
        customers[-1].save(verbosity=0)
    if package == "django_pgschemas":
        from django_pgschemas.schema import activate_public

        activate_public()  # its migrations leave the first tenant active
    return customers


def entering(package: str) -> Callable[[Any], Any]:
    """Return what makes a tenant active, a row or the name of a schema, as the package says."""
    if package == "django_pgschemas":
        from django_pgschemas.schema import Schema, override

        return lambda tenant: Schema.create(tenant) if isinstance(tenant, str) else _closing(override, tenant)
    from tenant_schemas.utils import schema_context, tenant_context

    return lambda tenant: (schema_context if isinstance(tenant, str) else tenant_context)(tenant)


@contextmanager
def _closing(override: Any, tenant: Any) -> Iterator[None]:
    with override(tenant):
        yield


def project(package: str, tenants: list[Any]) -> Any:
    from django_minio_router.tenancy import get_tenancy
    from tests.apps.other_papers.models import Paper, Scan
    from tests.apps.other_shop.models import Treaty

    from .files import OF_THE_PACKAGE, Project

    enter = entering(package)
    contexts = OF_THE_PACKAGE | {
        "a row": ("said", enter),
        "a schema": ("said", lambda tenant: enter(tenant.schema_name)),
        "nobody": ("said", lambda tenant: enter("public")),
        "a context of the tenancy": ("both", lambda tenant: get_tenancy().context(tenant)),
        "a context without a tenant": ("both", lambda tenant: get_tenancy().context(None)),
    }
    rows: dict[str, Callable[[Any, str], Any]] = {
        "papers": lambda owner, name: Paper(file=name),
        "scans": lambda owner, name: Scan(file=name),
        "treaties": lambda owner, name: Treaty(customer=owner, file=name),
    }

    def place(kind: str, tenant: Any) -> tuple[str, str]:
        if kind == "scans":
            return "scans", f"t-{tenant.pk}/"
        return f"{kind}-{tenant.schema_name.replace('_', '--')}", ""

    def file(kind: str, owner: Any, name: str) -> Any:
        return rows[kind](owner, name).file

    return Project(
        tenants,
        contexts,
        list(rows),
        {"treaties"},
        file,
        place,
        model=Paper,
        kind_of_model="papers",
        follows=package
        == "django_pgschemas",  # a context variable; the other has a connection for each thread,
    )


def check_commands(tenants: list[Any]) -> None:
    """Buckets came with the tenants, and what one tenant's rows name is not another's orphan."""
    from django.core.files.base import ContentFile
    from django.core.management import call_command

    from django_minio_router.testing import stored_files
    from tests.apps.other_papers.models import Paper

    enter = entering(sys.argv[1])
    for tenant in tenants:
        with enter(tenant):
            Paper.objects.create(file=ContentFile(tenant.schema_name.encode(), name="a.txt"))
            Paper._meta.get_field("file").storage.save("orphan.txt", ContentFile(b"of nobody"))
    call_command(
        "clean_orphaned_minio_files", "--all-tenants", "--no-input", "--min-age=0", stdout=StringIO()
    )
    held = {bucket: found for bucket, found in stored_files().items() if bucket.startswith("papers-")}
    assert held == {
        f"papers-{tenant.schema_name.replace('_', '--')}": {"a.txt": tenant.schema_name.encode()}
        for tenant in tenants
    }, held


def check_contract(tenants: list[Any]) -> None:
    from django_minio_router.strategies import PerTenant
    from django_minio_router.testing import StrategyContract

    for template in "papers-{schema_name}", "papers-{id}-{schema_name}":

        class Contract(StrategyContract):
            needs_tenant = True
            make_strategy = staticmethod(lambda template=template: PerTenant(template))  # type: ignore[assignment]
            make_tenants = staticmethod(lambda: tenants)  # type: ignore[assignment]

        for name in dir(Contract):
            if name.startswith("test_"):
                getattr(Contract(), name)()


def check_leaks(made: Any) -> None:
    """A strategy that decides once, and rows that forget whose they are, are found."""
    from unittest import mock

    from django_minio_router import MinioRouter
    from django_minio_router.storage.binding import bind_field
    from django_minio_router.strategies import PerTenant
    from django_minio_router.tenancy import get_tenancy
    from tests.apps.other_papers.models import Paper

    from .files import UNTIL_FOUND, FirstCome, run

    leak = FirstCome(PerTenant("papers-{schema_name}"))
    field = Paper._meta.get_field("file")
    with mock.patch.object(field, "storage", MinioRouter(strategy=leak)):
        bind_field(field)
        found_by(lambda: run(made, [leak], UNTIL_FOUND), "a strategy that decides once")
    with mock.patch.object(type(get_tenancy()), "key_of_rows", return_value=None):
        found_by(lambda: run(made, (), UNTIL_FOUND), "rows that forget whose they are")


def found_by(machine: Callable[[], None], what: str) -> None:
    try:
        machine()
    except AssertionError:
        return
    raise SystemExit(f"not found: {what}")


def main(package: str, folder: str) -> None:
    set_up(package, Path(folder))
    from django.test.utils import setup_test_environment

    setup_test_environment()
    from django_minio_router.testing import stored_files

    from .files import run

    tenants = database_of(package)
    assert {"papers-ab--c", "papers-a--bc", "papers-abc1"} <= set(stored_files()), stored_files()
    check_commands(tenants)
    check_contract(tenants)
    made = project(package, tenants)
    run(made)
    check_leaks(made)


if __name__ == "__main__":
    main(*sys.argv[1:])
