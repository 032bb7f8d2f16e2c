"""A tenant's files may live on a server of their own: the strategy names it along with the bucket."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.db.models import Model
from django.utils.deconstruct import deconstructible
from minio import Minio

from django_minio_router import ConfigurationError, MinioRouter, tenancy, tenant_bucket_context
from django_minio_router.buckets.ensure import State
from django_minio_router.exceptions import ServerError
from django_minio_router.inventory.places import TenantPlaces
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.plan import make_plan
from django_minio_router.s3 import client as clients
from django_minio_router.strategies import BucketStrategy, Location
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract

Contents = Callable[[str], dict[str, bytes]]


@deconstructible
class ByTenantServer(BucketStrategy):
    """Tenants whose name starts with "north" live on the server "north"."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def bucket_for(self, model: type[Model] | None) -> Location:
        schema_name = str(tenancy.current_key())
        return Location(self.bucket, server="north" if schema_name.startswith("north") else "")

    def buckets_for(self, models: Collection[type[Model]]) -> list[Location]:
        return [Location(self.bucket), Location(self.bucket, server="north")]


def test_each_tenants_file_is_on_its_server(
    bare: Minio,
    on_the_northern_server: Minio,
    new_name: Callable[[str], str],
    settings: Any,
    north: Client,
    south: Client,
) -> None:
    strategy = ByTenantServer(new_name("by-server"))
    settings.MINIO_PRIVATE_BUCKETS = [strategy]
    apply_plan(make_plan())
    router = MinioRouter(strategy=strategy)
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            router.save("report.txt", ContentFile(tenant.name.encode()))

    held = [
        client.get_object(bucket_name=strategy.bucket, object_name="report.txt").read()
        for client in (on_the_northern_server, bare)
    ]
    assert held == [b"north", b"south"]
    with tenant_bucket_context(north):
        assert router.backend.config.internal.endpoint in router.url("report.txt")
        assert urllib3.request("GET", router.url("report.txt")).data == b"north"


def test_clients_stay_one_for_each_server(
    on_the_northern_server: Minio, new_name: Callable[[str], str], north: Client, south: Client
) -> None:
    first, second = (MinioRouter(strategy=ByTenantServer(new_name("b"))) for _ in range(2))
    with tenant_bucket_context(north):
        assert first.backend.client is second.backend.client
        northern_client = first.backend.client
    with tenant_bucket_context(south):
        assert first.backend.client is not northern_client
        assert first.backend.client is clients.get_client(second.backend.config.internal).sdk


def test_an_unknown_server_is_named(db: None, settings: Any, north: Client, bucket: str) -> None:
    settings.MINIO_SERVERS = {}
    router = MinioRouter(strategy=ByTenantServer(bucket))
    with (
        tenant_bucket_context(north),
        pytest.raises(ConfigurationError, match="is not in MINIO_SERVERS"),
    ):
        router.exists("x")


def test_a_server_and_an_endpoint_in_the_options_contradict_each_other(
    on_the_northern_server: Minio, north: Client, bucket: str
) -> None:
    router = MinioRouter(strategy=ByTenantServer(bucket), MINIO_ENDPOINT="127.0.0.1:9")
    with tenant_bucket_context(north), pytest.raises(ConfigurationError, match="names the server 'north'"):
        router.exists("x")


@deconstructible
class BringYourOwn(BucketStrategy):
    """Endpoint, bucket and keys are in the tenant's own row; its name stands for the secret key here."""

    keeps_tenants_apart = True

    def __init__(self, endpoint: str, bucket: str, access_key: str) -> None:
        self.endpoint, self.bucket, self.access_key = endpoint, bucket, access_key

    def bucket_for(self, model: type[Model] | None) -> Location:
        tenant = tenancy.current_tenant()
        keys = (self.access_key, tenant.name) if tenant.name else None
        return Location(self.bucket, endpoint=self.endpoint, credentials=keys)

    def buckets_for(self, models: Collection[type[Model]]) -> list[Location]:
        return [self.bucket_for(None)]


class TestABucketThatATenantBrings:
    @pytest.fixture
    def router(self, db: None, settings: Any, use: Any, bucket: str) -> MinioRouter:
        strategy = BringYourOwn(settings.MINIO_ENDPOINT, bucket, settings.MINIO_ACCESS_KEY)
        use(Contract, router := MinioRouter(strategy=strategy))
        settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = "127.0.0.1:1", 0
        return router

    def test_changed_keys_are_used_at_once_and_no_text_shows_them(
        self,
        router: MinioRouter,
        settings: Any,
        north: Client,
        contents: Contents,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        north.name = "a-wrong-secret"
        north.save()
        with tenant_bucket_context(north.schema_name):
            with pytest.raises(ServerError) as refused:
                router.save("a.txt", ContentFile(b"x"))
            assert refused.value.status == 403
            location = router.strategy.bucket_for(None)  # type: ignore[union-attr]

            north.name = settings.MINIO_SECRET_KEY
            north.save()
            assert router.save("a.txt", ContentFile(b"x")) == "a.txt"
            assert urllib3.request("GET", router.url("a.txt")).data == b"x"

        assert contents(location.bucket) == {"a.txt": b"x"}
        shown = f"{location!r} {location} {refused.value} {caplog.text}"
        assert "a-wrong-secret" not in shown
        assert "credentials='***'" in shown

    def test_the_keys_of_the_project_are_not_for_it(self, router: MinioRouter, north: Client) -> None:
        north.name = ""
        with (
            tenant_bucket_context(north),
            pytest.raises(ConfigurationError, match="MINIO_ACCESS_KEY is not set"),
        ):
            router.save("a.txt", ContentFile(b"x"))

    def test_it_is_provisioned_and_found_like_any_other(
        self, router: MinioRouter, settings: Any, north: Client, bucket: str
    ) -> None:
        north.name = settings.MINIO_SECRET_KEY
        north.save()
        assert [outcome.state for outcome in apply_plan(make_plan([north]))] == [State.UNCHANGED]
        assert [place.bucket for place in TenantPlaces().of(north)] == [bucket]
