"""The gallery's strategies keep the contract, use the public API only, and route on a real server."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import (
    ConfigurationError,
    MinioRouter,
    ModelRequired,
    RoutingError,
    TenantRequired,
)
from django_minio_router.strategies import BucketStrategy, PerTenant
from django_minio_router.testing import StrategyContract
from strategies.by_data_region import ByDataRegion
from strategies.hash_sharded import HashSharded
from strategies.tenant_and_model import TenantAndModel
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Invoice, Receipt

from .hostile import HOSTILE, tenants

GALLERY = Path(__file__).parents[2] / "strategies"
PUBLIC = {"", ".exceptions", ".naming", ".strategies", ".tenancy"}


def test_the_gallery_is_files_that_can_be_copied() -> None:
    files = sorted(GALLERY.glob("*.py"))
    assert len(files) >= 3
    assert not (GALLERY / "__init__.py").exists()
    for file in files:
        tree = ast.parse(file.read_text())
        assert ast.get_docstring(tree), file
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file.name} imports a neighbour"
                _, dot, rest = (node.module or "").partition("django_minio_router")
                assert not dot or rest in PUBLIC, f"{file.name} imports {node.module}"
                assert not any(alias.name.startswith("_") for alias in node.names if dot)
        assert file.name in (GALLERY / "README.md").read_text()


class TestHashSharded(StrategyContract):
    needs_tenant = True

    def make_strategy(self) -> BucketStrategy:
        return HashSharded("media", shards=3)

    def make_different(self) -> Iterable[BucketStrategy]:
        return [
            HashSharded("media", shards=4),
            HashSharded("files", shards=3),
            HashSharded("media", shards=3, tenants=PerTenant("{id}")),
        ]

    def make_tenants(self) -> list[Client]:
        return tenants()


class TestTenantAndModel(StrategyContract):
    needs_tenant = True
    needs_model = True
    models = (Invoice, Receipt, Contract)

    def make_strategy(self) -> BucketStrategy:
        return TenantAndModel({"docs.Invoice": "a", "docs.Receipt": "acme", "docs.Contract": "a"})

    def make_different(self) -> Iterable[BucketStrategy]:
        return [TenantAndModel({"docs.Invoice": "a"})]

    def make_tenants(self) -> list[Client]:
        return tenants()


class TestByDataRegion(StrategyContract):
    needs_tenant = True

    def make_strategy(self) -> BucketStrategy:
        return ByDataRegion({name: f"server-{len(name)}" for name in HOSTILE}, field="schema_name")

    def make_different(self) -> Iterable[BucketStrategy]:
        return [ByDataRegion({"acme": "server-4"}, field="schema_name")]

    def make_tenants(self) -> list[Client]:
        return tenants()


def test_shards_hold_a_folder_for_each_tenant(bare: Minio, new_name: Callable[[str], str]) -> None:
    prefix = new_name("shard")
    router = MinioRouter(strategy=HashSharded(prefix, shards=2))
    for bucket in router.strategy.buckets_for([]):
        bare.make_bucket(bucket_name=bucket.bucket)
    for tenant in tenants()[:4]:
        with tenant_context(tenant):
            router.save("a.txt", ContentFile(tenant.schema_name.encode()))
            assert router.listdir("") == ([], ["a.txt"])
    held = {
        found.object_name: bare.get_object(bucket_name=bucket, object_name=found.object_name).data.decode()
        for bucket in (f"{prefix}-000", f"{prefix}-001")
        for found in bare.list_objects(bucket_name=bucket, recursive=True)
    }
    assert sorted(held.values()) == sorted(HOSTILE[:4])
    assert held["acme/a.txt"] == "acme"
    with pytest.raises(TenantRequired):
        router.save("a.txt", ContentFile(b"whose?"))


def test_every_shard_is_used() -> None:
    strategy = HashSharded("media", shards=8)
    used = set()
    for number in range(200):
        with tenant_context(Client(schema_name=f"tenant{number}")):
            used.add(strategy.bucket_for(None).bucket)
    assert used == {f"media-{number:03}" for number in range(8)}


def test_each_kind_of_a_tenant_has_its_bucket(bare: Minio, new_name: Callable[[str], str]) -> None:
    acme = Client(schema_name=new_name("acme"))
    router = MinioRouter(strategy=TenantAndModel({"docs.Invoice": "invoices", "docs.Receipt": "receipts"}))
    for model, kind in ((Invoice, "invoices"), (Receipt, "receipts")):
        bare.make_bucket(bucket_name=f"{kind}-{acme.schema_name}")
        with tenant_context(acme):
            router.bind(model._meta.get_field("file")).save("a.txt", ContentFile(kind.encode()))
        stored = bare.get_object(bucket_name=f"{kind}-{acme.schema_name}", object_name="a.txt")
        assert stored.data == kind.encode()
    with tenant_context(acme), pytest.raises(ModelRequired):
        router.bind(Contract._meta.get_field("file")).save("a.txt", ContentFile(b"?"))
    found = router.strategy.check([Invoice, Contract])
    assert [message.id for message in found] == ["tenant_and_model.E001"]


@pytest.mark.parametrize("kind", ["a-b", "", "A", "x" * 21, "a_b", "a.b"])
def test_a_kind_that_could_run_into_a_tenant_is_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot use the kind"):
        TenantAndModel({"docs.Invoice": kind})


def test_a_tenant_is_served_by_the_server_of_its_region(
    bare: Minio, new_name: Callable[[str], str], settings: Any
) -> None:
    endpoint = urlsplit(f"//{settings.MINIO_ENDPOINT}")
    keys = {name: getattr(settings, name) for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")}
    settings.MINIO_SERVERS = {
        "frankfurt": {"MINIO_ENDPOINT": f"127.0.0.1:{endpoint.port}", **keys},
        "ohio": {"MINIO_ENDPOINT": f"localhost:{endpoint.port}", **keys},
    }
    strategy = ByDataRegion({"EU": "frankfurt", "US": "ohio"}, field="name")
    router = MinioRouter(strategy=strategy)
    for region, host in (("EU", "127.0.0.1"), ("US", "localhost")):
        tenant = Client(schema_name=new_name(region.lower()), name=region)
        bare.make_bucket(bucket_name=tenant.schema_name)
        with tenant_context(tenant):
            router.save("a.txt", ContentFile(region.encode()))
            assert urlsplit(router.url("a.txt")).hostname == host
        stored = bare.get_object(bucket_name=tenant.schema_name, object_name="a.txt")
        assert stored.data == region.encode()
    mars = Client(schema_name="mars", name="Mars")
    with tenant_context(mars), pytest.raises(RoutingError, match="'Mars'"):
        router.save("a.txt", ContentFile(b"?"))
    assert list(strategy.check([])) == []
    del settings.MINIO_SERVERS
    assert [message.id for message in strategy.check([])] == ["by_data_region.E001"] * 2
