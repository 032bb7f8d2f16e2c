"""Tenants of several types, each with apps of its own (`HAS_MULTI_TYPE_TENANTS`)."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from django_minio_router.tenancy import get_tenancy
from tests.apps.brands.models import Font
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract
from tests.apps.everywhere.models import Paper


@pytest.fixture
def typed(settings: Any, make_tenant: Callable[[str], Client]) -> dict[str, Client]:
    """A tenant of each type; the name of a client stands for its type."""
    settings.HAS_MULTI_TYPE_TENANTS = True
    settings.MULTI_TYPE_DATABASE_FIELD = "name"
    settings.TENANT_TYPES = {
        "public": {"APPS": settings.SHARED_APPS, "URLCONF": ""},
        "papers": {"APPS": ["tests.apps.docs", "tests.apps.everywhere"], "URLCONF": ""},
        "blank": {"APPS": ["tests.apps.everywhere"], "URLCONF": ""},
    }
    del settings.SHARED_APPS, settings.TENANT_APPS
    return {name: make_tenant(name) for name in ("papers", "blank")}


def test_a_tenant_has_the_models_of_its_type(typed: dict[str, Client]) -> None:
    tenancy = get_tenancy()
    papers, blank = (typed[name].schema_name for name in ("papers", "blank"))

    assert tenancy.owns_table(Contract, papers)
    assert not tenancy.owns_table(Contract, blank)
    assert not tenancy.owns_table(Contract, None)
    assert tenancy.is_shared(Font)
    assert not tenancy.is_shared(Contract)
    assert not tenancy.is_shared(Paper)


@pytest.mark.parametrize(
    "command",
    [["bucket_usage"], ["clean_orphaned_minio_files", "--dry-run"], ["move_objects", "--from=bucket:{}"]],
)
def test_commands_find_the_files_of_each(typed: dict[str, Client], bucket: str, command: list[str]) -> None:
    options = [text.format(bucket) for text in command]
    call_command(*options, f"--tenant={typed['blank'].schema_name}", stdout=StringIO(), stderr=StringIO())
