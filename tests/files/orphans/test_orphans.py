"""``clean_orphaned_minio_files`` deletes what nobody refers to, and nothing else."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Collection, Iterable
from contextvars import ContextVar
from datetime import datetime

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError
from django.db import connection
from django.db.models import FileField, Model
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter, tenant_bucket_context
from django_minio_router.files import orphans
from django_minio_router.inventory import catalogue
from django_minio_router.strategies import (
    BucketStrategy,
    FixedBucket,
    PerModel,
    PerTenant,
    PerTenantPrefix,
)
from django_minio_router.tenancy.none import NoTenancy
from tests.apps.customers.models import Client
from tests.apps.everywhere.models import Paper
from tests.apps.in_public.models import Notice
from tests.apps.per_tenant.models import Errand, Receipt
from tests.support.schemas import Clean, Use

pytestmark = pytest.mark.django_db

Names = Callable[[str], set[str]]


def put(bare: Minio, bucket: str, *names: str, content: bytes = b"x") -> None:
    """Store objects that no row refers to."""
    for name in names:
        bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(content), length=len(content))


def store(model: type[Model], name: str, field: str = "file", **values: object) -> Model:
    """Store a file through a field, and save its row."""
    row = model(**values)
    getattr(row, field).save(name, ContentFile(b"kept"))
    return row


def fixed(bucket: str) -> MinioRouter:
    return MinioRouter(strategy=FixedBucket(bucket, public_read=False))


@pytest.fixture
def tenant_buckets(bare: Minio, north: Client, south: Client, new_name: Callable[[str], str]) -> PerTenant:
    """A bucket for each of the two tenants, on the server."""
    strategy = PerTenant(new_name("t") + "-{schema_name}")
    for tenant in (north, south):
        bare.make_bucket(bucket_name=bucket_of(strategy, tenant))
    return strategy


def bucket_of(strategy: BucketStrategy, tenant: Client) -> str:
    with tenant_context(tenant):
        return str(strategy.bucket_for(None))


# One bucket


def test_an_object_without_a_row_is_deleted_and_one_with_a_row_stays(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Notice, MinioBackend(bucket, public=False))
    store(Notice, "2026/kept.txt")
    put(bare, bucket, "2026/lost.txt", "ü 日本+&?#%.txt")

    output = clean("--all-tenants")

    assert names(bucket) == {"2026/kept.txt"}
    assert f"orphan: {bucket}/2026/lost.txt\n" in output
    assert "2 deleted, 0 spared, 0 failed." in output


def test_a_bucket_of_which_most_would_go_is_left_alone_unless_told_so(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Notice, MinioBackend(bucket, public=False))
    store(Notice, "kept.txt")
    put(bare, bucket, "a.txt", "b.txt")

    with pytest.raises(CommandError):
        clean(max_share=0.5)
    assert names(bucket) == {"kept.txt", "a.txt", "b.txt"}
    assert "2 of its 3 objects are orphans" in clean("--dry-run", max_share=0.5)

    clean(max_share=0.7)
    assert names(bucket) == {"kept.txt"}


def test_a_row_that_takes_an_old_name_back_while_others_are_deleted_keeps_its_file(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(Notice, MinioBackend(bucket, public=False))
    put(bare, bucket, *(f"{number:03}.txt" for number in range(40)))
    delete = orphans._delete
    taken = []

    def another_writer(*arguments: object) -> object:
        if not taken:
            taken.append(Notice(file="039.txt"))
        return delete(*arguments)

    monkeypatch.setattr(orphans, "_delete", another_writer)
    looked = orphans.Sweep.unreferenced

    def save_between_groups(sweep: orphans.Sweep, place: object, objects: Iterable[str]) -> set[str]:
        if taken and taken[0].pk is None:
            taken[0].save()
        return looked(sweep, place, objects)

    monkeypatch.setattr(orphans.Sweep, "unreferenced", save_between_groups)

    clean("--all-tenants")

    assert names(bucket) == {"039.txt"}


def test_a_table_in_schemas_of_tenants_that_are_not_known_leaves_the_bucket_alone(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a package for tenants that is not django-tenants: public alone is seen."""
    use(Notice, MinioBackend(bucket, public=False))
    put(bare, bucket, "of-a-tenant.txt")
    table = Notice._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE SCHEMA elsewhere; CREATE TABLE elsewhere."{table}" (file varchar)')
        cursor.execute(f"INSERT INTO elsewhere.\"{table}\" VALUES ('of-a-tenant.txt')")
    monkeypatch.setattr(catalogue, "get_tenancy", NoTenancy)

    output = clean()

    assert names(bucket) == {"of-a-tenant.txt"}
    assert f"has the table '{table}' in the schema 'elsewhere' too" in output


