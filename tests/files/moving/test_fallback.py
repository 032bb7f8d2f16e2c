"""``MinioRouter(fallback=…)``: files are read in the old place until they are in the new one."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import call_command
from django.db import connection
from django.db.migrations.writer import MigrationWriter
from django.utils import timezone
from django_tenants.files.storage import TenantFileSystemStorage
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import (
    ConfigurationError,
    MinioBackend,
    MinioRouter,
    RoutingError,
    TenantRequired,
    tenant_bucket_context,
)
from django_minio_router.exceptions import ServerError
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant, PerTenantPrefix
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.moving import Contents, Put, Requests, bucket_of, store
from tests.support.schemas import Clean, Use

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(bare: Minio, new_name: Callable[[str], str]) -> str:
    """The shared bucket that files were in."""
    name = new_name("old")
    bare.make_bucket(bucket_name=name)
    return name


@pytest.fixture
def router(old: str, per_tenant: PerTenant) -> MinioRouter:
    return MinioRouter(strategy=per_tenant, fallback=FixedBucket(old, public_read=False))


@pytest.fixture
def inside(north: Client):
    """The tenant north is active, whose bucket is the new place."""
    with tenant_context(north):
        yield


@pytest.fixture
def new(per_tenant: PerTenant, inside: None) -> str:
    return str(per_tenant.bucket_for(None))


# Reading


def test_what_only_the_old_place_has_is_read_there(
    router: MinioRouter, old: str, new: str, put: Put, contents: Contents
) -> None:
    put(old, "a/b.txt", b"old")

    assert router.open("a/b.txt").read() == b"old"
    assert router.exists("a/b.txt")
    assert router.size("a/b.txt") == 3
    assert (timezone.now() - router.get_modified_time("a/b.txt")).total_seconds() < 60
    assert urllib3.request("GET", router.url("a/b.txt")).data == b"old"
    assert contents(new) == {}


def test_what_both_have_is_read_in_the_new_place(router: MinioRouter, old: str, new: str, put: Put) -> None:
    put(old, "a.txt", b"old")
    put(new, "a.txt", b"newer")

    assert router.open("a.txt").read() == b"newer"
    assert router.size("a.txt") == 5
    assert urllib3.request("GET", router.url("a.txt")).data == b"newer"


def test_what_neither_has_is_missing(router: MinioRouter, inside: None) -> None:
    assert not router.exists("a.txt")
    for call in (router.open, router.size, router.get_modified_time):
        with pytest.raises(FileNotFoundError):
            call("a.txt")
    assert urllib3.request("GET", router.url("a.txt")).status == 404


@pytest.mark.parametrize("call", ["open", "size", "exists", "get_modified_time"])
def test_a_file_that_is_moved_between_the_two_looks_is_found(
    call: str, router: MinioRouter, old: str, new: str, put: Put, bare: Minio
) -> None:
    put(old, "a.txt", b"old")
    backend = router.backend

    class Moves(MinioBackend):
        """The old place, from which the file is gone to the new one as soon as it is asked for."""

        @property
        def objects(self):
            put(new, "a.txt", b"old")
            bare.remove_object(bucket_name=old, object_name="a.txt")
            return super().objects

    backend.old = Moves(old, public=False)
    assert getattr(backend, call)("a.txt")


def test_an_error_of_the_new_place_is_no_reason_to_look_in_the_old_one(
    old: str, new: str, put: Put, bare: Minio, per_tenant: PerTenant
) -> None:
    put(old, "a.txt")
    bare.remove_bucket(bucket_name=new)
    router = MinioRouter(strategy=per_tenant, fallback=FixedBucket(old, public_read=False))
    for call in (router.open, router.size, router.exists, router.url):
        with pytest.raises(ServerError):
            call("a.txt")


def test_an_unsafe_name_is_refused_before_any_request(
    router: MinioRouter, inside: None, requests: Requests
) -> None:
    with requests() as sent:
        for call in (router.open, router.size, router.exists, router.url, router.delete):
            with pytest.raises(SuspiciousFileOperation):
                call("../a.txt")
    assert sent == []


def test_only_the_new_place_is_listed(router: MinioRouter, old: str, new: str, put: Put) -> None:
    put(old, "theirs.txt")
    put(new, "ours.txt")

    assert router.listdir("") == ([], ["ours.txt"])


# Links


def test_a_link_takes_one_request_and_none_once_the_file_was_seen_in_the_new_place(
    router: MinioRouter, old: str, new: str, put: Put, requests: Requests
) -> None:
    put(old, "a.txt", b"old")
    router.exists("b.txt")  # the first 404 of a bucket takes another request: is it the bucket?
    with requests() as sent:
        assert f"/{old}/a.txt?" in router.url("a.txt")
    assert sent == ["HEAD"]

    put(new, "a.txt", b"old")
    with requests() as sent:
        assert f"/{new}/a.txt?" in router.url("a.txt")
        assert f"/{new}/a.txt?" in router.url("a.txt", filename="b.txt")
    assert sent == ["HEAD"]


def test_a_fallback_costs_the_requests_that_the_page_says(settings, caplog) -> None:
    settings.MINIO_ENDPOINT = "memory:"
    old, new = (FixedBucket(name, public_read=False) for name in ("costs-old", "costs-new"))
    router, plain = MinioRouter(strategy=new, fallback=old), MinioRouter(strategy=new)
    for name in ("old.txt", "both.txt"):
        MinioRouter(strategy=old).save(name, ContentFile(b"x"))
    for name in ("both.txt", "new.txt", "plain.txt"):
        plain.save(name, ContentFile(b"x"))

    def sent(call: Callable[[], object]) -> int:
        caplog.clear()
        with caplog.at_level("DEBUG", "django_minio_router.requests"):
            call()
        return len(caplog.records)

    assert sent(lambda: plain.save("saved.txt", ContentFile(b"x"))) == 1
    assert sent(lambda: router.save("also.txt", ContentFile(b"x"))) == 1 + 1
    assert sent(lambda: plain.open("plain.txt").read()) == 1
    assert sent(lambda: router.open("old.txt").read()) == 1 + 1
    assert sent(lambda: plain.delete("plain.txt")) == 1
    for name, more in (("new.txt", 1), ("old.txt", 1), ("both.txt", 1 + 2)):
        assert sent(lambda name=name: router.delete(name)) == 1 + more, name


def test_without_a_fallback_a_link_takes_no_request(
    per_tenant: PerTenant, inside: None, requests: Requests
) -> None:
    with requests() as sent:
        MinioRouter(strategy=per_tenant).url("a.txt")
    assert sent == []


def test_links_keep_their_options_in_both_places(router: MinioRouter, old: str, new: str, put: Put) -> None:
    for bucket in (old, new):
        put(bucket, "a.txt", b"x")
        answer = urllib3.request("GET", router.url("a.txt", filename="Report.txt"))
        assert "Report.txt" in answer.headers["Content-Disposition"]


# Saving


def test_what_is_saved_goes_to_the_new_place(
    router: MinioRouter, old: str, new: str, contents: Contents
) -> None:
    assert router.save("a.txt", ContentFile(b"new")) == "a.txt"

    assert contents(new) == {"a.txt": b"new"}
    assert contents(old) == {}


def test_a_name_that_only_the_old_place_has_is_taken(
    router: MinioRouter, old: str, new: str, put: Put, contents: Contents
) -> None:
    """Else the row that refers to the old file would get the content of the new one."""
    put(old, "a.txt", b"of another row")

    name = router.save("a.txt", ContentFile(b"new"))

    assert name != "a.txt"
    assert router.open("a.txt").read() == b"of another row"
    assert contents(new) == {name: b"new"}
    assert router.get_available_name("a.txt") != "a.txt"


def test_replacing_replaces_what_is_read_and_leaves_the_old_place_alone(
    old: str, new: str, per_tenant: PerTenant, put: Put, contents: Contents
) -> None:
    put(old, "a.txt", b"old")
    router = MinioRouter(
        strategy=per_tenant, fallback=FixedBucket(old, public_read=False), replace_existing=True
    )

    assert router.save("a.txt", ContentFile(b"new")) == "a.txt"

    assert router.open("a.txt").read() == b"new"
    assert contents(old) == {"a.txt": b"old"}


# Deleting


@pytest.mark.parametrize("moved", [False, True])
def test_a_deleted_file_does_not_come_back_and_the_old_place_is_not_touched(
    moved: bool, router: MinioRouter, old: str, new: str, put: Put, contents: Contents
) -> None:
    put(old, "a.txt", b"old")
    if moved:
        put(new, "a.txt", b"old")

    router.delete("a.txt")
    router.delete("a.txt")

    assert not router.exists("a.txt")
    for call in (router.open, router.size, router.get_modified_time):
        with pytest.raises(FileNotFoundError, match="was deleted"):
            call("a.txt")
    assert urllib3.request("GET", router.url("a.txt")).data == b""
    assert router.listdir("") == ([], [])
    assert contents(old) == {"a.txt": b"old"}


def test_a_file_that_only_the_new_place_has_leaves_no_mark(
    router: MinioRouter, new: str, put: Put, contents: Contents
) -> None:
    put(new, "a.txt", b"new")
    router.delete("a.txt")
    assert contents(new) == {}


def test_a_deleted_name_can_be_replaced_and_is_taken_otherwise(
    router: MinioRouter, old: str, per_tenant: PerTenant, put: Put, new: str
) -> None:
    put(old, "a.txt", b"old")
    router.delete("a.txt")

    assert router.save("a.txt", ContentFile(b"new")) != "a.txt"

    replacing = MinioRouter(
        strategy=per_tenant, fallback=FixedBucket(old, public_read=False), replace_existing=True
    )
    replacing.save("a.txt", ContentFile(b"new"))
    assert router.open("a.txt").read() == b"new"


def test_an_empty_file_is_no_mark(router: MinioRouter, new: str, put: Put) -> None:
    put(new, "empty.txt", b"")
    assert router.exists("empty.txt")
    assert router.listdir("") == ([], ["empty.txt"])


# Tenants


def test_what_one_tenant_saves_or_deletes_is_no_matter_of_the_other(
    router: MinioRouter, old: str, put: Put, north: Client, south: Client
) -> None:
    put(old, "shared.txt", b"old")
    with tenant_context(north):
        router.delete("shared.txt")
        name = router.save("own.txt", ContentFile(b"north"))
    with tenant_context(south):
        assert router.open("shared.txt").read() == b"old"
        assert not router.exists(name)


def test_with_a_folder_per_tenant_as_the_old_place_no_tenant_reads_what_another_has(
    old: str, per_tenant: PerTenant, put: Put, north: Client, south: Client
) -> None:
    put(old, f"{north.schema_name}/a.txt", b"of north")
    router = MinioRouter(strategy=per_tenant, fallback=PerTenantPrefix(old))
    with tenant_context(north):
        assert router.open("a.txt").read() == b"of north"
    with tenant_context(south):
        assert not router.exists("a.txt")
        assert not router.exists(f"{north.schema_name}/a.txt")


def test_without_a_tenant_nothing_is_read_in_the_old_place(
    router: MinioRouter, old: str, put: Put, requests: Requests
) -> None:
    put(old, "a.txt")
    with requests() as sent:
        for call in (router.open, router.size, router.exists, router.url, router.delete, router.listdir):
            with pytest.raises(TenantRequired):
                call("a.txt")
    assert sent == []


def test_on_behalf_of_a_tenant_both_places_are_the_tenants(
    old: str, per_tenant: PerTenant, put: Put, north: Client
) -> None:
    put(old, f"{north.schema_name}/a.txt", b"of north")
    router = MinioRouter(strategy=per_tenant, fallback=PerTenantPrefix(old)).on_behalf_of(north)
    assert router.open("a.txt").read() == b"of north"


# What a fallback may be


def test_a_storage_that_asks_the_connection_answers_for_the_tenant_that_is_acted_for(
    per_tenant: PerTenant, north: Client, south: Client, tmp_path: Path, settings
) -> None:
    """django-tenants' own storage would give north a file of south's folder."""
    settings.MEDIA_ROOT = tmp_path
    local = TenantFileSystemStorage()
    for tenant in (north, south):
        with tenant_context(tenant):
            local.save("a.txt", ContentFile(tenant.schema_name.encode()))
    with tenant_context(south):
        local.save("of-south.txt", ContentFile(b"x"))
        link = local.url("a.txt").replace(south.schema_name, north.schema_name)
    router = MinioRouter(strategy=per_tenant, fallback=local)

    def answers(storage: MinioRouter) -> tuple[object, ...]:
        with storage.open("a.txt") as file:
            return file.read(), storage.url("a.txt"), storage.exists("of-south.txt")

    of_north = (north.schema_name.encode(), link, False)
    with tenant_context(south):
        for said in (north, north.schema_name):
            with tenant_bucket_context(said):
                assert answers(router) == of_north
            assert answers(router.on_behalf_of(said)) == of_north
        assert connection.schema_name == south.schema_name
        assert answers(router)[0] == south.schema_name.encode()
    with tenant_bucket_context(north):
        assert answers(router) == of_north
        assert router.size("a.txt") == len(north.schema_name)
        assert router.get_modified_time("a.txt") <= timezone.now()
        assert router.save("a.txt", ContentFile(b"new")) != "a.txt"


def test_a_bucket_name_an_alias_a_storage_and_a_strategy_name_the_old_place(
    old: str, new: str, per_tenant: PerTenant, put: Put, settings
) -> None:
    put(old, "a.txt", b"old")
    settings.MINIO_PRIVATE_BUCKETS = [old]
    settings.STORAGES = {
        **settings.STORAGES,
        "before": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"bucket_name": old}},
    }
    strategy = {"BACKEND": "django_minio_router.strategies.FixedBucket", "OPTIONS": {"name": old}}
    for fallback in (old, "before", MinioBackend(old), FixedBucket(old), strategy):
        router = MinioRouter(strategy=per_tenant, fallback=fallback)
        assert router.open("a.txt").read() == b"old", fallback


def test_files_in_a_local_folder_are_read_until_they_are_moved(
    new: str, per_tenant: PerTenant, tmp_path: Path, contents: Contents
) -> None:
    folder = FileSystemStorage(tmp_path, base_url="/media/")
    folder.save("a.txt", ContentFile(b"local"))
    router = MinioRouter(strategy=per_tenant, fallback=folder)

    assert router.open("a.txt").read() == b"local"
    assert router.size("a.txt") == 5
    assert router.url("a.txt") == router.url("a.txt", filename="b.txt") == "/media/a.txt"
    assert router.save("a.txt", ContentFile(b"new")) != "a.txt"
    router.delete("a.txt")
    assert not router.exists("a.txt")
    assert (tmp_path / "a.txt").read_bytes() == b"local"


def test_the_default_bucket_too_can_be_a_new_place(bucket: str, old: str, put: Put, settings) -> None:
    settings.MINIO_DEFAULT_BUCKET = bucket
    settings.MINIO_PRIVATE_BUCKETS = [bucket, old]
    put(old, "a.txt", b"old")
    router = MinioRouter(fallback=old)
    assert router.open("a.txt").read() == b"old"
    assert router.save("b.txt", ContentFile(b"x")) == "b.txt"
    assert router.backend.new.exists("b.txt")


def test_the_old_place_of_each_model_is_its_own(old: str, per_tenant: PerTenant, put: Put, new: str) -> None:
    put(old, "a.txt", b"old")
    label = Receipt._meta.label
    router = MinioRouter(strategy=per_tenant, fallback=PerModel({label: old}))
    assert router.bind(Receipt._meta.get_field("file")).open("a.txt").read() == b"old"
    with pytest.raises(RoutingError):
        router.open("a.txt")


def test_where_both_are_the_same_place_there_is_no_fallback(old: str, put: Put, requests: Requests) -> None:
    put(old, "a.txt")
    strategy = FixedBucket(old, public_read=False)
    router = MinioRouter(strategy=strategy, fallback=strategy)
    with requests() as sent:
        router.url("a.txt")
    assert sent == []
    router.delete("a.txt")
    assert not router.exists("a.txt")


def test_a_storage_cannot_fall_back_on_itself(settings, per_tenant: PerTenant, inside: None) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django_minio_router.MinioRouter",
            "OPTIONS": {"strategy": per_tenant, "fallback": "default"},
        },
    }
    with pytest.raises(ConfigurationError, match="itself"):
        storages["default"].exists("a.txt")


def test_two_storages_cannot_fall_back_on_each_other(settings, bucket: str, old: str) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        **{
            alias: {
                "BACKEND": "django_minio_router.MinioRouter",
                "OPTIONS": {"strategy": FixedBucket(name, public_read=False), "fallback": fallback},
            }
            for alias, name, fallback in (("one", bucket, "other"), ("other", old, "one"))
        },
    }
    for alias in ("one", "other"):
        with pytest.raises(ConfigurationError, match="a router that falls back on it"):
            storages[alias].exists("a.txt")


def test_a_place_that_has_a_fallback_can_be_one(
    settings, per_tenant: PerTenant, bucket: str, old: str, put: Put, inside: None
) -> None:
    put(old, "oldest.txt")
    put(bucket, "older.txt")
    oldest = FixedBucket(old, public_read=False)
    between = MinioRouter(strategy=FixedBucket(bucket, public_read=False), fallback=oldest)
    router = MinioRouter(strategy=per_tenant, fallback=between)
    for name in ("oldest.txt", "older.txt"):
        assert router.open(name).read() == b"x"


def test_a_fallback_that_is_nothing_is_refused(per_tenant: PerTenant) -> None:
    for wrong in (17, "no.such.Strategy", "Not a bucket"):
        with pytest.raises(ConfigurationError):
            MinioRouter(strategy=per_tenant, fallback=wrong)


def test_migrations_do_not_show_a_fallback() -> None:
    """It is there for a while, so that giving and removing it makes no migration."""
    plain, moving = (
        MinioRouter(strategy=PerTenant(), **option) for option in ({}, {"fallback": "old-media"})
    )
    assert MigrationWriter.serialize(plain) == MigrationWriter.serialize(moving)


# What others make of it


def test_the_old_place_is_created_and_cleaned_like_any_other_in_use(
    use: Use, old: str, per_tenant: PerTenant, put: Put, north: Client, south: Client, contents: Contents
) -> None:
    use(Receipt, MinioRouter(strategy=per_tenant, fallback=FixedBucket(old, public_read=False)), "file")
    put(old, "kept.txt")
    put(old, "orphan.txt")
    with tenant_context(north):
        Receipt.objects.create(file="kept.txt")

    out = io.StringIO()
    call_command(
        "clean_orphaned_minio_files",
        "--all-tenants",
        "--check-missing",
        interactive=False,
        min_age=0,
        stdout=out,
    )

    assert contents(old) == {"kept.txt": b"x"}
    assert "0 rows refer to a missing object" in out.getvalue()


def test_a_deleted_file_stays_deleted_when_orphans_are_cleaned_until_there_is_no_fallback(
    use: Use, old: str, router: MinioRouter, per_tenant: PerTenant, put: Put, north: Client, clean: Clean
) -> None:
    use(Receipt, MinioRouter(strategy=per_tenant), "file")
    use(Receipt, router, "scan")
    put(old, "a.txt")
    with tenant_context(north):
        router.delete("a.txt")
        store(Receipt, "empty.txt", b"", "scan")
        Receipt._base_manager.all().delete()

    assert "1 deleted" in clean(tenants=[north.schema_name])
    with tenant_context(north):
        assert not router.exists("a.txt")

    use(Receipt, MinioRouter(strategy=per_tenant), "scan")
    assert "1 deleted" in clean(tenants=[north.schema_name])


def test_a_row_keeps_its_file_through_the_change_of_storage(
    use: Use, old: str, per_tenant: PerTenant, north: Client
) -> None:
    fixed = FixedBucket(old, public_read=False)
    use(Receipt, MinioRouter(strategy=fixed), "file")
    with tenant_context(north):
        row = store(Receipt, "a.txt", b"before")
        use(Receipt, MinioRouter(strategy=per_tenant, fallback=fixed), "file")
        assert Receipt.objects.get(pk=row.pk).file.read() == b"before"
        assert bucket_of(per_tenant, north) != old
