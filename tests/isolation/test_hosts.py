"""What a visitor puts into the ``Host`` header gets nobody another tenant's file."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django_tenants.utils import schema_context

from django_minio_router import MinioRouter, TenantRequired, tenant_bucket_context
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Branch, Client

from .conftest import Contents
from .site import router

SECRET = {"north": b"the secret of north", "south": b"the secret of south"}
HOSTILE = [
    "Host: nobody.example",
    "Host: localhost",
    "Host: public",
    "Host: 127.0.0.1",
    "Host: [::1]",
    "Host:",
    "Host: ",
    "Host: .",
    "Host: example",
    "Host: .example",
    "Host: *.example",
    "Host: %.example",
    "Host: NORTH.example",
    "Host: north.example.",
    "Host: north.example.example",
    "Host: xnorth.example",
    "Host: north.example@south.example",
    "Host: north.example, south.example",
    "Host: north.example south.example",
    "Host: north.example/south.example",
    "Host: north.example\\south.example",
    "Host: north.example:south.example",
    "Host: south.example:80:80",
    "Host: north.example%00.south.example",
    "Host: n\u043erth.example",  # with a Cyrillic o
    "Host: ' OR domain LIKE '%",
    "Host: " + "x" * 5000 + ".example",
    "Host: north.example\r\nHost: south.example",
    "Host: nobody.example\r\nX-Forwarded-Host: south.example",
    "Host: nobody.example\r\nX-Tenant: south\r\nCookie: tenant=south",
    "X-Forwarded-Host: south.example",
    "X: no host at all",
]


@pytest.fixture
def tenants(north: Client, south: Client) -> dict[str, Client]:
    """Two tenants with a file of the same name."""
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            router.save("secret.txt", ContentFile(SECRET[tenant.name]))
    return {"north": north, "south": south}


def ask(site: Any, headers: str, path: str = "/read/secret.txt", body: bytes = b"") -> bytes:
    """Send this as it stands, and return all that the server answers."""
    head = f"POST {path} HTTP/1.1\r\n{headers}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((site.thread.host, site.thread.port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_each_host_gets_its_own(tenants: dict[str, Client], live_server: Any) -> None:
    for name, secret in SECRET.items():
        for headers in (f"Host: {name}.example", f"Host: www.{name}.example:8000"):
            assert ask(live_server, headers).endswith(b"\r\n\r\n" + secret)


@pytest.mark.parametrize("public_for_all", [False, True])
def test_any_other_gets_nothing_and_stores_nothing(
    public_for_all: bool, tenants: dict[str, Client], settings: Any, live_server: Any, contents: Contents
) -> None:
    settings.SHOW_PUBLIC_IF_NO_TENANT_FOUND = public_for_all
    for headers in HOSTILE:
        got = ask(live_server, headers)
        stored = ask(live_server, headers, "/store/planted.txt", b"planted")

        for answer in (got, stored):
            assert int(answer.split()[1]) in {400, 404, 500}, (headers, answer)
            assert not any(secret in answer for secret in SECRET.values()), headers
    for name, tenant in tenants.items():
        assert contents(tenant) == {"secret.txt": SECRET[name]}


def test_what_is_beside_the_host_changes_no_tenant(tenants: dict[str, Client], live_server: Any) -> None:
    for more in ("X-Forwarded-Host: south.example", "X-Tenant: south", "Referer: http://south.example/"):
        answer = ask(live_server, f"Host: north.example\r\n{more}")

        assert answer.endswith(b"\r\n\r\n" + SECRET["north"])


@pytest.mark.parametrize("path", ["http://south.example/read/secret.txt", "//south.example/read/secret.txt"])
def test_a_host_in_the_path_is_no_host(path: str, tenants: dict[str, Client], live_server: Any) -> None:
    assert SECRET["south"] not in ask(live_server, "Host: north.example", path)


class TestATenantThatIsDeletedBetweenTwoRequests:
    def test_its_site_is_gone_and_its_files_are_not_reached(
        self, tenants: dict[str, Client], live_server: Any, contents: Contents
    ) -> None:
        assert ask(live_server, "Host: north.example").endswith(SECRET["north"])
        tenants["north"].delete()

        assert int(ask(live_server, "Host: north.example").split()[1]) == 404
        assert int(ask(live_server, "Host: north.example", "/store/late.txt", b"x").split()[1]) == 404
        assert contents(tenants["north"]) == {"secret.txt": SECRET["north"]}  # until it is purged
        assert ask(live_server, "Host: south.example").endswith(SECRET["south"])

    @pytest.mark.parametrize("model", [Client, Branch])
    @pytest.mark.parametrize("whole_queryset", [False, True])
    def test_the_row_that_was_kept_of_it_routes_nothing(
        self, model: type[Client], whole_queryset: bool, north: Client
    ) -> None:
        by_key = MinioRouter(strategy=PerTenant("test-keys-{id}"))
        with schema_context(north.schema_name):
            assert by_key.backend.bucket == f"test-keys-{north.pk}"
        row = model.objects.filter(pk=north.pk)
        row.delete() if whole_queryset else row.get().delete()

        for call in (by_key.exists, by_key.url, by_key.open, by_key.delete):
            with schema_context(north.schema_name), pytest.raises(TenantRequired, match="no tenant has it"):
                call("secret.txt")

    def test_one_that_takes_its_name_does_not_get_its_key(self, north: Client) -> None:
        by_key = MinioRouter(strategy=PerTenant("test-keys-{id}"))
        with schema_context(north.schema_name):
            former = by_key.backend.bucket
        north.delete()
        again = Client.objects.create(schema_name=north.schema_name, name="north")

        with schema_context(again.schema_name):
            assert by_key.backend.bucket == f"test-keys-{again.pk}" != former