def test_names_are_compared_exactly(bucket: str, bare: Minio, use: Use, clean: Clean, names: Names) -> None:
    use(Notice, fixed(bucket))
    store(Notice, "a_b.txt")
    put(bare, bucket, "A_b.txt", "a%b.txt", "aXb.txt", "a_b.txt.bak", "x/a_b.txt")

    clean("--all-tenants")

    assert names(bucket) == {"a_b.txt"}


def test_the_file_of_a_deleted_row_is_an_orphan(bucket: str, use: Use, clean: Clean, names: Names) -> None:
    use(Notice, fixed(bucket))
    store(Notice, "gone.txt").delete()

    clean("--all-tenants")

    assert names(bucket) == set()


def test_more_objects_than_a_page_are_all_looked_at(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_PAGE", 3)
    use(Notice, fixed(bucket))
    put(bare, bucket, *(f"lost-{number}" for number in range(8)))
    kept = {store(Notice, f"kept-{number}").file.name for number in range(8)}

    clean("--all-tenants")

    assert names(bucket) == kept


def test_two_fields_and_two_models_of_one_bucket_protect_their_files(
    bucket: str, bare: Minio, north: Client, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, fixed(bucket), "file", "scan")
    use(Notice, MinioBackend(bucket, public=False))
    put(bare, bucket, "lost")
    with tenant_context(north):
        store(Receipt, "receipt")
        store(Receipt, "scan", field="scan")
    store(Notice, "notice")

    clean("--all-tenants")

    assert names(bucket) == {"receipt", "scan", "notice"}


def test_rows_that_a_manager_hides_protect_their_files(
    bucket: str, north: Client, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, fixed(bucket))
    with tenant_context(north):
        store(Receipt, "hidden", hidden=True)
        assert not Receipt.objects.exists()

    clean("--all-tenants")

    assert names(bucket) == {"hidden"}


def test_empty_file_fields_refer_to_nothing(
    bucket: str, bare: Minio, north: Client, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, fixed(bucket), "file", "scan")
    with tenant_context(north):
        Receipt(file="", scan=None).save()
    put(bare, bucket, "lost")

    output = clean("--all-tenants", "--check-missing")

    assert names(bucket) == set()
    assert "0 rows refer to a missing object." in output


def test_each_model_has_its_own_names_under_per_model(
    bare: Minio, new_name: Callable[[str], str], use: Use, clean: Clean, names: Names
) -> None:
    papers, notices = new_name("papers"), new_name("notices")
    for made in (papers, notices):
        bare.make_bucket(bucket_name=made)
    strategy = PerModel({"everywhere.Paper": papers, "in_public.Notice": notices})
    use(Paper, MinioRouter(strategy=strategy))
    use(Notice, MinioRouter(strategy=strategy))
    store(Paper, "same.txt")
    put(bare, notices, "same.txt")

    clean("--all-tenants")

    assert names(papers) == {"same.txt"}
    assert names(notices) == set()


# What is never touched


def test_a_bucket_that_no_field_routes_to_is_not_touched(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, settings, new_name: Callable[[str], str]
) -> None:
    declared, unknown, mapped = new_name("declared"), new_name("unknown"), new_name("mapped")
    for made in (declared, unknown, mapped):
        bare.make_bucket(bucket_name=made)
        put(bare, made, "precious")
    settings.MINIO_PRIVATE_BUCKETS = [declared]
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"bucket_name": declared}},
    }
    use(Notice, MinioRouter(strategy=PerModel({"in_public.Notice": bucket, "docs.Retired": mapped})))

    clean("--all-tenants")

    assert names(declared) == names(unknown) == names(mapped) == {"precious"}


