"""Each built-in strategy, in each of its forms, keeps the contract."""

from __future__ import annotations

from collections.abc import Iterable

from django_minio_router.strategies import (
    BucketStrategy,
    FixedBucket,
    PerModel,
    PerTenant,
    PerTenantPrefix,
)
from django_minio_router.testing import StrategyContract
from tests.apps.customers.models import Client
from tests.apps.docs.models import Fax, Invoice, Letter, PaidInvoice, Receipt

from .hostile import tenants


def bucket_of(tenant: Client) -> str:
    return f"media-{tenant.pk}"


class TestFixedBucket(StrategyContract):
    keeps_tenants_apart = False  # that is what it is for

    def make_strategy(self) -> BucketStrategy:
        return FixedBucket("reports")

    def make_different(self) -> Iterable[BucketStrategy]:
        return [FixedBucket("report"), FixedBucket("reports", public_read=True)]

    def make_tenants(self) -> list[Client]:
        return tenants()


class TestPerTenant(StrategyContract):
    needs_tenant = True

    def make_strategy(self) -> BucketStrategy:
        return PerTenant()

    def make_different(self) -> Iterable[BucketStrategy]:
        different = [PerTenant("a-{schema_name}"), PerTenant(public="shared"), PerTenant(public_read=True)]
        # It names a field, and PerTenant() the key, whatever that is. Where both are one, so are the buckets.
        return [*different, PerTenant("{schema_name}")]

    def make_tenants(self) -> list[Client]:
        return tenants()


class TestPerTenantTemplateOverFields(TestPerTenant):
    def make_strategy(self) -> BucketStrategy:
        return PerTenant("media-{schema_name}.{id}", public_read=True)

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerTenant("media-{schema_name}.{id}"), PerTenant("media-{id}.{schema_name}")]


class TestPerTenantField(TestPerTenant):
    def make_strategy(self) -> BucketStrategy:
        return PerTenant(field="name")

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerTenant(field="schema_name"), PerTenant("{name}")]


class TestPerTenantFunction(TestPerTenant):
    def make_strategy(self) -> BucketStrategy:
        return PerTenant(function=bucket_of)

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerTenant(function=tenants)]


class TestPerTenantWithPublic(TestPerTenant):
    needs_tenant = False

    def make_strategy(self) -> BucketStrategy:
        return PerTenant("acme-{schema_name}", public="shared")

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerTenant("acme-{schema_name}"), PerTenant("acme-{schema_name}", public="shared2")]


class TestPerTenantPrefix(TestPerTenant):
    def make_strategy(self) -> BucketStrategy:
        return PerTenantPrefix("everything")

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerTenantPrefix("everything", "a-{schema_name}"), PerTenantPrefix("all"), PerTenant()]


class TestPerModelMapping(StrategyContract):
    needs_model = True
    models = (Invoice, Receipt)

    def make_strategy(self) -> BucketStrategy:
        return PerModel({"docs.Invoice": "invoices", "docs.Receipt": "receipts"})

    def make_different(self) -> Iterable[BucketStrategy]:
        return [
            PerModel({"docs.Invoice": "receipts", "docs.Receipt": "invoices"}),
            PerModel({"docs.Invoice": "invoices"}),
        ]


class TestPerModelTemplate(StrategyContract):
    needs_model = True
    models = (Invoice, Receipt, Letter, Fax, PaidInvoice)

    def make_strategy(self) -> BucketStrategy:
        return PerModel({"docs.Invoice": "invoices"}, template="media-{app_label}-{model_name}")

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerModel({"docs.Invoice": "invoices"}, template="media-{model_name}")]


class TestPerModelDefault(StrategyContract):
    models = (Invoice, Receipt)

    def make_strategy(self) -> BucketStrategy:
        return PerModel({"docs.Invoice": "invoices"}, default="media", public_read=True)

    def make_different(self) -> Iterable[BucketStrategy]:
        return [PerModel({"docs.Invoice": "invoices"}, default="media"), PerModel(default="media")]


def test_a_fixed_bucket_reports_a_name_that_s3_refuses() -> None:
    assert list(FixedBucket("reports").check([])) == []
    (message,) = FixedBucket("Re_ports").check([])
    assert message.id == "minio_router.E006"
    assert "FixedBucket('Re_ports') gives the bucket name 'Re_ports'" in message.msg
