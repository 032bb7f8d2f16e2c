"""A save over the tenant's limit is refused, and forms say so before."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.forms import modelform_factory
from django_tenants.utils import schema_context, tenant_context
from minio import Minio

from django_minio_router import ConfigurationError, MinioRouter, tenant_bucket_context
from django_minio_router.files import quota
from django_minio_router.storage.signals import object_saved, object_saving
from django_minio_router.strategies import FixedBucket, PerTenant, PerTenantPrefix
from tests.apps.brands.models import Font, router
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Note
from tests.support.schemas import make_schema

LIMITS: dict[str, int | None] = {}


def limit_by_name(tenant: Client) -> int | None:
    return LIMITS.get(tenant.name, 100)


def put(bare: Minio, bucket: str, name: str, size: int) -> None:
    bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"x" * size), length=size)


def file_of(size: int) -> ContentFile:
    return ContentFile(b"x" * size, name="file.txt")


def bucket_of(tenant: Client) -> str:
    return f"test-brands-{tenant.schema_name}"


@pytest.fixture(autouse=True)
def limits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """What each tenant, by its name, may store; 100 bytes where a test says nothing."""
    limits: dict[str, int | None] = {}
    monkeypatch.setitem(globals(), "LIMITS", limits)
    settings.MINIO_QUOTA = f"{__name__}.limit_by_name"
    return limits


@pytest.fixture(autouse=True)
def buckets(bare: Minio, north: Client, south: Client) -> None:
    """The strategies of the test project give each tenant this bucket, beside that of its brands."""
    for tenant in (north, south):
        bare.make_bucket(bucket_name=tenant.schema_name)


def test_what_fits_is_stored_and_what_does_not_is_refused(north: Client, bare: Minio) -> None:
    with tenant_bucket_context(north):
        router.save("first.txt", file_of(60))
        with pytest.raises(ValidationError) as refused:
            router.save("second.txt", file_of(41))
        router.save("third.txt", file_of(40))

    assert refused.value.code == "quota"
    assert refused.value.messages == [
        "This file takes 41\xa0bytes, and of 100\xa0bytes only 40\xa0bytes are left."
    ]
    stored = {entry.object_name for entry in bare.list_objects(bucket_name=bucket_of(north))}
    assert stored == {"first.txt", "third.txt"}


def test_a_plain_file_object_is_within_the_limit_as_well(north: Client) -> None:
    """One that is no ``File`` of Django has no ``size``."""
    with tenant_bucket_context(north):
        with pytest.raises(ValidationError):
            router.save("too-large.txt", io.BytesIO(b"x" * 101))
        router.save("fits.txt", io.BytesIO(b"x" * 100))
        with pytest.raises(ValidationError):
            router.save("one-more.txt", io.BytesIO(b"x"))


def test_a_stream_of_unknown_size_counts_with_the_next_measurement(
    north: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *args: Any) -> int:
            raise io.UnsupportedOperation

        tell = seek

    monkeypatch.setattr(quota, "_FRESH_FOR", 0)
    with tenant_bucket_context(north):
        assert router.save("a.txt", File(Stream(b"x" * 100))) == "a.txt"
        with pytest.raises(ValidationError):
            router.save("b.txt", file_of(101))
        with pytest.raises(ValidationError):
            router.save("c.txt", file_of(1))
    assert [entry.object_name for entry in bare.list_objects(bucket_name=bucket_of(north))] == ["a.txt"]


class Lying(ContentFile):
    """Says what it likes of its size."""

    said: Any = None

    @property
    def size(self) -> Any:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    @size.setter
    def size(self, size: int) -> None: ...


@pytest.mark.parametrize(
    "said", [-(10**9), 0, 1, None, "much", float("nan"), float("-inf"), RuntimeError("no")], ids=repr
)
def test_what_was_stored_counts_whatever_the_content_says_of_its_size(north: Client, said: Any) -> None:
    content = Lying(b"x" * 100)
    content.said = said
    with tenant_bucket_context(north):
        router.save("zero.txt", ContentFile(b""))  # so that there is a measurement to add to
        router.save("a.txt", content)
        with pytest.raises(ValidationError):
            router.save("b.txt", file_of(1))


def test_what_is_replaced_makes_room(north: Client, bare: Minio) -> None:
    replacing = MinioRouter(strategy=router.strategy, replace_existing=True)
    with tenant_bucket_context(north):
        for size in (60, 70, 100, 60):
            replacing.save("a.txt", file_of(size))
        router.save("b.txt", file_of(40))
        with pytest.raises(ValidationError):
            replacing.save("a.txt", file_of(61))
        with pytest.raises(ValidationError):
            replacing.save("new.txt", file_of(1))
        with replacing.open("a.txt", "wb") as file:
            file.write(b"x" * 60)


def test_all_buckets_of_the_tenant_count_together(north: Client, bare: Minio) -> None:
    put(bare, north.schema_name, "contract.pdf", 90)

    with tenant_bucket_context(north), pytest.raises(ValidationError):
        router.save("logo.txt", file_of(11))


def test_each_tenant_has_a_limit_of_its_own(
    north: Client, south: Client, limits: dict[str, int | None], bare: Minio
) -> None:
    limits.update(north=10, south=50)
    put(bare, bucket_of(north), "full.txt", 10)

    with tenant_bucket_context(south):
        router.save("fits.txt", file_of(50))
    with tenant_bucket_context(north), pytest.raises(ValidationError):
        router.save("does-not.txt", file_of(1))


def test_none_is_no_limit(north: Client, limits: dict[str, int | None]) -> None:
    limits["north"] = None

    with tenant_bucket_context(north):
        assert router.save("large.txt", file_of(5000)) == "large.txt"


def test_a_form_shows_it_at_the_field(north: Client) -> None:
    make_schema(north)
    form_class = modelform_factory(Contract, fields=["file"])
    with tenant_context(north):
        form = form_class({}, {"file": SimpleUploadedFile("a.pdf", b"x" * 101)})
        assert form.errors == {
            "file": ["This file takes 101\xa0bytes, and of 100\xa0bytes only 100\xa0bytes are left."]
        }
        form = form_class({}, {"file": SimpleUploadedFile("a.pdf", b"x" * 100)})
        assert form.is_valid(), form.errors
        row = form.save()
        row.full_clean()  # what is stored already is not counted again


def test_a_row_of_public_is_within_the_limit_of_its_owner(north: Client, south: Client, bare: Minio) -> None:
    put(bare, bucket_of(north), "full.txt", 100)
    with tenant_context(south):
        font = Font(brand=Font.brand.field.related_model(company=north))
        font.file = file_of(1)
        with pytest.raises(ValidationError, match="This file takes"):
            font.clean_fields(exclude=["brand", "licence"])
        with pytest.raises(ValidationError):
            font.file.save("a.woff", file_of(1), save=False)


def test_deleted_files_make_room_although_the_last_measurement_counts_them(
    north: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "_FRESH_FOR", 0)
    with tenant_bucket_context(north):
        name = router.save("a.txt", file_of(100))
        router.delete(name)
        assert router.save("b.txt", file_of(100)) == "b.txt"


def test_a_measurement_is_kept_so_that_not_every_save_lists_the_buckets(north: Client, bare: Minio) -> None:
    with tenant_bucket_context(north):
        router.save("a.txt", file_of(1))
        put(bare, bucket_of(north), "by-other-means.txt", 100)
        assert router.save("b.txt", file_of(1)) == "b.txt"
        with pytest.raises(ValidationError):  # 2 bytes are known, and counted as they were stored
            router.save("c.txt", file_of(99))


def test_buckets_that_are_not_the_tenants_alone_have_no_limit(
    north: Client, bucket: str, limits: dict[str, int | None]
) -> None:
    limits["north"] = 0
    with tenant_bucket_context(north):
        assert MinioRouter(strategy=FixedBucket(bucket, public_read=False)).save("a.txt", file_of(5))


def test_public_has_no_limit(bucket: str, settings: Any, limits: dict[str, int | None]) -> None:
    strategy = PerTenant(public=bucket)
    with schema_context("public"):
        assert MinioRouter(strategy=strategy).save("a.txt", file_of(5000)) == "a.txt"


def test_the_folder_of_a_shared_bucket_is_limited_as_well(
    north: Client, south: Client, bucket: str, settings: Any
) -> None:
    strategy = PerTenantPrefix(bucket)
    settings.MINIO_PRIVATE_BUCKETS = [strategy]
    in_folders = MinioRouter(strategy=strategy)
    for tenant in (north, south):
        with tenant_bucket_context(tenant):
            in_folders.save("a.txt", file_of(60))
            with pytest.raises(ValidationError):
                in_folders.save("b.txt", file_of(60))


def test_a_refused_save_stores_nothing_and_counts_nothing(north: Client, bare: Minio) -> None:
    with tenant_bucket_context(north):
        for _ in range(3):
            with pytest.raises(ValidationError):
                router.save("a.txt", file_of(101))
        router.save("b.txt", file_of(100))

    assert [entry.object_name for entry in bare.list_objects(bucket_name=bucket_of(north))] == ["b.txt"]


def test_without_the_setting_nothing_is_asked(
    north: Client, settings: Any, django_assert_num_queries: Any
) -> None:
    del settings.MINIO_QUOTA
    with tenant_bucket_context(north.schema_name), django_assert_num_queries(0):
        router.save("a.txt", file_of(5000))


def test_the_setting_may_be_the_callable_itself(north: Client, settings: Any) -> None:
    settings.MINIO_QUOTA = lambda tenant: 10

    with tenant_bucket_context(north), pytest.raises(ValidationError):
        router.save("a.txt", file_of(11))


@pytest.mark.parametrize("wrong", ["nowhere.quota", "os.sep", 3])
def test_a_wrong_setting_is_found_by_check_and_when_it_is_used(
    settings: Any, north: Client, wrong: object
) -> None:
    settings.MINIO_QUOTA = wrong

    assert "minio_router.E001" in {message.id for message in run_checks() if "MINIO_QUOTA" in message.msg}
    with tenant_bucket_context(north), pytest.raises(ConfigurationError, match="MINIO_QUOTA"):
        router.save("a.txt", file_of(1))


@pytest.mark.parametrize("answer", ["100", b"100", [100], float("nan")], ids=repr)
def test_what_is_no_number_of_bytes_is_named(north: Client, limits: dict[str, Any], answer: Any) -> None:
    limits["north"] = answer
    wrong = pytest.raises(ConfigurationError, match=f"MINIO_QUOTA gave {re.escape(repr(answer))} for")
    with tenant_bucket_context(north), wrong:
        router.save("a.txt", file_of(1))


def test_fields_that_do_not_route_are_left_alone(settings: Any) -> None:
    note = Note(file=file_of(5000))

    note.clean_fields()


def test_migrations_do_not_show_it(db: None) -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_saves_are_watched_only_while_there_is_a_limit(settings: Any) -> None:
    def watching() -> list[bool]:
        signals = (object_saving, object_saved)
        return ["minio_router.quota" in {entry[0][0] for entry in signal.receivers} for signal in signals]

    assert watching() == [True, True]
    settings.MINIO_QUOTA = None
    assert watching() == [False, False]
    settings.MINIO_QUOTA = 3  # an error, which each save raises
    assert watching() == [True, True]