@pytest.mark.parametrize("alias", ["staticfiles", "assets"])
def test_static_files_are_never_touched(
    alias: str, bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, settings
) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        alias: {
            "BACKEND": "django_minio_router.MinioBackendStatic",
            "OPTIONS": {"MINIO_STATIC_FILES_BUCKET": bucket},
        },
    }
    use(Notice, fixed(bucket))
    put(bare, bucket, "admin/css/base.css")

    output = clean("--all-tenants")

    assert names(bucket) == {"admin/css/base.css"}
    assert f"{bucket} is left alone: static files are stored there." in output


def test_the_bucket_that_a_setting_names_for_static_files_is_never_touched(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, settings
) -> None:
    settings.MINIO_STATIC_FILES_BUCKET = bucket
    use(Notice, fixed(bucket))
    put(bare, bucket, "admin/css/base.css")

    clean("--all-tenants")

    assert names(bucket) == {"admin/css/base.css"}


def test_names_that_this_package_would_not_store_are_somebody_elses(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Notice, fixed(bucket))
    put(bare, bucket, "folder/", "line\nbreak")
    before = names(bucket)

    output = clean("--all-tenants")

    assert before
    assert names(bucket) == before
    assert "0 orphans" in output


def test_a_storage_that_names_objects_its_own_way_is_left_alone(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    class Attic(MinioBackend):
        def _save(self, name: str, content: object) -> str:
            return super()._save(f"attic/{name}", content).removeprefix("attic/")

        def _open(self, name: str, mode: str = "rb") -> object:
            return super()._open(f"attic/{name}", mode)

    use(Notice, Attic(bucket, public=False))
    assert store(Notice, "kept.txt").file.name == "kept.txt"

    output = clean("--all-tenants")

    assert names(bucket) == {"attic/kept.txt"}
    assert "Attic has its own open" in output or "Attic has its own _open" in output


def test_a_storage_that_only_shows_links_to_other_names_is_left_alone(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    class Attic(MinioBackend):
        def _save(self, name: str, content: object) -> str:
            return super()._save(f"attic/{name}", content).removeprefix("attic/")

        def url(self, name: str, **options: object) -> str:
            return super().url(f"attic/{name}", **options)

    use(Notice, Attic(bucket, public=False))
    assert store(Notice, "kept.txt").file.name == "kept.txt"

    output = clean("--all-tenants")

    assert names(bucket) == {"attic/kept.txt"}
    assert "Attic has its own url()" in output


def test_a_storage_with_links_of_its_own_to_the_same_names_is_cleaned(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    class Mirrored(MinioBackend):
        def url(self, name: str, **options: object) -> str:
            return f"https://cdn.example.com/{name}"

    use(Notice, Mirrored(bucket, public=False))
    store(Notice, "kept.txt")
    put(bare, bucket, "lost")

    clean("--all-tenants")

    assert names(bucket) == {"kept.txt"}


def test_a_field_that_keeps_names_in_another_form_is_left_alone(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sealed(FileField):
        def get_prep_value(self, value: object) -> str:
            return f"{super().get_prep_value(value)}~{secrets.token_hex(4)}"

        def from_db_value(self, value: str, *rest: object) -> str:
            return value.partition("~")[0]

    use(Notice, fixed(bucket))
    monkeypatch.setattr(Notice._meta.get_field("file"), "__class__", Sealed)
    stored = store(Notice, "kept.txt")
    assert Notice.objects.get(pk=stored.pk).file.name == "kept.txt"

    output = clean("--all-tenants")

    assert names(bucket) == {"kept.txt"}
    assert "Sealed has its own get_prep_value()" in output


def test_a_file_that_an_unseen_condition_routed_is_protected(
    bare: Minio, new_name: Callable[[str], str], use: Use, clean: Clean, names: Names
) -> None:
    class ByRegion(BucketStrategy):
        def __init__(self, europe: str, america: str) -> None:
            self.europe, self.america = europe, america

        def bucket_for(self, model: type[Model] | None) -> str:
            return self.europe if region.get() == "eu" else self.america

        def buckets_for(self, models: Collection[type[Model]]) -> Iterable[str]:
            return [self.europe, self.america]

    region = ContextVar("region", default="eu")
    europe, america = new_name("eu"), new_name("us")
    for made in (europe, america):
        bare.make_bucket(bucket_name=made)
    use(Paper, MinioRouter(strategy=ByRegion(europe, america)))
    use(Notice, fixed(america))
    region.set("us")
    store(Paper, "paper")
    region.set("eu")
    put(bare, america, "lost")

    clean("--all-tenants")

    assert names(america) == {"paper"}


# Age


def test_young_objects_are_spared_unless_told_otherwise(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Notice, fixed(bucket))
    put(bare, bucket, "being-saved")

    output = clean("--all-tenants", min_age=24)

    assert names(bucket) == {"being-saved"}
    assert "1 younger one spared: see --min-age.\n" in output


def test_a_young_object_that_a_row_has_is_not_called_spared(bucket: str, use: Use, clean: Clean) -> None:
    use(Notice, fixed(bucket))
    store(Notice, "notice")

    assert "spared" not in clean("--all-tenants", min_age=24)


def test_only_objects_from_before_the_given_time_are_orphans(bucket: str, bare: Minio, use: Use) -> None:
    use(Notice, fixed(bucket))
    put(bare, bucket, "old")
    old = stored_at(bare, bucket, "old")
    put(bare, bucket, "young")
    while stored_at(bare, bucket, "young") <= old:
        put(bare, bucket, "young")
    sweep = orphans.make_sweep([None])

    found = [
        orphan.name
        for place in sweep.cleanable
        for orphan in orphans.find_orphans(sweep, place, stored_at(bare, bucket, "young"))
    ]

    assert found == ["old"]


def stored_at(bare: Minio, bucket: str, name: str) -> datetime:
    listed = bare.list_objects(bucket_name=bucket, prefix=name)
    return next(iter(listed)).last_modified


@pytest.mark.parametrize("hours", ["-1", "nan", "inf"])
def test_an_age_that_is_none_is_refused(clean: Clean, hours: str) -> None:
    with pytest.raises(CommandError, match=f"--min-age is {hours}. Use 0 to"):
        clean(min_age=float(hours))


# Asking


def test_a_dry_run_prints_and_deletes_nothing(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Notice, fixed(bucket))
    put(bare, bucket, "lost")

    output = clean("--all-tenants", "--dry-run")

    assert names(bucket) == {"lost"}
    assert f"orphan: {bucket}/lost\n1 orphan, 1\xa0byte, in 1 bucket.\n" in output


@pytest.mark.parametrize("answer", ["no", "y", ""])
def test_nothing_is_deleted_without_a_yes(
    answer: str, bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch
) -> None:
    use(Notice, fixed(bucket))
    put(bare, bucket, "lost")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))

    with pytest.raises(CommandError, match="Nothing was deleted"):
        clean("--all-tenants", interactive=True)

    assert names(bucket) == {"lost"}


def test_nothing_is_deleted_where_nobody_can_answer(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch
) -> None:
    use(Notice, fixed(bucket))
    put(bare, bucket, "lost")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    with pytest.raises(CommandError, match="--no-input"):
        clean("--all-tenants", interactive=True)

    assert names(bucket) == {"lost"}


def test_a_yes_deletes_what_was_shown_and_is_still_an_orphan(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, monkeypatch
) -> None:
    def answer(prompt: str) -> str:
        Notice(file="adopted").save()
        put(bare, bucket, "stored-anew", "unseen", content=b"other")
        bare.remove_object(bucket_name=bucket, object_name="gone")
        return "yes"

    use(Notice, fixed(bucket))
    put(bare, bucket, "lost", "adopted", "stored-anew", "gone")
    monkeypatch.setattr("builtins.input", answer)

    output = clean("--all-tenants", interactive=True)

    assert names(bucket) == {"adopted", "stored-anew", "unseen"}
    assert f"spared: {bucket}/adopted: a row refers to it now" in output
    assert f"spared: {bucket}/stored-anew: it was replaced meanwhile" in output
    assert "1 deleted, 3 spared, 0 failed." in output


# Tenants


def test_each_tenant_has_its_own_names(
    tenant_buckets: PerTenant,
    north: Client,
    south: Client,
    bare: Minio,
    use: Use,
    clean: Clean,
    names: Names,
) -> None:
    use(Receipt, MinioRouter(strategy=tenant_buckets))
    with tenant_context(north):
        store(Receipt, "same.txt")
    put(bare, bucket_of(tenant_buckets, south), "same.txt")

    clean("--all-tenants")

    assert names(bucket_of(tenant_buckets, north)) == {"same.txt"}
    assert names(bucket_of(tenant_buckets, south)) == set()


def test_what_a_row_of_another_tenant_means_stays(
    tenant_buckets: PerTenant,
    north: Client,
    south: Client,
    bare: Minio,
    use: Use,
    clean: Clean,
    names: Names,
) -> None:
    """It was stored while code acted for the other bucket alone, and the row's own has no such name."""
    router = MinioRouter(strategy=tenant_buckets)
    use(Receipt, router)
    with tenant_bucket_context(south):
        name = router.save("meant.txt", ContentFile(b"x"))
    with tenant_context(north):
        Receipt.objects.create(file=name)
    bucket = bucket_of(tenant_buckets, south)
    put(bare, bucket, "lost")

    output = clean(tenants=[south.schema_name])

    assert names(bucket) == {"meant.txt"}
    column = f"per_tenant.Receipt.file in the schema {north.schema_name!r}"
    assert f"spared: {bucket}/meant.txt: {column} refers to it, and has no such file of its own." in output


def test_one_tenant_is_cleaned_by_option_or_by_being_active(
    tenant_buckets: PerTenant,
    north: Client,
    south: Client,
    bare: Minio,
    use: Use,
    clean: Clean,
    names: Names,
) -> None:
    use(Receipt, MinioRouter(strategy=tenant_buckets))
    for tenant in (north, south):
        put(bare, bucket_of(tenant_buckets, tenant), "lost")

    clean(tenants=[north.schema_name])
    assert names(bucket_of(tenant_buckets, north)) == set()
    assert names(bucket_of(tenant_buckets, south)) == {"lost"}

    clean()
    assert names(bucket_of(tenant_buckets, south)) == {"lost"}

    with tenant_context(south):
        clean()
    assert names(bucket_of(tenant_buckets, south)) == set()
    assert connection.schema_name == "public"


def test_an_unknown_tenant_is_an_error(clean: Clean, north: Client) -> None:
    with pytest.raises(CommandError, match="no tenant nobody"):
        clean(tenants=[north.schema_name, "nobody"])


def test_what_any_tenant_refers_to_in_a_shared_bucket_is_no_orphan(
    bucket: str, north: Client, south: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, fixed(bucket))
    put(bare, bucket, "lost")
    for tenant in (north, south):
        with tenant_context(tenant):
            store(Receipt, f"{tenant.name}.txt")

    clean("--all-tenants")

    assert names(bucket) == {"north.txt", "south.txt"}


def test_a_shared_bucket_is_left_alone_unless_all_its_tenants_are_looked_at(
    bucket: str, north: Client, south: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, fixed(bucket))
    put(bare, bucket, "lost")
    with tenant_context(south):
        store(Receipt, "south.txt")

    output = clean(tenants=[north.schema_name])
    assert names(bucket) == {"lost", "south.txt"}
    assert f"{bucket} is left alone: per_tenant.Receipt.file in the schema '{south.schema_name}'" in output
    assert "--all-tenants" in output

    clean(tenants=[north.schema_name, south.schema_name])
    assert names(bucket) == {"south.txt"}


def test_a_model_of_public_and_of_tenants_protects_from_both_tables(
    bucket: str, north: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Paper, fixed(bucket))
    put(bare, bucket, "lost")
    store(Paper, "of-public")
    with tenant_context(north):
        store(Paper, "of-north")

    clean()
    assert names(bucket) == {"lost", "of-public", "of-north"}

    clean("--all-tenants")
    assert names(bucket) == {"of-public", "of-north"}


def test_rows_in_public_protect_what_a_tenant_stored_for_them(
    tenant_buckets: PerTenant, north: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    """A row of public may name what was stored for the active tenant, before rows knew whose they are."""
    use(Notice, MinioRouter(strategy=tenant_buckets))
    Notice.objects.create(file="notice")
    put(bare, bucket_of(tenant_buckets, north), "notice", "lost")

    clean(tenants=[north.schema_name])

    assert names(bucket_of(tenant_buckets, north)) == {"notice"}


def test_rows_of_public_protect_what_was_stored_in_the_name_of_a_tenant(
    tenant_buckets: PerTenant, north: Client, use: Use, clean: Clean, names: Names
) -> None:
    use(Paper, MinioRouter(strategy=tenant_buckets))
    with tenant_bucket_context(north):
        store(Paper, "paper")
    assert Paper.objects.exists()

    clean("--all-tenants")

    assert names(bucket_of(tenant_buckets, north)) == {"paper"}


def test_a_tenant_without_a_schema_is_left_alone(
    bare: Minio, new_name: Callable[[str], str], tenants, use: Use, clean: Clean, names: Names
) -> None:
    strategy = PerTenant(new_name("t") + "-{schema_name}")
    gone = Client(schema_name="gone")
    gone.save()
    bucket = bucket_of(strategy, gone)
    bare.make_bucket(bucket_name=bucket)
    use(Paper, MinioRouter(strategy=strategy))
    use(Receipt, MinioRouter(strategy=strategy))
    put(bare, bucket, "precious")

    output = clean(tenants=["gone"])

    assert names(bucket) == {"precious"}
    assert f"{bucket} is left alone: there is no schema 'gone' to read rows from." in output


def test_rows_of_other_tenants_may_refer_to_files_that_go_to_the_owner_of_the_row(
    tenant_buckets: PerTenant, north: Client, south: Client, use: Use, clean: Clean, names: Names
) -> None:
    use(Errand, MinioRouter(strategy=tenant_buckets))
    with tenant_context(north):
        store(Errand, "errand", for_tenant=south.schema_name)
    assert names(bucket_of(tenant_buckets, south)) == {"errand"}

    output = clean("--all-tenants")

    assert names(bucket_of(tenant_buckets, south)) == {"errand"}
    assert "per_tenant.Errand.file stores for the owner of each row" in output


def test_a_tenant_with_a_folder_is_cleaned_inside_of_it_only(
    bucket: str, north: Client, south: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, MinioRouter(strategy=PerTenantPrefix(bucket)))
    for tenant in (north, south):
        with tenant_context(tenant):
            store(Receipt, "kept")
        put(bare, bucket, f"{tenant.schema_name}/lost")
    put(bare, bucket, "outside", f"{north.schema_name}-neighbour/precious")

    output = clean(tenants=[north.schema_name])

    assert "1 deleted, 0 spared, 0 failed." in output
    assert names(bucket) == {
        f"{north.schema_name}/kept",
        f"{south.schema_name}/kept",
        f"{south.schema_name}/lost",
        f"{north.schema_name}-neighbour/precious",
        "outside",
    }


def test_a_row_of_the_whole_bucket_protects_an_object_in_a_tenants_folder(
    bucket: str, north: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, MinioRouter(strategy=PerTenantPrefix(bucket)))
    use(Notice, fixed(bucket))
    named = store(Notice, f"{north.schema_name}/notice").file.name
    put(bare, bucket, f"{north.schema_name}/lost")

    clean(tenants=[north.schema_name])

    assert names(bucket) == {named}


def test_rows_in_the_schema_that_a_deleted_tenant_left_protect_their_files(
    bucket: str, south: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, fixed(bucket))
    with tenant_context(south):
        store(Receipt, "south.txt")
    put(bare, bucket, "lost")
    Client.objects.filter(pk=south.pk).delete()

    clean("--all-tenants")

    assert names(bucket) == {"south.txt"}


def test_rows_that_a_deleted_tenant_left_protect_its_folder_in_a_shared_bucket(
    bucket: str, south: Client, bare: Minio, use: Use, clean: Clean, names: Names
) -> None:
    use(Receipt, MinioRouter(strategy=PerTenantPrefix(bucket)))
    use(Notice, fixed(bucket))
    with tenant_context(south):
        store(Receipt, "kept")
    put(bare, bucket, "lost")
    Client.objects.filter(pk=south.pk).delete()

    clean("--all-tenants")

    assert names(bucket) == {f"{south.schema_name}/kept"}


# Servers


def test_a_bucket_that_cannot_be_read_stops_no_other_and_fails_the_command(
    bucket: str, bare: Minio, use: Use, clean: Clean, names: Names, settings, north: Client
) -> None:
    settings.MINIO_SERVERS = {
        "broken": {
            "MINIO_ENDPOINT": settings.MINIO_ENDPOINT,
            "MINIO_ACCESS_KEY": "wrong",
            "MINIO_SECRET_KEY": "wrong-as-well",
        }
    }
    use(Notice, MinioBackend("unreadable", server="broken", public=False))
    use(Paper, fixed(bucket))
    put(bare, bucket, "lost")

    with pytest.raises(CommandError, match="1 of the buckets, columns and objects failed"):
        clean("--all-tenants")

    assert names(bucket) == set()


def test_a_bucket_that_is_not_there_yet_holds_no_orphans(
    new_name: Callable[[str], str], use: Use, clean: Clean
) -> None:
    use(Notice, fixed(new_name("later")))

    assert "0 orphans" in clean("--all-tenants")


# Rows without an object


def test_rows_whose_object_is_missing_are_named(
    tenant_buckets: PerTenant, north: Client, bare: Minio, use: Use, clean: Clean
) -> None:
    use(Receipt, MinioRouter(strategy=tenant_buckets))
    with tenant_context(north):
        kept = store(Receipt, "kept")
        lost = store(Receipt, "lost")
        odd = Receipt.objects.create(file="../odd")
    place = bucket_of(tenant_buckets, north)
    bare.remove_object(bucket_name=place, object_name="lost")

    output = clean("--all-tenants", "--check-missing", "--dry-run")

    column = f"per_tenant.Receipt.file in the schema '{north.schema_name}'"
    assert f"missing: {place}/lost, which {column} of the row {lost.pk} refers to" in output
    assert f"missing: {place}/../odd, which {column} of the row {odd.pk} refers to" in output
    assert "2 rows refer to a missing object." in output
    assert f"{place}/{kept.file.name}" not in output


def test_missing_objects_are_looked_for_page_by_page(
    bucket: str, use: Use, clean: Clean, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "_PAGE", 3)
    use(Notice, fixed(bucket))
    for number in range(7):
        Notice(file=f"lost-{number}" if number % 2 else "").save()

    output = clean("--all-tenants", "--check-missing", "--dry-run")

    assert [f"lost-{number}" in output for number in range(7)] == [False, True] * 3 + [False]
    assert "3 rows refer to a missing object." in output
