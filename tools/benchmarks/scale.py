"""Measure many tenants and many objects: seconds, requests and memory, for docs/scale.md.

python -m tools.servers tools.benchmarks.scale tenants 10000
python -m tools.servers tools.benchmarks.scale objects 100000

Makes a database of its own with that many tenant rows, or one tenant with that many objects and rows. Each
command runs in a process of its own. Seconds are those on the clock, and those in which it kept a processor
busy, without the servers'. Memory is its largest resident set, beside what Django took before it.
"""

from __future__ import annotations

import io
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

SCHEMA = "measured"
WORKED_OFF = 500  # tasks that are measured; the others cost the same
TENANT_STEPS = ["nothing", "plan", "initialize", "initialize", "enqueue", "work", "read", "usage", "purge"]
OBJECT_STEPS = ["nothing", "fill", "usage", "look", "purge"]


def main() -> None:
    kind, count = sys.argv[1], sys.argv[2]
    with _database() as url, tempfile.TemporaryDirectory(prefix="scale-") as folder:
        os.environ |= {
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "tools.benchmarks.scale_settings",
            "MINIO_USE_HTTPS": os.environ.get("MINIO_USE_HTTPS", "0"),
            "SCALE_TASKS": str(Path(folder) / "tasks.txt"),
        }
        print("| step | seconds | of a processor | requests | lists | MB before | MB at most |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for step in ["rows", *TENANT_STEPS] if kind == "tenants" else ["schema", *OBJECT_STEPS]:
            subprocess.run([sys.executable, "-m", __spec__.name, "step", step, count], check=True)


@contextmanager
def _database() -> Iterator[str]:
    """Yield the URL of an empty database, which is dropped afterwards."""
    name = f"scale_{secrets.token_hex(4)}"
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def measured(name: str, work: Callable[[], object]) -> None:
    """Do the work, and print a row of results."""
    from urllib3.connectionpool import HTTPConnectionPool

    sent: Counter[str] = Counter()
    original = HTTPConnectionPool.urlopen

    def urlopen(self: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        path, _, query = url.partition("?")
        lists = method == "GET" and (path == "/" or "list-type" in query or "versions" in query)
        sent["list" if lists else "other"] += 1
        return original(self, method, url, *args, **options)

    HTTPConnectionPool.urlopen = urlopen  # type: ignore[method-assign]
    before = peak()
    started, busy_before = time.monotonic(), time.process_time()
    work()
    seconds, busy = time.monotonic() - started, time.process_time() - busy_before
    cells = (name, f"{seconds:.1f}", f"{busy:.1f}", sent.total(), sent["list"], before, peak())
    print("|", *(f"{cell} |" for cell in cells), flush=True)


def peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def command(*arguments: str, out: io.TextIOBase | None = None, **options: Any) -> Callable[[], object]:
    from django.core.management import call_command

    return lambda: call_command(*arguments, **options, stdout=out or Path(os.devnull).open("w"))


# Tenants that are rows alone


def rows(count: int) -> None:
    from django.core.management import call_command

    from tests.apps.customers.models import Client

    call_command("migrate_schemas", shared=True, verbosity=0)
    made = (Client(schema_name=f"{SCHEMA}{number}", name=f"number {number}") for number in range(count))
    Client.objects.bulk_create(made, batch_size=2000)


def nothing(count: int) -> None:
    from tests.apps.customers.models import Client

    measured("nothing", Client.objects.exists)


def plan(count: int) -> None:
    from django_minio_router.provisioning.plan import make_plan
    from django_minio_router.tenancy import get_tenancy

    measured("the plan alone", lambda: make_plan(get_tenancy().tenants()))


def initialize(count: int) -> None:
    measured("initialize_buckets --all-tenants", command("initialize_buckets", "--all-tenants"))


def enqueue(count: int) -> None:
    with Path(os.environ["SCALE_TASKS"]).open("w") as out:
        work = command("initialize_buckets", "--all-tenants", "--enqueue", out=out)
        measured("initialize_buckets --all-tenants --enqueue", work)


def work(count: int) -> None:
    worker = command("db_worker", batch=True, max_tasks=WORKED_OFF, startup_delay=False, verbosity=0)
    measured(f"one worker, {WORKED_OFF} of the tasks", worker)


def read(count: int) -> None:
    measured("bucket_tasks", command("bucket_tasks", os.environ["SCALE_TASKS"]))


# One tenant with many objects


def schema(count: int) -> None:
    from tests.apps.customers.models import Client

    rows(0)
    client = Client(schema_name=SCHEMA, name=SCHEMA)
    client.save(verbosity=0)
    client.create_schema(check_if_exists=True, verbosity=0)


_NAME = "format('%%s/file-%%s.bin', n %% 100, lpad(n::text, 7, '0'))"
_ROWS = {
    "docs_contract (file)": f"SELECT {_NAME} FROM generate_series(0, %s, 2) AS n",
    "docs_photo (image, width, height)": f"SELECT {_NAME}, 0, 0 FROM generate_series(1, %s, 2) AS n",
}


def fill(count: int) -> None:
    """Store objects in the bucket that came with the tenant; rows of two models name half of them each."""
    from django.db import connection
    from django_tenants.utils import schema_context

    from django_minio_router.s3.client import get_client
    from django_minio_router.settings.config import Config

    with schema_context(SCHEMA), connection.cursor() as cursor:
        for table, rows_of_names in _ROWS.items():
            cursor.execute(f"INSERT INTO {table} {rows_of_names}", [count - 1])
    names = [f"{number % 100}/file-{number:07}.bin" for number in range(count)]
    sdk = get_client(Config().internal).sdk

    def put(name: str) -> None:
        sdk.put_object(bucket_name=SCHEMA, object_name=name, data=io.BytesIO(b"x" * 10), length=10)

    with ThreadPoolExecutor(8) as threads:
        for start in range(0, count, 5000):
            list(threads.map(put, names[start : start + 5000]))


def usage(count: int) -> None:
    measured("bucket_usage --all-tenants", command("bucket_usage", "--all-tenants"))


def look(count: int) -> None:
    measured("purge_tenant --dry-run", command("purge_tenant", SCHEMA, "--dry-run"))


def purge(count: int) -> None:
    from tests.apps.customers.models import Client

    schema_name = Client.objects.first().schema_name
    measured("purge_tenant", command("purge_tenant", schema_name, "--no-input"))


if __name__ == "__main__":
    if sys.argv[1] == "step":
        import django

        django.setup()
        globals()[sys.argv[2]](int(sys.argv[3]))
    else:
        main()
