"""The packages under test, each set up for the server of the run and called through Django's Storage API.

One function a package; it runs in that package's environment, so it imports what it needs itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from .floor import REGION, Server

PRIVATE, PUBLIC = "bench-private", "bench-public"
TENANT = "acme"

Initializer = Callable[[list[str]], None]


@dataclass(frozen=True)
class Subject:
    """A storage on the private bucket, one on the public one, and what makes buckets public, if anything."""

    private: Any
    public: Any = None
    initialize: Initializer | None = None


def setup(**settings: Any) -> None:
    import django
    from django.conf import settings as django_settings

    django_settings.configure(USE_TZ=True, **settings)
    django.setup()


def ours(server: Server) -> Subject:
    setup(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions", "django_minio_router"],
        MINIO_ENDPOINT=server.endpoint,
        MINIO_ACCESS_KEY=server.access_key,
        MINIO_SECRET_KEY=server.secret_key,
        MINIO_USE_HTTPS=False,
        MINIO_PRIVATE_BUCKETS=[PRIVATE],
        MINIO_PUBLIC_BUCKETS=[PUBLIC],
        STORAGES={},
        DATABASES={"default": {"ENGINE": "django_tenants.postgresql_backend", "NAME": "unused"}},
    )
    from django_minio_router import MinioBackend

    def initialize(buckets: list[str]) -> None:
        from django.core.management import call_command
        from django.test import override_settings  # not before: what is of tests costs a link a part of it

        with override_settings(MINIO_PUBLIC_BUCKETS=buckets, MINIO_PRIVATE_BUCKETS=[]):
            call_command("initialize_buckets", silenced=True)

    return Subject(MinioBackend(PRIVATE), MinioBackend(PUBLIC), initialize)


def five(server: Server) -> Subject:
    setup(
        INSTALLED_APPS=["django_minio_backend"],
        MINIO_ENDPOINT=server.endpoint,
        MINIO_ACCESS_KEY=server.access_key,
        MINIO_SECRET_KEY=server.secret_key,
        MINIO_USE_HTTPS=False,
        MINIO_REGION=REGION,
        MINIO_PRIVATE_BUCKETS=[PRIVATE],
        MINIO_PUBLIC_BUCKETS=[PUBLIC],
        STATICFILES_STORAGE="",  # its start-up reads it, and Django 5.1 took it away
    )
    from django.core.management import call_command
    from django.test import override_settings
    from django_minio_backend.models import MinioBackend

    def initialize(buckets: list[str]) -> None:
        with override_settings(MINIO_PUBLIC_BUCKETS=buckets, MINIO_PRIVATE_BUCKETS=[]):
            call_command("initialize_buckets", silenced=True)

    return Subject(MinioBackend(PRIVATE), MinioBackend(PUBLIC), initialize)


def dmb(server: Server) -> Subject:
    options: dict[str, Any] = {
        "MINIO_ENDPOINT": server.endpoint,
        "MINIO_ACCESS_KEY": server.access_key,
        "MINIO_SECRET_KEY": server.secret_key,
        "MINIO_USE_HTTPS": False,
        "MINIO_REGION": REGION,
        "MINIO_PRIVATE_BUCKETS": [PRIVATE],
        "MINIO_PUBLIC_BUCKETS": [PUBLIC],
    }
    storages = {"default": {"BACKEND": "django_minio_backend.models.MinioBackend", "OPTIONS": options}}
    setup(INSTALLED_APPS=["django_minio_backend"], STORAGES=storages)
    from django.core.management import call_command
    from django_minio_backend.models import MinioBackend

    def initialize(buckets: list[str]) -> None:
        options.update(MINIO_PRIVATE_BUCKETS=[], MINIO_PUBLIC_BUCKETS=buckets)
        call_command("initialize_buckets", silenced=True)

    return Subject(MinioBackend(PRIVATE), MinioBackend(PUBLIC), initialize)


def dms(server: Server) -> Subject:
    setup(INSTALLED_APPS=["minio_storage"])
    from minio_storage.storage import MinioStorage

    client = sdk(server)

    def initialize(buckets: list[str]) -> None:
        for bucket in buckets:
            MinioStorage(client, bucket, auto_create_bucket=True, auto_create_policy=True)

    return Subject(MinioStorage(client, PRIVATE, presign_urls=True), MinioStorage(client, PUBLIC), initialize)


def dst(server: Server, *, overwrite: bool = True) -> Subject:
    setup()
    from storages.backends.s3 import S3Storage

    options = {
        "endpoint_url": f"http://{server.endpoint}",
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "region_name": REGION,
        "file_overwrite": overwrite,
    }
    return Subject(
        S3Storage(bucket_name=PRIVATE, **options),
        S3Storage(bucket_name=PUBLIC, querystring_auth=False, **options),
    )


def dst_unique(server: Server) -> Subject:
    return dst(server, overwrite=False)


def sdk(server: Server) -> Any:
    from minio import Minio

    return Minio(server.endpoint, server.access_key, server.secret_key, secure=False, region=REGION)


def raw(server: Server) -> Subject:
    """The SDK called as a script would, without Django."""
    client = sdk(server)

    def initialize(buckets: list[str]) -> None:
        for bucket in buckets:
            if not client.bucket_exists(bucket_name=bucket):
                client.make_bucket(bucket_name=bucket)
            client.set_bucket_policy(bucket_name=bucket, policy=public_policy(bucket))

    return Subject(RawStorage(client), initialize=initialize)


class RawStorage:
    """The calls of the SDK under the names of Django's. Overwrites, since the SDK cannot do otherwise."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def save(self, name: str, content: Any) -> str:
        self._client.put_object(PRIVATE, name, content, content.size)
        return name

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        response = self._client.get_object(PRIVATE, name)
        chunks = response.stream
        try:
            yield SimpleNamespace(read=response.read, chunks=lambda: chunks(64 * 1024))
        finally:
            response.close()
            response.release_conn()

    def exists(self, name: str) -> bool:
        return bool(self._client.stat_object(PRIVATE, name))

    def size(self, name: str) -> int:
        return int(self._client.stat_object(PRIVATE, name).size)

    def delete(self, name: str) -> None:
        self._client.remove_object(PRIVATE, name)

    def url(self, name: str) -> str:
        return str(self._client.presigned_get_object(PRIVATE, name))


def public_policy(bucket: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


SUBJECTS: dict[str, Callable[[Server], Subject]] = {
    "ours": ours,
    "before": ours,
    "five": five,
    "dmb": dmb,
    "dms": dms,
    "dst": dst,
    "dst-u": dst_unique,
    "raw": raw,
}
COMPARED = [name for name in SUBJECTS if name != "before"]
ENVIRONMENT_OF = {"dst-u": "dst", "raw": "ours", "before": "ours"}
