"""Tasks of two tenants in one real worker, with tenant-schemas-celery and without it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests.apps.customers.models import Client
from tests.support.celery_in_files import worker
from tests.support.quick_python import quick_python

from .conftest import Contents

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds
TASKS = 6  # of each tenant, of each kind; as many again of nobody, which is public
SEND = """
import json, sys
from django_tenants.utils import schema_context
from tests.isolation.worker import store, store_for
from django_minio_router import tenant_bucket_context
sent = {"for the connection's": [], "for the one named": [], "in a context of the sender": []}
for number in range(TASKS):
    for schema_name in sys.argv[1:]:
        with schema_context(schema_name):
            sent["for the connection's"].append(store.delay(f"connection-{number}.txt", schema_name))
        sent["for the one named"].append(store_for.delay(schema_name, f"named-{number}.txt", schema_name))
        with tenant_bucket_context(schema_name):
            sent["in a context of the sender"].append(store.delay(f"context-{number}.txt", schema_name))
came = {how: [task.get(timeout=PATIENCE, interval=0.05) for task in tasks] for how, tasks in sent.items()}
print(json.dumps(came))
""".replace("TASKS", str(TASKS)).replace("PATIENCE", str(PATIENCE))


def stored(tenant: Client, *kinds: str) -> dict[str, bytes]:
    names = [f"{kind}-{number}.txt" for kind in kinds for number in range(TASKS)]
    return dict.fromkeys(names, tenant.schema_name.encode())


def answers(kind: str, *, known: bool) -> list[str]:
    """Return what comes of a kind of tasks that the worker knows the tenant of, or does not."""
    mine = [f"{kind}-{{}}.txt"] * 2 if known else ["TenantRequired"] * 2
    return [name.format(number) for number in range(TASKS) for name in (*mine, "TenantRequired")]


@pytest.mark.parametrize("knows_tenants", [False, True], ids=["plain", "tenant-schemas-celery"])
def test_a_task_stores_for_the_tenant_that_it_names_or_that_the_worker_was_told_or_not_at_all(
    knows_tenants: bool, north: Client, south: Client, contents: Contents, tmp_path: Path
) -> None:
    """A plain worker is told no tenant; tenant-schemas-celery takes the one of the sender's connection."""
    name = connection.settings_dict["NAME"]
    environment = {
        **os.environ,
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl(),
        "CELERY_FOLDER": str(tmp_path),
        "CELERY_KNOWS_TENANTS": "1" if knows_tenants else "",
        "PYTHONPATH": str(ROOT),
    }
    send = ["-c", SEND, north.schema_name, south.schema_name, "public"]
    with worker("tests.isolation.worker", tmp_path, environment) as log:
        done = quick_python().run(*send, folder=ROOT, environment=environment)

    assert done.returncode == 0, done.stderr + log.read_text()[-5000:]
    assert json.loads(done.stdout) == {
        "for the connection's": answers("connection", known=knows_tenants),
        "for the one named": answers("named", known=True),
        "in a context of the sender": answers("context", known=False),
    }
    for tenant in (north, south):
        assert contents(tenant) == stored(tenant, "named", *(["connection"] if knows_tenants else []))
