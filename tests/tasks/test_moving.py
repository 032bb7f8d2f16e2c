"""``move_objects --enqueue``: each tenant's files in a task of its own, on real schemas."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.core.management import CommandError
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioRouter
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, bucket_of, per_tenant, put, refer  # noqa: F401
from tests.support.schemas import Use, no_other_fields, north, south, tenants, use  # noqa: F401

from .conftest import Enqueue, Read, Work

pytestmark = pytest.mark.django_db

# Fixtures are asked for by name.
# ruff: noqa: F811


@pytest.fixture
def old(bucket: str, put: Put, use: Use, per_tenant: PerTenant, north: Client, south: Client) -> str:
    """A bucket for all, which holds files of both tenants, and one that both name."""
    use(Receipt, MinioRouter(strategy=per_tenant), "file")
    for name in ("north.txt", "south.txt", "both.txt"):
        put(bucket, name, name.encode())
    for tenant in (north, south):
        with tenant_context(tenant):
            refer(Receipt, f"{tenant.name}.txt", "both.txt")
    return bucket


@pytest.fixture
def enqueue_move(enqueue: Enqueue, old: str, north: Client, south: Client) -> Callable[..., str]:
    """Return a function that enqueues the two tenants' tasks."""
    who = [f"--tenant={tenant.schema_name}" for tenant in (north, south)]
    return lambda *arguments: enqueue(
        "move_objects", f"--from=bucket:{old}", "--model=per_tenant.Receipt", *who, *arguments
    )


def test_each_task_moves_the_files_of_its_tenant(
    enqueue_move, work: Work, read: Read, per_tenant, north: Client, south: Client, contents: Contents
) -> None:
    file = enqueue_move()

    work()

    assert read(file).lines == ["2 successful."]
    for tenant in (north, south):
        own = f"{tenant.name}.txt"
        assert contents(bucket_of(per_tenant, tenant)) == {own: own.encode(), "both.txt": b"both.txt"}
        assert read(file).tasks[tenant.schema_name]["result"][0].startswith("2 copied, 0 already there, ")


def test_again_all_is_there(enqueue_move, work: Work, read: Read, north: Client, old: str, contents) -> None:
    enqueue_move()
    again = enqueue_move()

    work()

    assert read(again).tasks[north.schema_name]["result"][-1].startswith("0 copied, 2 already there, ")
    assert len(contents(old)) == 3


def test_what_another_tenant_names_stays_in_the_old_place(
    enqueue_move, work: Work, read: Read, north: Client, old: str, contents: Contents, per_tenant
) -> None:
    file = enqueue_move("--delete-source", "--no-input")

    work()

    copied, needed, deleted = read(file).tasks[north.schema_name]["result"]
    assert copied.startswith("2 copied, ")
    assert needed.startswith("1 stay in the old place: ")
    assert deleted == "1 were deleted from the old place."
    assert contents(old) == {"both.txt": b"both.txt"}
    assert set(contents(bucket_of(per_tenant, north))) == {"north.txt", "both.txt"}


def test_deleting_is_asked_for_before_anything_is_enqueued(
    enqueue_move, work: Work, old: str, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "no")

    with pytest.raises(CommandError, match=r"Nothing was enqueued\."):
        enqueue_move("--delete-source")
    work()

    assert len(asked) == 1
    assert len(contents(old)) == 3


def test_a_file_that_differs_fails_the_task_and_is_kept_on_both_sides(
    enqueue_move, work: Work, read: Read, north: Client, south: Client, put, old, contents, per_tenant
) -> None:
    put(bucket_of(per_tenant, north), "north.txt", b"another")
    file = enqueue_move("--delete-source", "--no-input")

    work()

    done = read(file)
    error = done.tasks[north.schema_name]["error"]
    assert error.startswith("differing: north.txt of")
    assert "1 copied, 0 already there, 0 missing, 1 differing, 0 failed." in error
    assert error.endswith("1 files need a look; see above.")
    assert done.tasks[south.schema_name]["status"] == "SUCCESSFUL"
    assert contents(old)["north.txt"] == b"north.txt"
    assert contents(bucket_of(per_tenant, north))["north.txt"] == b"another"


def test_what_is_missing_is_no_failure_and_a_long_result_is_cut_in_the_middle(
    enqueue_move, work: Work, read: Read, north: Client
) -> None:
    with tenant_context(north):
        refer(Receipt, *(f"gone-{number}.txt" for number in range(200)))
    file = enqueue_move()

    work()

    result = read(file).tasks[north.schema_name]["result"]
    assert result[0].startswith("missing: gone-0.txt of ")
    assert any(line.endswith(" characters left out …") for line in result)
    assert result[-1].startswith("2 copied, 0 already there, 200 missing, ")
    assert sum(map(len, result)) < 8100


def test_a_worker_that_does_not_see_the_old_place_moves_nothing(
    enqueue_move, work: Work, read: Read, north: Client, old: str, bare: Minio, contents: Contents
) -> None:
    """Such as a folder of another machine: else each of its files would count as missing."""
    from django_tasks_db.models import DBTaskResult

    file = enqueue_move()
    for row in DBTaskResult.objects.all():
        row.args_kwargs = json.loads(json.dumps(row.args_kwargs).replace(old, "nowhere-to-be-seen"))
        row.save()

    work()

    assert "There is nothing at" in read(file).tasks[north.schema_name]["error"]


def test_a_wrong_source_is_found_before_anything_is_enqueued(enqueue: Enqueue, old: str) -> None:
    with pytest.raises(CommandError, match=r"Correct --from"):
        enqueue("move_objects", "--from=bucket:nowhere-to-be-seen", "--model=per_tenant.Receipt")
