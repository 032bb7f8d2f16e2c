"""``--enqueue``: what is enqueued, what the tasks do, and what can be read of them."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import ConfigurationError, MinioRouter
from django_minio_router.files.purge import make_purge, purge
from django_minio_router.management import enqueue as enqueuing
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract
from tests.support.server import make_marked_bucket

from .conftest import Enqueue, Read, Work

pytestmark = pytest.mark.django_db

Put = Callable[..., None]
Names = Callable[[str], list[str]]


@pytest.fixture(autouse=True)
def strategy(use: Callable[..., None]) -> PerTenant:
    """A bucket for each tenant, and no other."""
    strategy = PerTenant(f"p{secrets.token_hex(3)}-{{schema_name}}")
    use(Contract, MinioRouter(strategy=strategy))
    return strategy


@pytest.fixture
def pair() -> list[Client]:
    token = secrets.token_hex(3)
    return [Client.objects.create(schema_name=f"{name}{token}", name=name) for name in ("north", "south")]


@pytest.fixture
def bucket_of(strategy: PerTenant) -> Callable[[Client], str]:
    def bucket_of(tenant: Client) -> str:
        with tenant_context(tenant):
            return str(strategy.bucket_for(None))

    return bucket_of


@pytest.fixture
def put(bare: Minio) -> Put:
    """Return a function that stores objects, and makes the bucket where it is missing."""

    def put(bucket: str, *names: str) -> None:
        if not bare.bucket_exists(bucket_name=bucket):
            make_marked_bucket(bare, bucket)
        for name in names:
            bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"12345"), length=5)

    return put


@pytest.fixture
def names(bare: Minio) -> Names:
    """Return a function that names what a bucket holds."""
    return lambda bucket: [
        str(entry.object_name) for entry in bare.list_objects(bucket_name=bucket, recursive=True)
    ]


def count_tasks() -> int:
    from django_tasks_db.models import DBTaskResult

    return int(DBTaskResult.objects.count())


class TestInitializing:
    def test_a_task_for_each_tenant_and_one_for_what_is_no_tenants(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket_of, bare: Minio, project
    ) -> None:
        project.MINIO_PRIVATE_BUCKETS = [shared := f"shared-{secrets.token_hex(4)}"]
        file = enqueue("initialize_buckets", "--all-tenants")

        *tasks, summary = Path(file).read_text().splitlines()
        whose = ["", *(tenant.schema_name for tenant in pair)]
        assert [task.split("\t")[1:] for task in tasks] == [["initialize_buckets", name] for name in whose]
        assert summary.startswith("3 tasks enqueued.")
        assert read(file).lines == ["3 ready."]
        assert not bare.bucket_exists(bucket_name=shared)

        work()

        assert bare.bucket_exists(bucket_name=shared)
        assert read(file).lines == ["3 successful."]
        assert {name: task["result"] for name, task in read(file).tasks.items()} == {
            "": [f"{shared}: created (private)", ANY, "1 created."],  # which says that tenants' are left out
            **{
                tenant.schema_name: [f"{bucket_of(tenant)}: created (private)", "1 created."]
                for tenant in pair
            },
        }

    def test_a_tenants_task_asks_for_no_bucket_of_others(
        self, enqueue: Enqueue, work: Work, pair: list[Client], bucket_of: Callable[..., str], bare: Minio
    ) -> None:
        enqueue("initialize_buckets", "--tenant", pair[0].schema_name)

        work()

        assert [bare.bucket_exists(bucket_name=bucket_of(tenant)) for tenant in pair] == [True, False]

    def test_again_it_changes_nothing(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client]
    ) -> None:
        enqueue("initialize_buckets", "--all-tenants")
        again = enqueue("initialize_buckets", "--all-tenants")

        work()

        results = read(again).tasks
        assert [results[tenant.schema_name]["result"] for tenant in pair] == [["1 unchanged."]] * 2

    def test_a_bucket_that_fails_fails_its_task_alone(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket_of, project: Any
    ) -> None:
        refused = bucket_of(pair[0])

        def refuse(client: object, bucket: str) -> None:
            if bucket == refused:
                raise ValueError("the auditors\nsaid no")

        project.MINIO_BUCKET_HOOKS = [refuse]
        file = enqueue("initialize_buckets", "--all-tenants")

        work()

        north, south = (tenant.schema_name for tenant in pair)
        done = read(file)
        assert done.error == "1 of 3 tasks failed."
        failure, counts = sorted(done.lines, reverse=True)
        assert counts == "1 failed, 2 successful."
        assert failure.startswith(f"failed: initialize_buckets of {north}: {refused}: failed. ")
        assert failure.endswith("the auditors said no 1 failed. 1 of 1 buckets failed.")
        assert (done.tasks[north]["status"], done.tasks[south]["status"]) == ("FAILED", "SUCCESSFUL")

    def test_a_tenant_that_is_gone_when_its_turn_comes(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client]
    ) -> None:
        file = enqueue("initialize_buckets", "--tenant", pair[0].schema_name)
        name = pair[0].schema_name
        pair[0].delete()

        work()

        assert f"There is no tenant {name}." in read(file).tasks[name]["error"]

    def test_tenants_that_would_share_a_bucket_are_found_before_anything_is_enqueued(
        self, enqueue: Enqueue, pair: list[Client], use: Callable[..., None]
    ) -> None:
        """One tenant's task could not see it."""
        use(Contract, MinioRouter(strategy=PerTenant(field="name")))
        Client.objects.update(name="the-same")

        with pytest.raises(CommandError, match=r"Nothing was changed\. The tenants .* would share"):
            enqueue("initialize_buckets", "--all-tenants")
        assert count_tasks() == 0

    def test_only_the_buckets_of_an_alias(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], project: Any
    ) -> None:
        enqueue_for_alias = enqueue("initialize_buckets", "--all-tenants", "--storage", "staticfiles")

        work()

        none = ["No storage in use needs a bucket here."]
        assert [task["result"] for task in read(enqueue_for_alias).tasks.values()] == [none] * 3

    def test_within_a_tenant_it_is_about_that_one_and_the_tasks_are_kept_on_public(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client]
    ) -> None:
        with tenant_context(pair[0]):
            file = enqueue("initialize_buckets")
            assert list(read(file).tasks) == ["", pair[0].schema_name]
        assert connection.schema_name == "public"
        assert count_tasks() == 2

    def test_tasks_wait_in_the_queue_that_is_named(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client]
    ) -> None:
        file = enqueue("initialize_buckets", "--queue", "slow")

        work()
        assert read(file).lines == ["1 ready."]
        work(queue_name="slow")
        assert read(file).lines == ["1 successful."]

    def test_silence_prints_nothing(self, pair: list[Client], capsys: pytest.CaptureFixture[str]) -> None:
        call_command("initialize_buckets", "--silenced", "--enqueue")

        assert capsys.readouterr().out == ""
        assert count_tasks() == 1

    def test_tasks_are_enqueued_as_the_rows_are_read(self, pair: list[Client]) -> None:
        """Names that are read ahead would take memory with their number."""
        there = []

        def tenants():
            for tenant in pair:
                yield tenant
                there.append(count_tasks())

        enqueuing.enqueue(print, "bucket_usage", enqueuing.for_each(tenants()), queue="default")

        assert there == [1, 2]


