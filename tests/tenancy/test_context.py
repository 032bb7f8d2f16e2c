"""The package's own tenant context comes before the connection's, and follows the code, not the thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models.fields.files import FieldFile
from django.http import StreamingHttpResponse
from django.template import engines
from django.template.response import SimpleTemplateResponse
from django_tenants.utils import schema_context, tenant_context

from django_minio_router import MinioRouter, RoutingError, TenantRequired, tenant_bucket_context
from django_minio_router.strategies import PerTenant
from django_minio_router.tenancy import current_key
from tests.apps.brands.models import Brand, Font, router
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract

Contents = Callable[[str], dict[str, bytes]]


def bucket_of(tenant: Client) -> str:
    return f"test-brands-{tenant.schema_name}"


def test_it_comes_before_the_connections_tenant(north: Client, south: Client) -> None:
    with tenant_context(south), tenant_bucket_context(north):
        assert router.backend.bucket == bucket_of(north)


def test_it_does_so_for_a_row_that_is_false(
    north: Client, south: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one with a length is, such as the number of its users."""
    monkeypatch.setattr(Client, "__len__", lambda tenant: 0, raising=False)
    by_id = MinioRouter(strategy=PerTenant("media-{id}"))
    with tenant_context(south), tenant_bucket_context(north):
        assert by_id.backend.bucket == f"media-{north.pk}"


def test_it_ends_with_its_block_also_on_an_exception(north: Client, south: Client) -> None:
    with tenant_context(south):
        with pytest.raises(RuntimeError), tenant_bucket_context(north):
            raise RuntimeError
        assert router.backend.bucket == bucket_of(south)


def test_the_innermost_holds(north: Client, south: Client) -> None:
    with tenant_bucket_context(north):
        with tenant_bucket_context(south):
            assert router.backend.bucket == bucket_of(south)
        assert router.backend.bucket == bucket_of(north)


def test_it_takes_a_schema_name(north: Client) -> None:
    with tenant_bucket_context(north.schema_name):
        assert router.backend.bucket == bucket_of(north)


def test_an_object_that_only_reads_like_a_tenant_is_none(north: Client) -> None:
    for stranger in (get_user_model()(username=north.schema_name), north.schema_name.encode(), 7):
        with tenant_bucket_context(stranger), pytest.raises(TenantRequired, match="has no schema_name"):
            router.url("a.txt")


def test_the_row_of_a_schema_name_is_looked_up_once(
    north: Client, django_assert_num_queries, django_capture_on_commit_callbacks
) -> None:
    by_id = MinioRouter(strategy=PerTenant("media-{id}"))
    with django_capture_on_commit_callbacks(execute=True):
        north.save()
    with tenant_bucket_context(north.schema_name):
        assert by_id.backend.bucket == f"media-{north.pk}"
        with django_assert_num_queries(0):
            assert by_id.backend.bucket == f"media-{north.pk}"


def test_it_decorates_a_function_that_calls_itself(north: Client) -> None:
    @tenant_bucket_context(north)
    def keys(depth: int) -> list[str | None]:
        deeper = keys(depth - 1) if depth else []
        return [current_key(), *deeper, current_key()]

    assert keys(2) == [north.schema_name] * 6
    assert current_key() is None


def test_no_tenant_is_refused(db) -> None:
    with pytest.raises(TenantRequired, match="needs a tenant, not None"), tenant_bucket_context(None):
        pass


@pytest.mark.parametrize("nameless", ["", Client(), Client(schema_name=None)], ids=["text", "row", "None"])
def test_an_empty_schema_name_is_not_public(north: Client, nameless: Any) -> None:
    """A row that is not complete yet would store its files where public's are."""
    with_public = MinioRouter(strategy=PerTenant(public="test-brands-public"))
    refused = pytest.raises(TenantRequired, match="empty schema_name")
    with tenant_context(north), tenant_bucket_context(nameless), refused:
        with_public.url("a.txt")


def test_public_stays_no_tenant(north: Client) -> None:
    with tenant_context(north), tenant_bucket_context("public"), pytest.raises(TenantRequired):
        router.exists("x")


