"""Attempts to read a file, each without the code that stored it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from email.message import Message

import urllib3
from django.conf import settings
from django.urls import reverse
from django_tenants.utils import tenant_context
from minio import Minio, S3Error

from django_minio_router import RoutingError

from .customers.models import Client
from .library.models import StoredFile, tenant_files

SAME = "the same bytes"
OTHER = "other bytes"
OWN = "its own file"
ABSENT = "FileNotFoundError"

_http = urllib3.PoolManager(retries=False, timeout=10)


@dataclass(frozen=True)
class Visitors:
    """Each method returns the result of trying to read `stored`, a file of `owner` with this `content`."""

    owner: Client
    other: Client
    stored: StoredFile
    content: bytes
    port: int

    @property
    def link(self) -> str:
        with tenant_context(self.owner):
            return self.stored.file.url

    @property
    def page(self) -> str:
        """Request the URL on the site, which is the same on every tenant's site."""
        view = f"download-{self.stored._meta.model_name}"
        return reverse(view, settings.ROOT_URLCONF, [self.stored.pk])

    def bare_client(self) -> str:
        return compared(in_bucket(bucket_of(self.owner), self.stored.file.name), self.content)

    def with_signed_link(self) -> str:
        return browser(self.link, self.content)

    def anonymous(self) -> str:
        return browser(self.link.partition("?")[0], self.content)

    def with_link_to_other_bucket(self) -> str:
        """Use a valid link with the other tenant's bucket."""
        buckets = f"/{bucket_of(self.owner)}/", f"/{bucket_of(self.other)}/"
        return browser(self.link.replace(*buckets), self.content)

    def on_site_of(self, tenant: Client) -> str:
        # Browsers know that *.localhost is this machine; other programs may not.
        host = f"{tenant.schema_name}.localhost:{self.port}"
        return browser(f"http://127.0.0.1:{self.port}{self.page}", self.content, host)

    def code_of_other(self) -> str:
        """Read as the other tenant, with the same storage and name."""
        with tenant_context(self.other):
            got = self._opened()
        own = self._name_in_other_bucket()
        return OWN if own is not None and got == own else compared(got, self.content)

    def code_of_other_may_get(self) -> str:
        return ABSENT if self._name_in_other_bucket() is None else OWN

    def code_without_tenant(self) -> str:
        """Read in a new thread, like a worker or a background task."""
        try:
            with ThreadPoolExecutor(1) as thread:
                return compared(thread.submit(self._opened).result(), self.content)
        except RoutingError as error:
            return type(error).__name__

    def slow_response(self) -> str:
        """Open a file for its owner, and read it while the other tenant is active."""
        with tenant_context(self.owner):
            file = self.stored.file.storage.open(self.stored.file.name)
        with tenant_context(self.other), file:
            return compared(file.read(), self.content)

    def _name_in_other_bucket(self) -> bytes | None:
        return in_bucket(bucket_of(self.other), self.stored.file.name)

    def _opened(self) -> bytes | None:
        # Of the field, for whoever is active: the row's own file is its tenant's wherever it is used.
        storage = self.stored._meta.get_field("file").storage
        try:
            with storage.open(self.stored.file.name) as file:
                return file.read()
        except FileNotFoundError:
            return None


def bucket_of(tenant: Client) -> str:
    with tenant_context(tenant):
        return tenant_files.backend.bucket


def bare_client() -> Minio:
    """Return a bare SDK client, which knows nothing about tenants."""
    return Minio(
        endpoint=settings.MINIO_ENDPOINT,
        access_key=settings.MINIO_ACCESS_KEY,
        secret_key=settings.MINIO_SECRET_KEY,
        secure=settings.MINIO_USE_HTTPS,
        region=settings.MINIO_REGION,
    )


def in_bucket(bucket: str, name: str) -> bytes | None:
    """Return what the bare SDK finds on the server."""
    try:
        with closing(bare_client().get_object(bucket_name=bucket, object_name=name)) as response:
            return response.read()
    except S3Error as error:
        if error.code == "NoSuchKey":
            return None
        raise


def sizes_in(bucket: str) -> list[int] | None:
    """Return the size of each object that the bare SDK finds; None if the bucket does not exist."""
    client = bare_client()
    if not client.bucket_exists(bucket_name=bucket):
        return None
    return [entry.size or 0 for entry in client.list_objects(bucket_name=bucket, recursive=True)]


def browser(url: str, content: bytes, host: str | None = None) -> str:
    """Request the URL without credentials, and follow the site's redirect to the S3 server."""
    response = _http.request("GET", url, headers={"Host": host} if host else {}, redirect=False)
    if response.status == 302:
        return browser(response.headers["Location"], content)
    if response.status != 200:
        return str(response.status)
    return ", ".join(["200", compared(response.data, content), *_saved_as(response)])


def request(tenant: Client, path: str, port: int) -> tuple[int, bytes]:
    """Return status and content that a visitor of the tenant's site gets there, past its redirect."""
    host = {"Host": f"{tenant.schema_name}.localhost:{port}"}
    response = _http.request("GET", f"http://127.0.0.1:{port}{path}", headers=host, redirect=False)
    if response.status == 302:
        response = _http.request("GET", response.headers["Location"], redirect=False)
    return response.status, response.data


def compared(got: bytes | None, content: bytes) -> str:
    if got is None:
        return ABSENT
    return SAME if got == content else OTHER


def _saved_as(response: urllib3.BaseHTTPResponse) -> list[str]:
    """Return the file name for browsers in the response, if any."""
    message = Message()
    message["Content-Disposition"] = response.headers.get("Content-Disposition", "inline")
    name = message.get_filename()
    return [f"saved as {name}"] if name else []