class TestPurging:
    @pytest.fixture
    def bucket(self, pair: list[Client], bucket_of: Callable[..., str], put: Put) -> str:
        """The bucket of north, with a file; south has one too."""
        for tenant in pair:
            put(bucket_of(tenant), "a.txt")
        return bucket_of(pair[0])

    def test_it_deletes_what_was_confirmed_and_nothing_of_others(
        self,
        enqueue: Enqueue,
        work: Work,
        read: Read,
        pair,
        bucket: str,
        bucket_of,
        names: Names,
        bare: Minio,
    ) -> None:
        file = enqueue("purge_tenant", pair[0].schema_name, "--no-input")
        assert names(bucket) == ["a.txt"]

        work()

        assert not bare.bucket_exists(bucket_name=bucket)
        assert names(bucket_of(pair[1])) == ["a.txt"]
        assert read(file).tasks[pair[0].schema_name]["result"][-1] == "1 versions deleted."

    def test_the_same_task_again_finds_nothing_to_do(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket: str
    ) -> None:
        first, second = (enqueue("purge_tenant", pair[0].schema_name, "--no-input") for _ in range(2))

        work()

        results = [read(file).tasks[pair[0].schema_name]["result"][-1] for file in (first, second)]
        assert results == ["1 versions deleted.", "0 versions deleted."]

    @pytest.mark.parametrize("answer", ["", "no"])
    def test_without_a_yes_nothing_is_enqueued(
        self, enqueue: Enqueue, pair: list[Client], bucket: str, monkeypatch, answer: str
    ) -> None:
        monkeypatch.setattr("builtins.input", lambda question: answer)

        with pytest.raises(CommandError, match="Confirm with 'yes'"):
            enqueue("purge_tenant", pair[0].schema_name)
        assert count_tasks() == 0

    def test_a_tenant_that_was_created_anew_keeps_its_files(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket: str, names: Names
    ) -> None:
        name = pair[0].schema_name
        file = enqueue("purge_tenant", name, "--no-input")
        pair[0].delete()
        Client.objects.create(schema_name=name)

        work()

        assert "created again" in read(file).tasks[name]["error"]
        assert names(bucket) == ["a.txt"]

    def test_a_tenant_that_came_after_the_row_was_gone_keeps_its_files(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket: str, names: Names
    ) -> None:
        name = pair[0].schema_name
        pair[0].delete()
        file = enqueue("purge_tenant", name, "--no-input")
        Client.objects.create(schema_name=name)

        work()

        assert read(file).tasks[name]["status"] == "FAILED"
        assert names(bucket) == ["a.txt"]

    def test_a_tenant_that_was_renamed_keeps_its_files(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket: str, names: Names
    ) -> None:
        name = pair[0].schema_name
        file = enqueue("purge_tenant", name, "--no-input")
        Client.objects.filter(pk=pair[0].pk).update(schema_name=f"{name}renamed")

        work()

        assert "renamed" in read(file).tasks[name]["error"]
        assert names(bucket) == ["a.txt"]

    def test_a_row_that_is_deleted_after_the_question_does_not_keep_them(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket: str, bare: Minio
    ) -> None:
        file = enqueue("purge_tenant", pair[0].schema_name, "--no-input")
        pair[0].delete()

        work()

        assert read(file).lines == ["1 successful."]
        assert not bare.bucket_exists(bucket_name=bucket)

    def test_a_bucket_that_another_uses_when_its_turn_comes_is_kept(
        self, enqueue: Enqueue, work: Work, read: Read, pair, bucket: str, names: Names, project: Any
    ) -> None:
        file = enqueue("purge_tenant", pair[0].schema_name, "--no-input")
        project.MINIO_PRIVATE_BUCKETS = [bucket]

        work()

        assert read(file).tasks[pair[0].schema_name]["status"] == "FAILED"
        assert names(bucket) == ["a.txt"]

    def test_nothing_but_what_was_shown_is_deleted(
        self, pair: list[Client], bucket: str, bucket_of, names: Names
    ) -> None:
        [place] = make_purge(pair[0]).places
        confirmed = [str(pair[0].pk), place.address, f"{place.address}-2"]

        with pytest.raises(CommandError, match="does not belong to the tenant now"):
            call_command("purge_tenant", pair[0].schema_name, "--confirmed", *confirmed)
        call_command("purge_tenant", pair[0].schema_name, "--confirmed", confirmed[0])
        assert purge(pair[0], only=[]) == []
        assert names(bucket) == ["a.txt"]


