"""Whatever strategies a project mixes, and whoever stores: what a row refers to is there after a cleaning."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.core.files.base import ContentFile
from django.db.models import Model, QuerySet
from django_tenants.utils import schema_context, tenant_context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter, ModelRequired, TenantRequired
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant, PerTenantPrefix
from tests.apps.customers.models import Client
from tests.apps.everywhere.models import Paper
from tests.apps.in_public.models import Notice
from tests.apps.per_tenant.models import Receipt
from tests.support.schemas import Clean, Use

pytestmark = pytest.mark.django_db

FIELDS = [(Paper, "file"), (Paper, "scan"), (Notice, "file"), (Receipt, "file"), (Receipt, "scan")]
LABELS = ["everywhere.Paper", "in_public.Notice", "per_tenant.Receipt"]
# Names that meet in each other's folders.
NAMES = ["a", "north/a", "south/a", "public/a", "north/north/a"]
KINDS = {
    "a bucket": lambda buckets: MinioBackend(buckets[0], public=False),
    "another bucket": lambda buckets: MinioRouter(strategy=FixedBucket(buckets[1], public_read=False)),
    "per model": lambda buckets: MinioRouter(
        strategy=PerModel(dict(zip(LABELS, [buckets[0], buckets[1], buckets[1]], strict=True)))
    ),
    "per tenant": lambda buckets: MinioRouter(strategy=per_tenant(buckets)),
    "per tenant and public": lambda buckets: MinioRouter(strategy=per_tenant(buckets, public=buckets[1])),
    "a folder": lambda buckets: MinioRouter(strategy=PerTenantPrefix(buckets[0], field="name")),
    "a folder and public": lambda buckets: MinioRouter(
        strategy=PerTenantPrefix(buckets[0], field="name", public="public")
    ),
    "not moved yet": lambda buckets: MinioRouter(
        strategy=per_tenant(buckets), fallback=MinioBackend(buckets[0], public=False)
    ),
}
WHO = ["public", "north", "south"]
ARGUMENTS = st.sampled_from([["--all-tenants"], ["--tenant=north"], ["--tenant=north", "--tenant=south"], []])
SAVES = st.lists(
    st.tuples(st.sampled_from(WHO), st.sampled_from(FIELDS), st.sampled_from(NAMES), st.booleans()),
    min_size=1,
    max_size=8,
)


def per_tenant(buckets: list[str], public: str | None = None) -> PerTenant:
    return PerTenant(f"{buckets[0]}-{{name}}", public=public)


@pytest.fixture
def world(
    north: Client, south: Client, bare: Minio, new_name: Callable[[str], str]
) -> Callable[[], list[str]]:
    """Return a function that takes away all rows, and makes the buckets for new ones."""

    def world() -> list[str]:
        for who in WHO:
            with acting(who, north, south):
                for model, _ in FIELDS:
                    if has_table(model, who):
                        QuerySet(model).delete()
        buckets = [new_name("one"), new_name("two")]
        for name in [*buckets, *(f"{buckets[0]}-{tenant.name}" for tenant in (north, south))]:
            bare.make_bucket(bucket_name=name)
        return buckets

    return world


def acting(who: str, *tenants: Client) -> AbstractContextManager[object]:
    named = {tenant.name: tenant for tenant in tenants}
    return tenant_context(named[who]) if who in named else schema_context("public")


def has_table(model: type[Model], who: str) -> bool:
    return model is not (Receipt if who == "public" else None)


def store(model: type[Model], field: str, name: str, content: bytes) -> Model | None:
    row = model()
    try:
        getattr(row, field).save(name, ContentFile(content))
    except (TenantRequired, ModelRequired):
        return None
    return row


def leave_in_the_old_place(bare: Minio, bucket: str, model: type[Model], field: str, name: str) -> Model:
    """Make a row whose file was stored before its field got a strategy."""
    name = f"{name}.old"  # which nothing else is called, as it would be replaced
    bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(b"old"), length=3)
    row = model(**{field: name})
    row.save()
    return row


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=len(FIELDS), max_size=len(FIELDS)),
    saves=SAVES,
    cleaner=st.sampled_from(WHO),
    arguments=ARGUMENTS,
)
def test_what_a_row_refers_to_is_still_there(
    kinds: list[str],
    saves: list[tuple[str, tuple[type[Model], str], str, bool]],
    cleaner: str,
    arguments: list[str],
    world: Callable[[], list[str]],
    north: Client,
    south: Client,
    bare: Minio,
    use: Use,
    clean: Clean,
) -> None:
    buckets = world()
    kind_of = dict(zip(FIELDS, kinds, strict=True))
    for (model, field), kind in kind_of.items():
        use(model, KINDS[kind](buckets), field)
    kept = []
    for who, (model, field), name, is_old in saves:
        if not has_table(model, who):
            continue
        with acting(who, north, south):
            whose = "public" if model is Notice else who  # which has no bucket below
            old = is_old and whose != "public" and kind_of[model, field] == "not moved yet"
            row = (
                leave_in_the_old_place(bare, buckets[0], model, field, name)
                if old
                else store(model, field, name, f"{who} {name}".encode())
            )
            if row is not None:
                kept.append((who, row, field, getattr(row, field).open().read()))
    for bucket in (*buckets, *(f"{buckets[0]}-{name}" for name in ("north", "south"))):
        bare.put_object(bucket_name=bucket, object_name="lost", data=io.BytesIO(b"x"), length=1)

    with acting(cleaner, north, south):
        named = [
            part.replace("north", north.schema_name).replace("south", south.schema_name) for part in arguments
        ]
        clean(*named)

    for who, row, field, content in kept:
        with acting(who, north, south):
            assert getattr(row, field).open().read() == content, (who, row._meta.label, field, str(row))
