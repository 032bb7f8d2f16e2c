"""The tenants for the load test, and a check of their buckets afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.management import call_command
from django_tenants.utils import tenant_context
from minio import Minio

from examples.multi_tenant.customers.models import Client, Domain
from examples.multi_tenant.library.models import Document, Photo, tenant_files
from examples.multi_tenant.pictures import sail


def make(count: int) -> list[Client]:
    """Return tenants with a site, a schema and a bucket each."""
    call_command("migrate_schemas", shared=True, verbosity=0)
    call_command("initialize_buckets", silenced=True)
    return [_make(f"load{number}") for number in range(1, count + 1)]


def _make(name: str) -> Client:
    client = Client(schema_name=name, name=name.capitalize())
    client.save(verbosity=0)  # makes the schema, and after it the bucket
    client.logo.save(f"{name}.png", ContentFile(sail()))
    Domain.objects.create(domain=f"{name}.localhost", tenant=client)
    return client


def differences(clients: list[Client]) -> Iterator[str]:
    """Compare rows and objects, without the code that stored them."""
    bare = Minio(
        endpoint=settings.MINIO_ENDPOINT,
        access_key=settings.MINIO_ACCESS_KEY,
        secret_key=settings.MINIO_SECRET_KEY,
        secure=settings.MINIO_USE_HTTPS,
        region=settings.MINIO_REGION,
    )
    for client in clients:
        with tenant_context(client):
            bucket = tenant_files.backend.bucket
            rows = {row.file.name: row.size for model in (Document, Photo) for row in model.objects.all()}
        entries = bare.list_objects(bucket_name=bucket, recursive=True)
        objects = {entry.object_name: entry.size for entry in entries}
        for name in sorted(rows.items() ^ objects.items()):
            yield f"{bucket}: {name} is in the {'rows' if name in rows.items() else 'bucket'} alone"
        for upload in bare._list_multipart_uploads(bucket_name=bucket).uploads:
            yield f"{bucket}: {upload.object_name} was not uploaded to its end"


def count(clients: list[Client]) -> int:
    """Return the number of files."""
    total = 0
    for client in clients:
        with tenant_context(client):
            total += Document.objects.count() + Photo.objects.count()
    return total
