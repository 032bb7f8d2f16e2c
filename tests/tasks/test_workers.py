"""Worker processes share the tasks of ``--enqueue``, and each may be done twice, also at the same time."""

from __future__ import annotations

import io
import secrets

import pytest
from minio import Minio

from tests.support.server import make_marked_bucket

from .conftest import TaskSite

pytestmark = pytest.mark.usefixtures("two_workers")


def test_two_workers_create_the_buckets_and_what_failed_can_be_read(site: TaskSite, bare: Minio) -> None:
    token = secrets.token_hex(3)
    names = [f"many{number}x{token}" for number in range(5)]
    site.add_tenants(*names, f"refused{token}")

    enqueued = site.python(f"""
        from django.core.management import call_command
        from django_minio_router import tasks

        for name in {names}:  # each twice in a row, so that both workers have it at once
            for _ in range(2):
                tasks.run_command.enqueue("initialize_buckets", "--own", f"--tenant={{name}}")
        call_command("initialize_buckets", "--all-tenants", "--enqueue")
    """)
    assert enqueued.returncode == 0, enqueued.stderr
    site.wait()

    assert all(bare.bucket_exists(bucket_name=f"media-{name}") for name in names)
    assert len(site.sql("SELECT DISTINCT worker_ids ->> 0 FROM django_tasks_database_dbtaskresult")) == 2
    failed = "SELECT DISTINCT args_kwargs -> 'args' ->> -1 FROM django_tasks_database_dbtaskresult"
    assert site.sql(f"{failed} WHERE status = 'FAILED'") == [(f"--tenant=refused{token}",)]
    file = site.folder / "tasks.txt"
    file.write_text(enqueued.stdout)
    read = site.manage("bucket_tasks", str(file))
    assert read.stdout == "1 failed, 6 successful.\n"  # with the task for what is no tenant's
    assert read.returncode == 1
    failure, conclusion = read.stderr.splitlines()
    assert failure.startswith(f"failed: initialize_buckets of refused{token}: media-refused{token}: failed. ")
    assert failure.endswith("the auditors said no 1 failed. 1 of 1 buckets failed.")
    assert conclusion == "CommandError: 1 of 7 tasks failed."
    site.sql("DELETE FROM customers_client")


def test_two_workers_purge_the_same_tenant_at_once(site: TaskSite, bare: Minio) -> None:
    gone, stays = (f"{name}{secrets.token_hex(3)}" for name in ("gone", "stays"))
    site.add_tenants(gone, stays)
    for name, count in ((gone, 300), (stays, 1)):
        make_marked_bucket(bare, f"media-{name}")
        for number in range(count):
            bare.put_object(
                bucket_name=f"media-{name}", object_name=f"{number:04}", data=io.BytesIO(b"x"), length=1
            )

    enqueued = site.python(f"""
        from django_minio_router import tasks
        from django_minio_router.tenancy import get_tenancy
        from django_minio_router.files.purge import make_purge

        tenant = get_tenancy().find("{gone}")
        places = [place.address for place in make_purge(tenant).places]
        for _ in range(4):
            tasks.run_command.enqueue("purge_tenant", "{gone}", "--confirmed", str(tenant.pk), *places)
    """)
    assert enqueued.returncode == 0, enqueued.stderr
    site.wait()

    assert not bare.bucket_exists(bucket_name=f"media-{gone}")
    assert bare.bucket_exists(bucket_name=f"media-{stays}")
    ends = "SELECT status, traceback FROM django_tasks_database_dbtaskresult"
    assert site.sql(f"{ends} WHERE args_kwargs -> 'args' ->> 0 = 'purge_tenant'") == [("SUCCESSFUL", "")] * 4
