"""Tasks for each tenant, where tenants are rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import PerTenant
from django_minio_router.testing import stored_files
from tests.apps.orgs.models import Note, Organization
from tests.support.storages import set_storage
from tests.tenancy.conftest import ROW_TENANCY

from .conftest import Enqueue, Read, Work

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def organizations(project: Any, minio_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    project.MINIO_TESTING = "memory"
    project.MINIO_TENANCY = ROW_TENANCY
    field = Note._meta.get_field("file")
    set_storage(monkeypatch, field, MinioRouter(strategy=PerTenant("org-{slug}")))
    bind_field(field)
    Organization.objects.bulk_create([Organization(slug="acme"), Organization(slug="globex")])


def test_each_organization_has_a_task_of_its_own(enqueue: Enqueue, work: Work, read: Read) -> None:
    file = enqueue("initialize_buckets", "--all-tenants")
    assert not stored_files()

    work()

    assert set(read(file).tasks) == {"", "acme", "globex"}
    assert set(stored_files()) == {"org-acme", "org-globex"}


def test_a_purge_is_of_one_organization_alone(enqueue: Enqueue, work: Work, read: Read) -> None:
    for slug in "acme", "globex":
        MinioBackend(f"org-{slug}", public=False).save("a.txt", ContentFile(slug.encode()))
    file = enqueue("purge_tenant", "acme", "--no-input")
    work()

    assert set(read(file).tasks) == {"acme"}
    held = {bucket: found for bucket, found in stored_files().items() if found}
    assert held == {"org-globex": {"a.txt": b"globex"}}
