"""The commands of docs/adopting.md, one after the other, on the project that the page describes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioRouter
from django_minio_router.files.move import Move, MoveState, fields_to_move, load_source, move_files
from django_minio_router.strategies import FixedBucket, PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, bucket_of, refer
from tests.support.schemas import Use

PAGE = (Path(__file__).parents[3] / "docs/adopting.md").read_text()
COMMANDS = re.findall(r"^python manage.py (\w+) (.*)$", PAGE, re.MULTILINE)

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(bare: Minio, new_name: Callable[[str], str]) -> str:
    name = new_name("old")
    bare.make_bucket(bucket_name=name)
    return name


def test_the_page_leads_from_one_bucket_to_a_bucket_per_tenant(
    use: Use,
    old: str,
    new_name: Callable[[str], str],
    put: Put,
    contents: Contents,
    north: Client,
    south: Client,
) -> None:
    strategy = PerTenant(new_name("acme") + "-{schema_name}")
    use(Receipt, MinioRouter(strategy=strategy, fallback=FixedBucket(old, public_read=False)), "file", "scan")
    for tenant in (north, south):
        put(old, f"{tenant.name}.txt", tenant.name.encode())
        with tenant_context(tenant):
            refer(Receipt, f"{tenant.name}.txt")
    steps = [(name, words.replace("uploads", old)) for name, words in COMMANDS if "newname" not in words]
    assert [name for name, _ in steps] == ["initialize_buckets", *["move_objects"] * 3]

    said = []
    for name, words in steps:
        out = io.StringIO()
        unasked = ["--no-input"] if name == "move_objects" else []
        call_command(name, *words.split(), *unasked, stdout=out)
        said.append(out.getvalue())
        for tenant in (north, south):
            with tenant_context(tenant):
                assert Receipt._base_manager.get().file.read() == tenant.name.encode()

    assert ["2 would be copied" in said[1], "2 copied" in said[2], "2 already there" in said[3]] == [True] * 3
    assert contents(old) == {}
    for tenant in (north, south):
        assert contents(bucket_of(strategy, tenant)) == {f"{tenant.name}.txt": tenant.name.encode()}


def test_a_renamed_schemas_files_follow(
    use: Use, per_tenant: PerTenant, old: str, put: Put, contents: Contents, north: Client
) -> None:
    ((name, words),) = [(name, words) for name, words in COMMANDS if "newname" in words]
    use(Receipt, MinioRouter(strategy=per_tenant), "file", "scan")
    put(old, "a.txt")
    with tenant_context(north):
        refer(Receipt, "a.txt")

    words = words.replace("acme-oldname", old).replace("newname", north.schema_name)
    call_command(name, *words.split(), stdout=io.StringIO())

    assert contents(bucket_of(per_tenant, north)) == {"a.txt": b"x"}


def test_one_tenant_is_one_repeatable_piece_of_work(
    use: Use, per_tenant: PerTenant, old: str, put: Put, north: Client
) -> None:
    use(Receipt, MinioRouter(strategy=per_tenant), "file", "scan")
    put(old, "a.txt")
    with tenant_context(north):
        refer(Receipt, "a.txt", "gone.txt")
    move = Move(load_source(f"bucket:{old}"), fields_to_move(None, [Receipt._meta.label]))

    states = [[outcome.state for outcome in move_files(move, north)] for _ in range(2)]

    assert states == [[MoveState.COPIED, MoveState.MISSING], [MoveState.THERE, MoveState.MISSING]]
