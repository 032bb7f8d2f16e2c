"""Requests of two tenants under way in one process at the same time, through Django's ASGI handler."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.files.base import ContentFile

from django_minio_router import TenantRequired, tenant_bucket_context
from tests.apps.customers.models import Client

from .conftest import Contents
from .site import PATIENCE, router

LARGE = 1024 * 1024


async def ask(tenant: Client, path: str, body: bytes = b"", method: str = "POST") -> tuple[int, bytes]:
    """Return status and body of what the tenant's site answers."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", f"{tenant.name}.example".encode())],
    }  # fmt: skip
    site = ApplicationCommunicator(get_asgi_application(), scope)
    await site.send_input({"type": "http.request", "body": body})
    start = await site.receive_output(PATIENCE)
    received, more = b"", True
    while more:
        part = await site.receive_output(PATIENCE)
        received, more = received + part.get("body", b""), part.get("more_body", False)
    await site.wait(PATIENCE)
    return start["status"], received


def together(*requests: Coroutine[Any, Any, Any]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*requests)

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("view", ["store_when_both_are_here", "store_async", "store_as_django_does"])
def test_requests_that_take_turns_store_for_their_own_tenants(
    view: str, north: Client, south: Client, contents: Contents
) -> None:
    for turn in range(5):
        answers = together(
            ask(north, f"/{view}/{turn}.txt", b"of north"), ask(south, f"/{view}/{turn}.txt", b"of south")
        )
        assert [status for status, _ in answers] == [200, 200]

    assert contents(north) == {f"{turn}.txt": b"of north" for turn in range(5)}
    assert contents(south) == {f"{turn}.txt": b"of south" for turn in range(5)}


@pytest.mark.parametrize("view", ["store_at_once", "store_in_any_thread"])
def test_async_code_that_does_not_say_for_whom_it_acts_stores_nothing(
    view: str, north: Client, south: Client, contents: Contents, caplog: pytest.LogCaptureFixture
) -> None:
    answers = together(ask(north, f"/{view}/a.txt", b"?"), ask(south, f"/{view}/a.txt", b"?"))

    assert [status for status, _ in answers] == [500, 500]
    raised = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert raised == [TenantRequired, TenantRequired]
    assert contents(north) == contents(south) == {}


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
@pytest.mark.parametrize("view", ["read", "stream_async"])
def test_responses_that_stream_together_stream_their_own_files(
    view: str, north: Client, south: Client
) -> None:
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            router.save("large.bin", ContentFile(tenant.name[:1].encode() * LARGE))

    answers = together(ask(north, f"/{view}/large.bin"), ask(south, f"/{view}/large.bin"))

    assert answers == [(200, b"n" * LARGE), (200, b"s" * LARGE)]


@pytest.mark.parametrize("view", ["respond_async", "download"])
def test_many_downloads_of_two_tenants_stay_apart(view: str, north: Client, south: Client) -> None:
    contents = {tenant: secrets.token_bytes(LARGE) for tenant in (north, south)}
    for tenant, content in contents.items():
        with tenant_bucket_context(tenant):
            router.save("large.bin", ContentFile(content))

    answers = together(*(ask(tenant, f"/{view}/large.bin", method="GET") for tenant in [north, south] * 10))

    assert answers == [(200, contents[tenant]) for tenant in [north, south] * 10]