def test_a_plain_thread_has_no_tenant(north: Client) -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            router.exists("x")
        except TenantRequired as error:
            raised.append(error)

    with tenant_bucket_context(north):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert len(raised) == 1


def test_a_thread_pool_acts_for_the_tenant_of_the_copied_context(
    north: Client, south: Client, contents: Contents
) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = []
        for number in range(20):
            tenant = (north, south)[number % 2]
            with tenant_bucket_context(tenant):
                content = ContentFile(tenant.name.encode())
                done.append(threads.submit(copy_context().run, router.save, "report.txt", content))
        for future in done:
            future.result()

    assert list(contents(bucket_of(north)).values()) == [b"north"] * 10
    assert list(contents(bucket_of(south)).values()) == [b"south"] * 10


def test_a_thread_that_was_left_on_another_tenant_raises(north: Client, south: Client) -> None:
    def work() -> None:
        connection.set_tenant(south)
        try:
            router.exists("report.txt")
        finally:
            connection.close()

    with tenant_bucket_context(north), ThreadPoolExecutor(1) as threads:
        done = threads.submit(copy_context().run, work)
        with pytest.raises(RoutingError, match=r"Enter tenant_context\(tenant\) in this thread"):
            done.result()


def test_interleaved_coroutines_of_two_tenants_stay_apart(
    north: Client, south: Client, contents: Contents
) -> None:
    async def request(tenant: Client, number: int) -> None:
        with tenant_bucket_context(tenant):
            await asyncio.sleep(0)  # lets the others in
            content = ContentFile(tenant.name.encode())
            name = await sync_to_async(router.save, thread_sensitive=False)(f"{number}.txt", content)
            await asyncio.sleep(0)
            assert await sync_to_async(router.open, thread_sensitive=False)(name)

    async def all_requests() -> None:
        await asyncio.gather(*(request((north, south)[n % 2], n) for n in range(20)))

    asyncio.run(all_requests())

    assert set(contents(bucket_of(north)).values()) == {b"north"}
    assert set(contents(bucket_of(south)).values()) == {b"south"}


def test_a_streaming_response_keeps_the_bucket_that_opened_the_file(north: Client, south: Client) -> None:
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            router.save("report.txt", ContentFile(tenant.name.encode()))
    with tenant_bucket_context(north):
        response = StreamingHttpResponse(router.open("report.txt").chunks())

    with tenant_bucket_context(south):
        assert b"".join(response) == b"north"


class TestATemplateThatRendersLate:
    """`{{ file.url }}` in a response is read when the template renders, perhaps for another tenant."""

    def response(self, file: FieldFile) -> SimpleTemplateResponse:
        return SimpleTemplateResponse(engines["django"].from_string("{{ file.url }}"), {"file": file})

    def test_it_acts_for_the_tenant_that_it_renders_for(self, use: Any, north: Client, south: Client) -> None:
        use(Contract, router)
        with tenant_bucket_context(north):
            response = self.response(Contract(file="a.txt").file)

        with tenant_bucket_context(south):
            assert f"/{bucket_of(south)}/a.txt" in response.render().content.decode()

    def test_without_a_tenant_it_fails_and_does_not_print_nothing(self, use: Any, north: Client) -> None:
        """Templates swallow many errors, and a page without links would look well."""
        use(Contract, router)
        with tenant_bucket_context(north):
            response = self.response(Contract(file="a.txt").file)

        with pytest.raises(TenantRequired):
            response.render()

    def test_a_file_of_a_row_with_an_owner_keeps_to_it(self, north: Client, south: Client) -> None:
        response = self.response(Font(brand=Brand(company=north), file="a.woff").file)

        with tenant_bucket_context(south):
            assert f"/{bucket_of(north)}/a.woff" in response.render().content.decode()


def test_the_schema_context_of_django_tenants_is_enough_without_it(north: Client) -> None:
    with schema_context(north.schema_name):
        assert router.backend.bucket == bucket_of(north)
