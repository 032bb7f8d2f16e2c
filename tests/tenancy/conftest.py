"""Organizations that are rows, and routers for what belongs to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_minio_router import MinioRouter
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import BucketStrategy, PerTenant
from tests.apps.orgs.models import Document, Note, Organization, Page
from tests.support.storages import set_storage

ROW_TENANCY = {
    "BACKEND": "django_minio_router.tenancy.RowTenancy",
    "OPTIONS": {"model": "orgs.Organization", "key": "slug", "current": "tests.apps.orgs.models.current"},
}
FIELDS = [
    (Organization, "charter"),
    (Document, "file"),
    (Document, "scan"),
    (Document, "receipt"),
    (Page, "image"),
    (Note, "file"),
]


@pytest.fixture
def rows(project: Any, minio_memory: None) -> Any:
    """The settings of a project whose tenants are rows, with their files in memory."""
    project.MINIO_TESTING = "memory"
    project.MINIO_TENANCY = ROW_TENANCY
    return project


@pytest.fixture
def route(rows: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[BucketStrategy], None]:
    """Return a function that routes all fields of the organizations by a strategy."""

    def route(strategy: BucketStrategy, **options: Any) -> None:
        for model, name in FIELDS:
            field = model._meta.get_field(name)
            set_storage(monkeypatch, field, MinioRouter(strategy=strategy, **options))
            bind_field(field)

    return route


@pytest.fixture
def orgs(db: None, route: Callable[[BucketStrategy], None]) -> tuple[Organization, Organization]:
    """Two organizations, and a router that names buckets by their slugs."""
    route(PerTenant("org-{slug}"))
    acme, globex = Organization(slug="acme"), Organization(slug="globex")
    Organization.objects.bulk_create([acme, globex])
    return acme, globex


@contextmanager
def queries(number: int) -> Iterator[None]:
    """Expect so many queries, without those by which django-tenants sets the search path."""
    with CaptureQueriesContext(connection) as captured:
        yield
    found = [query["sql"] for query in captured if "SET search_path" not in query["sql"]]
    assert len(found) == number, found
