"""A bucket per model: whose bucket a field's files go to, however the field came by its router."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import models
from django.test.utils import isolate_apps
from minio import Minio
from minio.error import S3Error

from django_minio_router import ConfigurationError, InvalidBucketName, MinioRouter, ModelRequired
from django_minio_router.strategies import PerModel
from tests.apps.docs.models import (
    Fax,
    Invoice,
    InvoiceProxy,
    Letter,
    PaidInvoice,
    Receipt,
    Report,
    chosen_storage,
    shared,
)

BUCKETS = {
    "test-docs-invoices",
    "test-docs-receipt",
    "test-docs-letter",
    "test-docs-fax",
    "test-docs-paidinvoice",
    "test-docs-reports",
}


@pytest.fixture(scope="module", autouse=True)
def buckets(bare: Minio) -> None:
    for bucket in BUCKETS:
        with suppress(S3Error):  # another worker was faster
            bare.make_bucket(bucket_name=bucket)
        assert bare.bucket_exists(bucket_name=bucket)


def holders(bare: Minio, name: str) -> set[str]:
    """Return the buckets that hold an object of that name."""
    return {
        bucket
        for bucket in BUCKETS
        if list(bare.list_objects(bucket_name=bucket, prefix=name, recursive=True))
    }


@pytest.mark.parametrize(
    ("model", "field", "bucket"),
    [
        pytest.param(Invoice, "file", "test-docs-invoices", id="mapped"),
        pytest.param(Invoice, "scan", "test-docs-invoices", id="a second field of it"),
        pytest.param(Receipt, "file", "test-docs-receipt", id="another model with the same router"),
        pytest.param(Letter, "file", "test-docs-letter", id="child of an abstract model"),
        pytest.param(Fax, "file", "test-docs-fax", id="its other child"),
        pytest.param(InvoiceProxy, "file", "test-docs-invoices", id="proxy"),
        pytest.param(PaidInvoice, "file", "test-docs-invoices", id="inherited field of a multi-table child"),
        pytest.param(PaidInvoice, "proof", "test-docs-paidinvoice", id="its own field"),
        pytest.param(Report, "file", "test-docs-reports", id="callable storage"),
    ],
)
def test_a_file_goes_to_the_bucket_of_the_model_that_defines_the_field(
    model: type[models.Model], field: str, bucket: str, bare: Minio
) -> None:
    name = f"{secrets.token_hex(8)}.txt"
    file = getattr(model(), field)
    file.save(name, ContentFile(b"content"), save=False)
    assert file.name == name
    assert holders(bare, name) == {bucket}
    assert file.storage.open(name).read() == b"content"
    assert f"/{bucket}/{name}" in file.url
    file.delete(save=False)
    assert holders(bare, name) == set()


def test_the_routers_themselves_know_no_model() -> None:
    for router in (shared, chosen_storage()):
        with pytest.raises(ModelRequired, match="not bound to a field"):
            router.url("a.txt")


CALLS = [
    lambda storage: storage.save("a.txt", ContentFile(b"a")),
    lambda storage: storage.open("a.txt"),
    lambda storage: storage.delete("a.txt"),
    lambda storage: storage.exists("a.txt"),
    lambda storage: storage.listdir(""),
    lambda storage: storage.size("a.txt"),
    lambda storage: storage.url("a.txt"),
    lambda storage: storage.get_modified_time("a.txt"),
    lambda storage: storage.get_available_name("a.txt"),
]


@pytest.mark.parametrize("call", CALLS)
def test_outside_of_a_field_every_call_raises(call: Any) -> None:
    with pytest.raises(ModelRequired):
        call(shared)


@pytest.mark.parametrize("call", CALLS)
def test_for_a_model_without_a_bucket_every_call_raises(call: Any) -> None:
    router = MinioRouter(strategy=PerModel({"docs.Invoice": "invoices"}))
    with pytest.raises(ModelRequired, match=r"no bucket for docs\.Receipt"):
        call(router.bind(Receipt._meta.get_field("file")))


def bucket_for(strategy: PerModel, model: type[models.Model] | None) -> str:
    return strategy.bucket_for(model)


class TestWhichBucket:
    def test_the_mapping_comes_before_the_template_and_that_before_the_default(self) -> None:
        strategy = PerModel({"docs.Invoice": "mapped"}, template="a-{model_name}", default="rest")
        assert bucket_for(strategy, Invoice) == "mapped"
        assert bucket_for(strategy, Receipt) == "a-receipt"
        assert bucket_for(strategy, None) == "rest"
        assert bucket_for(PerModel({"docs.Invoice": "mapped"}, default="rest"), Receipt) == "rest"

    def test_labels_are_read_as_django_reads_them(self) -> None:
        assert bucket_for(PerModel({"docs.paidinvoice": "paid"}), PaidInvoice) == "paid"
        assert bucket_for(PerModel({"docs.PAIDINVOICE": "paid"}), PaidInvoice) == "paid"
        with isolate_apps():

            class Upper(models.Model):
                class Meta:
                    app_label = "Shop"

        assert bucket_for(PerModel({"Shop.Upper": "shop"}), Upper) == "shop"

    def test_apps_and_models_with_difficult_names_stay_apart(self) -> None:
        with isolate_apps():
            found = {}
            for app_label, name in [("a_b", "C"), ("a", "B_C"), ("A_b", "C"), ("a", "Bc"), ("é", "C")]:
                meta = type("Meta", (), {"app_label": app_label})
                model = type(name, (models.Model,), {"__module__": __name__, "Meta": meta})
                found[app_label, name] = bucket_for(PerModel(template="{app_label}-{model_name}"), model)
        assert len(set(found.values())) == 5, found
        assert found["a_b", "C"] == "a--b-c"
        assert found["a", "B_C"] == "a-b--c"

    def test_all_buckets_are_enumerated(self) -> None:
        strategy = PerModel({"docs.Invoice": "mapped"}, template="a-{model_name}", default="rest")
        assert set(strategy.buckets_for([Invoice, Receipt])) == {"mapped", "a-receipt", "rest"}
        assert set(PerModel({"docs.Invoice": "mapped"}).buckets_for([Receipt])) == {"mapped"}

    @pytest.mark.parametrize("bucket", ["", "No", "a_b"])
    def test_an_invalid_bucket_is_named_with_the_strategy(self, bucket: str) -> None:
        router = MinioRouter(strategy=PerModel({"docs.Invoice": bucket}, default="rest"))
        with pytest.raises(InvalidBucketName, match=rf"PerModel\(\{{'docs.Invoice': '{bucket}'\}}.*default="):
            router.bind(Invoice._meta.get_field("file")).url("a.txt")


class TestArguments:
    @pytest.mark.parametrize(
        "label", ["Invoice", "docs.", ".Invoice", "docs.Invoice.file", "docs Invoice", "", None, 1, Invoice]
    )
    def test_a_malformed_label_is_refused(self, label: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"Write 'app_label\.ModelName'"):
            PerModel({label: "invoices"})

    @pytest.mark.parametrize("buckets", ["media-{model_name}", ["docs.Invoice"], 7])
    def test_what_is_no_mapping_is_refused(self, buckets: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"or template=\.\.\. for a pattern"):
            PerModel(buckets)

    @pytest.mark.parametrize("template", ["", "media", "{model_name", "Media-{model_name}"])
    def test_a_malformed_template_is_refused(self, template: str) -> None:
        with pytest.raises(ConfigurationError, match="bucket template"):
            PerModel(template=template)

    def test_a_template_over_something_else_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match=r"\['schema_name'\]. Use \{app_label\}"):
            PerModel(template="{model_name}-{schema_name}")

    def test_mistakes_are_reported_by_check(self) -> None:
        def ids(strategy: PerModel) -> list[str | None]:
            return [message.id for message in strategy.check([Invoice, Receipt])]

        complete = {"docs.Invoice": "invoices", "docs.Receipt": "receipts"}
        assert ids(PerModel(complete)) == []
        assert ids(PerModel(template="media-{model_name}")) == []
        assert ids(PerModel({"docs.Invoice": "invoices"})) == ["minio_router.E011"]
        assert ids(PerModel(complete | {"docs.Invoices": "typo"})) == ["minio_router.E013"]
        assert ids(PerModel(complete | {"dosc.Invoice": "typo"})) == ["minio_router.E013"]
        assert ids(PerModel(complete | {"docs.InvoiceProxy": "never"})) == ["minio_router.W002"]
        assert ids(PerModel(complete, default="Not_Valid")) == ["minio_router.E006"]


def test_models_made_at_run_time_are_bound_too() -> None:
    with isolate_apps("tests.apps.docs"):

        class Made(models.Model):
            file = models.FileField(storage=shared)

            class Meta:
                app_label = "docs"

    storage: Storage = Made._meta.get_field("file").storage
    assert storage.backend.bucket == "test-docs-made"
    assert Invoice._meta.get_field("file").storage.backend.bucket == "test-docs-invoices"