class TestCounting:
    def test_the_results_are_the_rows_that_the_command_prints(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], bucket_of, put: Put
    ) -> None:
        put(bucket_of(pair[0]), "a.txt", "b.txt")

        file = enqueue("bucket_usage", "--all-tenants")
        work()

        out = io.StringIO()
        call_command("bucket_usage", "--all-tenants", "--format=json", stdout=out)
        rows = [row for task in read(file).tasks.values() for row in task["result"]]
        assert rows == json.loads(out.getvalue())
        assert [(row["objects"], row["bytes"]) for row in rows] == [(2, 10), (0, 0)]

    def test_a_server_that_does_not_answer_fails_the_task(
        self, enqueue: Enqueue, work: Work, read: Read, pair: list[Client], project: Any
    ) -> None:
        file = enqueue("bucket_usage", "--tenant", pair[0].schema_name)
        project.MINIO_ENDPOINT = "127.0.0.1:9"

        work()

        assert "127.0.0.1:9" in read(file).tasks[pair[0].schema_name]["error"]


class TestWhatIsRefused:
    COMMANDS = [
        ["initialize_buckets"],
        ["purge_tenant", "nobody"],
        ["bucket_usage"],
        ["move_objects", "--from=media"],
    ]

    @pytest.mark.parametrize("command", COMMANDS[::3])
    def test_a_dry_run(self, enqueue: Enqueue, command: list[str]) -> None:
        with pytest.raises(CommandError, match="--enqueue and --dry-run exclude"):
            enqueue(*command, "--dry-run")

    def test_a_backend_that_does_each_task_at_once(
        self, enqueue: Enqueue, pair: list[Client], project: Any, bucket_of, bare: Minio
    ) -> None:
        """It is what Django has without the setting, and 100,000 tasks would be done in a row."""
        package = "django" if _has_tasks() else "django_tasks"
        kind = ".tasks" if _has_tasks() else ""
        project.TASKS = {"default": {"BACKEND": f"{package}{kind}.backends.immediate.ImmediateBackend"}}

        with pytest.raises(CommandError, match="--enqueue needs workers"):
            enqueue("initialize_buckets", "--all-tenants")
        assert not bare.bucket_exists(bucket_name=bucket_of(pair[0]))

    def test_a_queue_that_the_backend_does_not_have(self, enqueue: Enqueue) -> None:
        with pytest.raises(CommandError, match=r"cannot use Django's tasks\. .*'other'"):
            enqueue("initialize_buckets", "--queue", "other")

    def test_a_task_runs_no_other_command(self) -> None:
        with pytest.raises(ConfigurationError, match=r"'flush' cannot run as a task\."):
            run_task("flush", "--no-input")

    def test_a_long_error_is_cut_in_the_middle(self) -> None:
        with pytest.raises(
            CommandError, match=r"There is no tenant .* 1\d{4} characters left out "
        ) as caught:
            run_task("bucket_usage", f"--tenant={'x' * 20_000}")
        assert len(str(caught.value)) < 8100

    def test_a_file_that_is_not_there_or_no_text(self, tmp_path: Path) -> None:
        assert "cannot be read: No such file" in str(read_error("nowhere.txt"))
        (tmp_path / "utf16.txt").write_text("1\tpurge\tacme\n", encoding="utf-16")
        assert "cannot be read: 'utf-8' codec" in str(read_error(str(tmp_path / "utf16.txt")))

    def test_a_file_without_tasks_and_a_task_that_was_pruned(
        self, enqueue: Enqueue, read: Read, pair: list[Client], tmp_path: Path
    ) -> None:
        from django_tasks_db.models import DBTaskResult

        empty = tmp_path / "empty.txt"
        empty.write_text("0 tasks enqueued.\n")
        assert read(str(empty)).lines == ["There is no task in this file."]
        assert read(str(empty)).tasks == {}

        file = enqueue("initialize_buckets")
        DBTaskResult.objects.all().delete()
        assert read(file).lines == ["1 gone."]


def run_task(*arguments: str) -> object:
    from django_minio_router.tasks import run_command

    return run_command.call(*arguments)


def read_error(file: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        call_command("bucket_tasks", file)
    return caught.value


def _has_tasks() -> bool:
    from importlib.util import find_spec

    return find_spec("django.tasks") is not None
