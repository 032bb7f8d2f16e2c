"""``clone_tenant`` of django-tenants: the clone gets its buckets, and, if asked, copies of the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import models
from django.db.models import Model
from django_tenants.utils import schema_context, tenant_context

from django_minio_router import MinioRouter
from django_minio_router.exceptions import BucketNotFound
from django_minio_router.strategies import FixedBucket, PerTenant
from tests.apps.brands.models import router
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt

pytestmark = pytest.mark.django_db(transaction=True)

NewName = Callable[[str], str]
Contents = Callable[[str], dict[str, bytes]]


@pytest.fixture
def names(new_name: NewName) -> Iterator[tuple[str, str]]:
    """The schemas of a tenant and its clone, which are removed at the end."""
    made = new_name("a").replace("-", ""), new_name("b").replace("-", "")
    yield made
    for tenant in Client.objects.filter(schema_name__in=made):
        tenant.delete(force_drop=True)


def clone(first: str, second: str) -> None:
    options = {"clone_from": first, "clone_tenant_fields": "yes", "schema_name": second}
    domain = {"domain_domain": f"{second}.example.com", "domain_is_primary": "False", "domain_tenant_id": "-"}
    call_command("clone_tenant", **options, **domain)


def test_a_clone_has_its_buckets_and_is_given_copies(
    use: Any, bucket: str, names: tuple[str, str], contents: Contents
) -> None:
    use(Receipt, MinioRouter(strategy=PerTenant(f"{bucket[:20]}-{{schema_name}}")))
    first, second = names
    tenant = Client(schema_name=first, name="First")
    tenant.auto_create_schema = True
    tenant.save(verbosity=0)
    with tenant_context(tenant):
        Receipt.objects.create(file=ContentFile(b"x", "a.txt"))

    clone(first, second)
    assert contents(f"{bucket[:20]}-{second}") == {}
    call_command("move_objects", "--tenant", second, "--copy", first)

    with schema_context(second):
        assert Receipt.objects.get().file.read() == b"x"
    for schema in names:
        assert contents(f"{bucket[:20]}-{schema}") == {"a.txt": b"x"}


def test_the_logo_in_a_clones_own_row_is_copied_as_it_is_saved(
    monkeypatch: pytest.MonkeyPatch, new_name: NewName
) -> None:
    """The bucket is not there yet then, and the row was read, so it looks like an old one."""
    first = Client.objects.create(schema_name=new_name("t"), name="First")
    copied = Client.objects.get(pk=first.pk)
    copied.pk, copied.schema_name = None, new_name("c")

    def store(*, instance: Model, **kwargs: object) -> None:
        if instance is copied:
            router.on_behalf_of(instance).save("logo.txt", ContentFile(b"logo"))

    models.signals.pre_save.connect(store, sender=Client)
    try:
        copied.save()
    finally:
        models.signals.pre_save.disconnect(store, sender=Client)

    assert router.on_behalf_of(copied).open("logo.txt").read() == b"logo"
    assert not router.on_behalf_of(first).exists("logo.txt")


@pytest.mark.parametrize("options", [[], ["--tenant={0}"], ["--tenant={1}", "--delete-source"]])
def test_a_copy_is_for_another_tenant_and_keeps_the_files(new_name: NewName, options: list[str]) -> None:
    tenants = [Client.objects.create(schema_name=new_name("t"), name="x").schema_name for _ in range(2)]
    with pytest.raises(CommandError, match="to another, and keeps them"):
        call_command("move_objects", f"--copy={tenants[0]}", *(text.format(*tenants) for text in options))


def test_a_missing_bucket_of_a_tenant_names_the_command_for_it(new_name: NewName) -> None:
    schema_name = new_name("t")
    Client.objects.bulk_create([Client(schema_name=schema_name, name="x")])

    with pytest.raises(BucketNotFound, match=f"initialize_buckets --tenant {schema_name}'"):
        router.on_behalf_of(schema_name).save("a.txt", ContentFile(b"x"))
    with pytest.raises(BucketNotFound, match="initialize_buckets'"):
        MinioRouter(strategy=FixedBucket(schema_name)).save("a.txt", ContentFile(b"x"))
