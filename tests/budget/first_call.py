"""One call in a fresh process: ``python -m tests.budget.first_call KIND OPERATION BUCKET``."""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings


def main(kind: str, operation: str, bucket: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
    if operation == "save when told":
        settings.MINIO_CONDITIONAL_WRITES = True
    django.setup()

    from django.core.files.base import ContentFile
    from django_tenants.utils import tenant_context

    from tests.apps.customers.models import Client
    from tests.budget.routers import make_router

    router = make_router(kind, bucket)
    calls = {
        "nothing": lambda: None,
        "save": lambda: router.save("new.txt", ContentFile(b"new")),
        "save when told": lambda: router.save("new.txt", ContentFile(b"new")),
        "read": lambda: router.open("there.txt").read(),
        "exists": lambda: router.exists("there.txt"),
        "size": lambda: router.size("there.txt"),
        "delete": lambda: router.delete("there.txt"),
        "url": lambda: router.url("there.txt"),
    }
    with tenant_context(Client(schema_name=bucket)):
        calls[operation]()


if __name__ == "__main__":
    main(*sys.argv[1:])
