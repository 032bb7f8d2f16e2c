"""One call each in processes that have done nothing before: ``python -m tests.budget.first_call``.

Each line of the standard input is a list of kind, operation, bucket and endpoint, as JSON. A fork that has
imported everything, and done nothing else, makes the call; its exit code is a line of the output.
"""

from __future__ import annotations

import json
import os
import sys

import django
from django.conf import settings

OPERATIONS = {
    "nothing": lambda router: None,
    "save": lambda router: router.save("new.txt", ContentFile(b"new")),
    "save when told": lambda router: router.save("new.txt", ContentFile(b"new")),
    "read": lambda router: router.open("there.txt").read(),
    "exists": lambda router: router.exists("there.txt"),
    "size": lambda router: router.size("there.txt"),
    "delete": lambda router: router.delete("there.txt"),
    "url": lambda router: router.url("there.txt"),
}


def main() -> None:
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            call(*json.loads(line))
            os._exit(0)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def call(kind: str, operation: str, bucket: str, endpoint: str) -> None:
    settings.MINIO_ENDPOINT = endpoint
    if operation == "save when told":
        settings.MINIO_CONDITIONAL_WRITES = True
    with tenant_context(Client(schema_name=bucket)):
        OPERATIONS[operation](make_router(kind, bucket))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
    django.setup()

    from django.core.files.base import ContentFile
    from django_tenants.utils import tenant_context

    from django_minio_router.s3 import warm_up
    from tests.apps.customers.models import Client
    from tests.budget.routers import make_router

    warm_up()
    main()
