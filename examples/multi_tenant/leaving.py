"""A tenant that joins with two files and leaves: its files are deleted, and others keep theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO

from django.core.files.base import ContentFile
from django.core.management import call_command
from django_tenants.utils import tenant_context

from .customers.models import Client
from .library.models import Document
from .visitors import browser, sizes_in

PROGRAMME = b"Summer Fair\nFriday: music\nSaturday: the market\n"


@dataclass(frozen=True)
class Guest:
    """The leaving tenant; ``link`` is one that was shared before."""

    client: Client
    bucket: str
    link: str

    def in_bucket(self) -> str:
        return counted(self.bucket)

    def with_old_link(self) -> str:
        return browser(self.link, PROGRAMME)


@contextmanager
def guest() -> Iterator[Guest]:
    """Create a third tenant for the block, with its schema, its bucket and two files."""
    client = Client.objects.filter(schema_name="fair").first() or Client(
        schema_name="fair", name="Summer Fair"
    )
    client.save(verbosity=0)
    try:
        with tenant_context(client):
            for number in (1, 2):
                file = ContentFile(PROGRAMME, f"programme-{number}.txt")
                document = Document.objects.create(title="Programme", file=file)
            here = Guest(client, document.bucket, document.file.url)
        yield here
    finally:
        client.delete(force_drop=True)


def counted(bucket: str) -> str:
    """Return what the bare SDK finds in a bucket."""
    sizes = sizes_in(bucket)
    return "no such bucket" if sizes is None else _amount(len(sizes), sum(sizes))


def usage_of(client: Client) -> str:
    """Return the usage of the tenant that `manage.py bucket_usage` counts."""
    output = StringIO()
    call_command("bucket_usage", tenants=[client.schema_name], format="json", stdout=output)
    rows = json.loads(output.getvalue())
    return _amount(sum(row["objects"] for row in rows), sum(row["bytes"] for row in rows))


def _amount(objects: int, size: int) -> str:
    return f"{objects} objects, {size:,} bytes"


BOTH_FILES = _amount(2, 2 * len(PROGRAMME))
