"""Rows count whatever storage their field has: one around ours, of another package, or chosen by the file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import InMemoryStorage, Storage, default_storage
from django.db.models.fields.files import FieldFile
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.strategies import FixedBucket, PerTenant
from tests.apps.customers.models import Client
from tests.apps.everywhere.models import Paper
from tests.apps.in_public.models import Notice
from tests.apps.per_tenant.models import Receipt
from tests.support.schemas import Clean, Use

pytestmark = pytest.mark.django_db

Names = Callable[[str], set[str]]


class Sealing(Storage):
    """A storage around another, which has its say in the names."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    def _save(self, name: str, content: File[Any]) -> str:
        return self.inner.save(f"{name}.sealed", content).removesuffix(".sealed")

    def exists(self, name: str) -> bool:
        return self.inner.exists(f"{name}.sealed")


class OfAnotherPackage(Storage):
    """A storage that shares nothing with this package but the bucket."""

    def __init__(self, bare: Minio, bucket: str) -> None:
        self.connection = bare, bucket

    def _save(self, name: str, content: File[Any]) -> str:
        sdk, bucket = self.connection
        put(sdk, bucket, f"media/{name}")
        return name

    def exists(self, name: str) -> bool:
        return False


def put(bare: Minio, bucket: str, *names: str) -> None:
    for name in names:
        bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"x"), length=1)


def store(model: type[Any], name: str) -> None:
    model().file.save(name, ContentFile(b"x"))


@pytest.fixture
def shared(bucket: str, use: Use, bare: Minio) -> str:
    """A bucket that a field of ours stores in as well, with an orphan."""
    use(Notice, MinioBackend(bucket, public=False))
    put(bare, bucket, "lost.txt")
    return bucket


@pytest.mark.parametrize("inner", ["a backend", "a router"])
def test_a_storage_around_one_of_ours_leaves_its_bucket_alone(
    shared: str, use: Use, clean: Clean, names: Names, inner: str
) -> None:
    """Only the storage itself knows what its objects are called."""
    ours = (
        MinioBackend(shared, public=False)
        if inner == "a backend"
        else MinioRouter(strategy=FixedBucket(shared, public_read=False))
    )
    use(Paper, Sealing(ours))
    store(Paper, "a.txt")

    output = clean("--all-tenants")

    assert names(shared) == {"a.txt.sealed", "lost.txt"}
    assert f"{shared} is left alone: Sealing stores there for everywhere.Paper.file" in output


def test_a_storage_of_another_package_may_put_a_folder_before_the_name(
    shared: str, use: Use, clean: Clean, names: Names, bare: Minio
) -> None:
    use(Paper, OfAnotherPackage(bare, shared))
    store(Paper, "a.txt")
    put(bare, shared, "media/other.txt")

    clean("--all-tenants")

    assert names(shared) == {"media/a.txt"}


def test_a_function_that_makes_the_default_storage_is_asked_for_it(
    shared: str, use: Use, clean: Clean, names: Names, settings: Any
) -> None:
    path = f"{__name__}.make_storage"
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": path, "OPTIONS": {"bucket": shared}}}
    use(Paper, default_storage)
    store(Paper, "a.txt")

    clean("--all-tenants")

    assert names(shared) == {"a.txt"}


def make_storage(bucket: str) -> MinioBackend:
    return MinioBackend(bucket, public=False)


def test_a_storage_that_each_file_chooses_counts(
    shared: str, use: Use, clean: Clean, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Choosing(FieldFile):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.storage = MinioBackend(shared, public=False)

    use(Paper, InMemoryStorage())
    monkeypatch.setattr(Paper._meta.get_field("file"), "attr_class", Choosing)
    store(Paper, "a.txt")

    clean("--all-tenants")

    assert names(shared) == {"a.txt"}


def test_a_tenants_rows_count_in_the_buckets_of_that_tenant(
    use: Use,
    clean: Clean,
    names: Names,
    bare: Minio,
    new_name: Callable[[str], str],
    north: Client,
    south: Client,
) -> None:
    strategy = PerTenant(new_name("t") + "-{schema_name}")
    buckets = []
    for tenant in (north, south):
        with tenant_context(tenant):
            buckets.append(str(strategy.bucket_for(None)))
        bare.make_bucket(bucket_name=buckets[-1])
        put(bare, buckets[-1], "media/a.txt")
    use(Receipt, MinioRouter(strategy=strategy), "scan")
    use(Receipt, OfAnotherPackage(bare, buckets[0]))
    with tenant_context(north):
        store(Receipt, "a.txt")

    clean("--all-tenants")

    assert list(map(names, buckets)) == [{"media/a.txt"}, set()]
