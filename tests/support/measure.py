"""Not a test: how much memory `move_objects` takes for many files. From the repository's folder:

python -m tools.servers tests.support.measure 100000

Makes that many objects in one bucket and as many rows of one tenant in a database that it creates, moves
them in a process of its own, and says how long that took and its largest resident set.
"""

from __future__ import annotations

import io
import os
import resource
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg

OLD, SCHEMA = "measure-old", "measured"


def main() -> None:
    count = int(sys.argv[1])
    database = f"measure_{secrets.token_hex(4)}"
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}")
    os.environ |= {
        "DATABASE_URL": urlsplit(server)._replace(path=f"/{database}").geturl(),
        "DJANGO_SETTINGS_MODULE": "tests.support.settings",
        "MINIO_USE_HTTPS": os.environ.get("MINIO_USE_HTTPS", "0"),
    }
    run("fill", count)
    for number in (0, count, count):  # nothing, everything, and everything again
        run("move", number)


def run(step: str, count: int) -> None:
    subprocess.run([sys.executable, "-m", __spec__.name, step, str(count)], check=True)


def fill(count: int) -> None:
    from django.core.management import call_command
    from django_tenants.utils import schema_context

    from tests.apps.customers.models import Client
    from tests.apps.per_tenant.models import Receipt

    call_command("migrate_schemas", shared=True, run_syncdb=True, verbosity=0)
    client = Client(schema_name=SCHEMA, name=SCHEMA)
    client.save(verbosity=0)
    client.create_schema(check_if_exists=True, verbosity=0)
    router = route(Receipt)
    sdk = router.backend_of_old.client
    for bucket in (OLD, f"new-{SCHEMA}"):
        sdk.make_bucket(bucket_name=bucket)
    with schema_context(SCHEMA):
        rows = (Receipt(file=name(number)) for number in range(count))
        Receipt.objects.bulk_create(rows, batch_size=5000)
    with ThreadPoolExecutor(8) as threads:
        for start in range(0, count, 5000):
            list(threads.map(lambda number: put(sdk, number), range(start, min(start + 5000, count))))


def name(number: int) -> str:
    return f"2026/{number % 100:02}/file-{number:07}.bin"


def put(sdk: object, number: int) -> None:
    content = b"%d" % number
    sdk.put_object(  # type: ignore[attr-defined]
        bucket_name=OLD, object_name=name(number), data=io.BytesIO(content), length=len(content)
    )


def route(model: type) -> object:
    from django_minio_router import MinioBackend, MinioRouter
    from django_minio_router.strategies import PerTenant

    field = model._meta.get_field("file")
    field.storage = MinioRouter(strategy=PerTenant("new-{schema_name}")).bind(field)
    field.storage.backend_of_old = MinioBackend(OLD, public=False)
    return field.storage


def move(count: int) -> None:
    from django.core.management import call_command

    from tests.apps.per_tenant.models import Receipt

    route(Receipt)
    started = time.monotonic()
    if count:
        options = {"all_tenants": True, "labels": ["per_tenant.Receipt"]}
        call_command("move_objects", f"--from=bucket:{OLD}", **options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} files: {time.monotonic() - started:.0f} s, largest resident set {peak:.0f} MiB")


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        main()
    else:
        import django

        django.setup()
        {"fill": fill, "move": move}[sys.argv[1]](int(sys.argv[2]))
