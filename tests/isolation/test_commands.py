"""Management commands store for the tenant that django-tenants runs them for, and for nobody without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import BaseCommand, call_command
from django_tenants.management.commands import all_tenants_command
from django_tenants.utils import schema_context

from django_minio_router import TenantRequired, tenant_bucket_context
from tests.apps.customers.models import Client

from .conftest import Contents

STORED = {"a.txt": b"by a command"}


def test_a_command_for_one_tenant(north: Client, south: Client, contents: Contents) -> None:
    call_command("tenant_command", "store_file", "a.txt", schema_name=north.schema_name)

    assert contents(north) == STORED
    assert contents(south) == {}


def test_a_command_for_all_tenants(
    north: Client, south: Client, contents: Contents, settings: object, make_tenant: Callable[[str], Client]
) -> None:
    if all_tenants_command.Command.handle is BaseCommand.handle:
        pytest.skip("This django-tenants has it on the command line alone, where tests/management runs it.")
    call_command("all_tenants_command", "store_file", "a.txt", "--no-public")

    assert contents(north) == contents(south) == STORED


@pytest.mark.parametrize("context", [schema_context, tenant_bucket_context])
def test_a_command_that_is_called_in_a_context(
    context: Callable[[str], object], north: Client, south: Client, contents: Contents
) -> None:
    with context(north.schema_name):
        call_command("store_file", "a.txt")

    assert contents(north) == STORED
    assert contents(south) == {}


def test_a_command_without_a_tenant_stores_nothing(north: Client, contents: Contents) -> None:
    with pytest.raises(TenantRequired):
        call_command("store_file", "a.txt")

    assert contents(north) == {}
