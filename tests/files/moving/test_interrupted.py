"""A run that is killed between two requests is completed by the next, in a process of its own as in life."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, bucket_of, refer
from tests.support.quick_python import quick_python
from tests.support.schemas import make_schema

ROOT = Path(__file__).parents[3]
FILES = {f"{number}.txt": f"content {number}".encode() for number in range(30)}
PROGRAM = """\
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from django_minio_router import MinioRouter
from django_minio_router.files import transfer as transfers
from django_minio_router.strategies import PerTenant
from tests.apps.per_tenant.models import Receipt

old, template, die_at = sys.argv[1:]
field = Receipt._meta.get_field("file")
field.storage = MinioRouter(strategy=PerTenant(template), fallback=old).bind(field)
copy, copied = transfers.BucketFiles._copy_over_claim, []

def copy_or_die(self, *arguments):
    copied.append(1)
    if str(len(copied)) == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    copy(self, *arguments)

transfers.BucketFiles._copy_over_claim = copy_or_die
options = {"all_tenants": True, "jobs": 1, "labels": ["per_tenant.Receipt"]}
call_command("move_objects", f"--from=bucket:{old}", **options)
"""


@pytest.fixture
def tenant(transactional_db: None) -> Iterator[Client]:
    made = Client(schema_name=f"interrupted{secrets.token_hex(3)}", name="interrupted")
    made.save()
    make_schema(made)
    yield made
    made.delete(force_drop=True)


def test_a_run_that_was_killed_is_completed_by_the_next(
    tenant: Client, bare: Minio, new_name: Callable[[str], str], put: Put, contents: Contents, tmp_path: Path
) -> None:
    old, strategy = new_name("old"), PerTenant(new_name("t") + "-{schema_name}")
    new = bucket_of(strategy, tenant)
    for bucket in (old, new):
        bare.make_bucket(bucket_name=bucket)
    for name, content in FILES.items():
        put(old, name, content)
    with tenant_context(tenant):
        refer(Receipt, *FILES)
    (tmp_path / "program.py").write_text(PROGRAM)

    killed = run(tmp_path, old, str(strategy.template), "10")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    there = contents(new)
    assert len(there) == 10, "nine files, and the claim of the tenth"
    assert sorted(there.values())[0] == b""

    done = run(tmp_path, old, str(strategy.template), "never")
    assert done.returncode == 0, done.stderr
    assert "21 copied, 9 already there, 0 missing, 0 differing, 0 failed." in done.stdout
    assert contents(new) == FILES


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    address = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(address._replace(path=f"/{connection.settings_dict['NAME']}"))
    env = {**os.environ, "DATABASE_URL": database, "PYTHONPATH": str(ROOT)}
    env["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
    return quick_python().run(folder / "program.py", *arguments, folder=folder, environment=env)
