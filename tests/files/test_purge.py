"""``purge_tenant`` deletes what is the tenant's alone, all of it, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import Manager, Model, QuerySet
from django_tenants.models import TenantMixin
from django_tenants.signals import post_schema_sync
from minio import Minio
from minio.commonconfig import ENABLED, Tags
from minio.versioningconfig import VersioningConfig

from django_minio_router import MinioBackend, MinioRouter, RoutingError, hooks, tenant_bucket_context
from django_minio_router.files.purge import empty, make_purge, purge
from django_minio_router.inventory.places import TenantPlaces
from django_minio_router.s3 import listing as contents
from django_minio_router.strategies import FixedBucket, Location, PerTenant, PerTenantPrefix
from tests.apps.customers.models import Branch, Client
from tests.support.proxy import Proxy, answering
from tests.support.server import make_marked_bucket

NewName = Callable[[str], str]
Purge = Callable[..., str]


def put(bare: Minio, bucket: str, *names: str, content: bytes = b"12345") -> None:
    for name in names:
        bare.put_object(bucket_name=bucket, object_name=name, data=io.BytesIO(content), length=len(content))


def keep_versions(bare: Minio, bucket: str) -> None:
    bare.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))


def names(bare: Minio, bucket: str) -> list[str]:
    return [str(entry.object_name) for entry in bare.list_objects(bucket_name=bucket, recursive=True)]


def name_of(tenant: Client) -> str:
    return f"shared-{tenant.name}"


class FolderWithoutSlash(PerTenantPrefix):
    def bucket_for(self, model: type[Model] | None) -> Location:
        return super().bucket_for(model)._replace(prefix=self._name())


@pytest.fixture
def run() -> Purge:
    """Return a function that runs the command without asking, and returns its output."""

    def run(schema_name: str, **options: object) -> str:
        out = StringIO()
        call_command("purge_tenant", schema_name, **{"interactive": False, **options}, stdout=out)
        return out.getvalue()

    return run


class TestWithoutACommit:
    """The tenants are never committed, so they have no other buckets than those that a test makes."""

    @pytest.fixture(autouse=True)
    def buckets(self, bare: Minio, north: Client, south: Client) -> None:
        """The strategies of the test project give each tenant this bucket, beside that of its brands."""
        for tenant in (north, south):
            make_marked_bucket(bare, tenant.schema_name)

    def test_it_deletes_the_tenants_buckets_and_those_of_nobody_else(
        self, run: Purge, north: Client, south: Client, bare: Minio
    ) -> None:
        for bucket in (north.schema_name, f"test-brands-{north.schema_name}", south.schema_name):
            put(bare, bucket, "a.txt", "folder/b.txt")

        run(north.schema_name)

        assert not bare.bucket_exists(bucket_name=north.schema_name)
        assert not bare.bucket_exists(bucket_name=f"test-brands-{north.schema_name}")
        assert names(bare, south.schema_name) == ["a.txt", "folder/b.txt"]
        assert bare.bucket_exists(bucket_name=f"test-brands-{south.schema_name}")

    def test_old_versions_markers_and_unfinished_uploads_go_too(
        self, run: Purge, north: Client, bare: Minio
    ) -> None:
        bucket = north.schema_name
        keep_versions(bare, bucket)
        put(bare, bucket, "twice.txt", "twice.txt", "deleted.txt")
        bare.remove_object(bucket_name=bucket, object_name="deleted.txt")
        for name in ("begun.bin", "begun.bin", "ü &+/begun.bin"):
            bare._create_multipart_upload(bucket, name, {})

        output = run(bucket)

        described = "3 objects and old versions, 15\xa0bytes, 1 delete markers, 3 unfinished uploads"
        assert f"bucket {bucket} on " in output
        assert described in output
        assert "4 versions deleted." in output
        assert not bare.bucket_exists(bucket_name=bucket)

    def test_a_dry_run_prints_the_same_and_deletes_nothing(
        self, run: Purge, north: Client, bare: Minio
    ) -> None:
        put(bare, north.schema_name, "a.txt", "b.txt")

        output = run(north.schema_name, dry_run=True)

        assert "In all 2 places: 2 objects and old versions, 10\xa0bytes" in output
        assert "deleted" not in output
        assert names(bare, north.schema_name) == ["a.txt", "b.txt"]

    def test_a_tenant_of_that_name_who_comes_before_the_answer_keeps_its_files(
        self, run: Purge, north: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        schema_name = north.schema_name
        put(bare, schema_name, "a.txt")
        Client.objects.filter(pk=north.pk)._raw_delete("default")

        def yes(question: str) -> str:
            Client.objects.create(schema_name=schema_name, name="another")
            return "yes"

        monkeypatch.setattr("builtins.input", yes)
        with pytest.raises(CommandError, match="Nothing was deleted"):
            run(schema_name, interactive=True)
        assert names(bare, schema_name) == ["a.txt"]

    @pytest.mark.parametrize("answer", ["", "no", "y"])
    def test_it_asks_first(
        self, run: Purge, north: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch, answer: str
    ) -> None:
        put(bare, north.schema_name, "a.txt")
        monkeypatch.setattr("builtins.input", lambda question: answer)
        with pytest.raises(CommandError, match="Nothing was deleted"):
            run(north.schema_name, interactive=True)
        assert names(bare, north.schema_name) == ["a.txt"]

        monkeypatch.setattr("builtins.input", lambda question: "yes")
        run(north.schema_name, interactive=True)
        assert not bare.bucket_exists(bucket_name=north.schema_name)

    def test_without_a_terminal_it_deletes_nothing(
        self, run: Purge, north: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", StringIO(""))
        with pytest.raises(CommandError, match="--no-input"):
            run(north.schema_name, interactive=True)
        assert bare.bucket_exists(bucket_name=north.schema_name)

    def test_more_than_a_page_goes_and_names_of_any_kind(
        self, run: Purge, north: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch, on_minio: bool
    ) -> None:
        monkeypatch.setattr(contents, "_PAGE", 4)
        odd = ["ü 日本+&?#%.txt", "<&>]]>.txt", "folder/", "tab\there", "bell\x07", "line\nfeed"]
        odd += [] if on_minio else ["a//b"]  # which MinIO refuses
        put(bare, north.schema_name, *odd, *(f"{number:02}" for number in range(11)))

        run(north.schema_name)

        assert not bare.bucket_exists(bucket_name=north.schema_name)

    def test_a_run_that_was_interrupted_is_completed_by_the_next(
        self, run: Purge, north: Client, bare: Minio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(contents, "_PAGE", 4)
        put(bare, north.schema_name, *(f"{number:02}" for number in range(10)))
        place = next(place for place in make_purge(north).places if place.bucket == north.schema_name)

        def interrupt(count: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            empty(place, interrupt)
        assert 0 < len(names(bare, north.schema_name)) < 10

        run(north.schema_name)
        assert not bare.bucket_exists(bucket_name=north.schema_name)
        assert "There is nothing to delete." in run(north.schema_name)

    def test_an_object_that_the_server_protects_stops_the_run_by_name(
        self, run: Purge, north: Client, bare: Minio, proxy: Proxy
    ) -> None:
        put(bare, north.schema_name, "a.txt")
        locked = b"<DeleteResult><Error><Key>a.txt</Key><Code>AccessDenied</Code></Error></DeleteResult>"
        proxy.when(answering(200, locked, Content_Type="application/xml"), method="POST")

        with pytest.raises(CommandError, match=f"did not delete {north.schema_name}/a.txt: AccessDenied"):
            run(north.schema_name)
        assert names(bare, north.schema_name) == ["a.txt"]

    def test_a_bucket_that_another_tenant_uses_is_refused(
        self, run: Purge, north: Client, south: Client, bare: Minio, settings: Any
    ) -> None:
        north.name = south.name = "both"
        Client.objects.bulk_update([north, south], ["name"])
        settings.MINIO_PRIVATE_BUCKETS = [PerTenant(function=name_of)]

        with pytest.raises(CommandError, match=f"shared-both: .* for the tenant {south.schema_name!r}"):
            run(north.schema_name)
        assert bare.bucket_exists(bucket_name=north.schema_name)  # not even what is north's alone

    def test_a_tenant_that_the_manager_of_the_model_hides_counts_too(
        self, run: Purge, north: Client, south: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shown = type("Shown", (Manager,), {"get_queryset": lambda self: QuerySet(Client).filter(pk=north.pk)})
        Client.objects.update(name="both")
        monkeypatch.setattr(Client, "objects", shown())
        settings.MINIO_PRIVATE_BUCKETS = [PerTenant(function=name_of)]

        with pytest.raises(CommandError, match=f"shared-both: .* for the tenant {south.schema_name!r}"):
            run(north.schema_name)

    def test_a_bucket_that_a_setting_or_a_storage_uses_is_refused(
        self, run: Purge, north: Client, bare: Minio, settings: Any
    ) -> None:
        settings.MINIO_PRIVATE_BUCKETS = [north.schema_name]

        with pytest.raises(CommandError, match=f"{north.schema_name}: .* uses it for all tenants"):
            run(north.schema_name)
        assert bare.bucket_exists(bucket_name=north.schema_name)

    def test_a_tenant_that_gets_no_bucket_is_in_nobodys_way(
        self, run: Purge, north: Client, south: Client, bare: Minio, settings: Any
    ) -> None:
        """It is named like the bucket of all folders, so it has no place beside the folder of the other."""
        settings.MINIO_PRIVATE_BUCKETS = [PerTenantPrefix(south.schema_name)]
        put(bare, south.schema_name, f"{north.schema_name}/a.txt", "of-others/b.txt")

        run(north.schema_name)

        assert names(bare, south.schema_name) == ["of-others/b.txt"]

    def test_where_a_strategy_cannot_tell_what_another_tenant_uses_nothing_is_deleted(
        self, run: Purge, north: Client, south: Client, bare: Minio, settings: Any
    ) -> None:
        Client.objects.filter(pk=south.pk).update(name="")
        settings.MINIO_PRIVATE_BUCKETS = [PerTenant("n-{name}")]

        with pytest.raises(CommandError, match="empty for the tenant"):
            run(north.schema_name)
        assert bare.bucket_exists(bucket_name=north.schema_name)

    def test_of_a_shared_bucket_only_the_tenants_folder_goes(
        self, run: Purge, north: Client, south: Client, bare: Minio, bucket: str, settings: Any
    ) -> None:
        strategy = PerTenantPrefix(bucket, public="everybody")
        settings.MINIO_PRIVATE_BUCKETS = [strategy]
        for tenant in (north, south):
            with tenant_bucket_context(tenant):
                MinioRouter(strategy=strategy).save("a/b.txt", ContentFile(b"x"))
        put(bare, bucket, "everybody/c.txt", f"{north.schema_name}-2/d.txt")

        assert f"folder {bucket}/{north.schema_name} on" in run(north.schema_name)

        assert sorted(names(bare, bucket)) == sorted(
            [f"{south.schema_name}/a/b.txt", "everybody/c.txt", f"{north.schema_name}-2/d.txt"]
        )

    def test_a_file_goes_from_the_folder_that_is_named_below_another_file(
        self, run: Purge, north: Client, bare: Minio, bucket: str, settings: Any
    ) -> None:
        """MinIO does not list it before the other one is gone."""
        settings.MINIO_PRIVATE_BUCKETS = [PerTenantPrefix(bucket)]
        put(bare, bucket, *(f"{north.schema_name}/{name}" for name in ("a", "a/b", "c.txt")))

        run(north.schema_name)

        assert names(bare, bucket) == []

    def test_so_does_one_below_many_others(self, run: Purge, north: Client, bare: Minio) -> None:
        put(bare, north.schema_name, *("/".join("abcdef"[:depth]) for depth in range(1, 7)))

        run(north.schema_name)

        assert not bare.bucket_exists(bucket_name=north.schema_name)

    def test_an_object_that_a_server_lists_as_an_upload_is_in_nobodys_way(
        self, run: Purge, north: Client, bare: Minio
    ) -> None:
        """SeaweedFS lists it without a name, and without one the request is for the bucket itself."""
        put(bare, north.schema_name, "a.txt", ".uploads/b.txt")

        run(north.schema_name)

        assert not bare.bucket_exists(bucket_name=north.schema_name)

    def test_unfinished_uploads_go_from_the_tenants_folder_alone(
        self,
        run: Purge,
        north: Client,
        south: Client,
        bare: Minio,
        bucket: str,
        settings: Any,
        on_minio: bool,
    ) -> None:
        if on_minio:
            pytest.skip("MinIO lists the unfinished uploads of one name only.")
        settings.MINIO_PRIVATE_BUCKETS = [PerTenantPrefix(bucket)]
        for tenant in (north, north, south):
            bare._create_multipart_upload(bucket, f"{tenant.schema_name}/begun.bin", {})

        assert "2 unfinished uploads" in run(north.schema_name)

        left = [upload.object_name for upload in bare._list_multipart_uploads(bucket).uploads]
        assert left == [f"{south.schema_name}/begun.bin"]

    def test_a_folder_of_a_bucket_that_others_store_in_as_a_whole_is_refused(
        self, run: Purge, north: Client, bare: Minio, bucket: str, settings: Any
    ) -> None:
        settings.MINIO_PRIVATE_BUCKETS = [PerTenantPrefix(bucket), FixedBucket(bucket)]
        put(bare, bucket, f"{north.schema_name}/a.txt")

        with pytest.raises(CommandError, match="uses it for all tenants"):
            run(north.schema_name)
        assert names(bare, bucket) == [f"{north.schema_name}/a.txt"]

    def test_what_a_deleted_tenant_left_behind_is_found_by_its_name(
        self, run: Purge, north: Client, bare: Minio
    ) -> None:
        put(bare, north.schema_name, "a.txt")
        schema_name = north.schema_name
        north.delete()

        assert "does not exist" in run(schema_name)
        assert not bare.bucket_exists(bucket_name=schema_name)

    def test_a_name_that_follows_from_the_row_needs_the_row(
        self, run: Purge, north: Client, bare: Minio, settings: Any
    ) -> None:
        settings.MINIO_PRIVATE_BUCKETS = [PerTenant("media-{id}")]
        schema_name = north.schema_name
        north.delete()

        with pytest.raises(CommandError, match="no tenant has it"):
            run(schema_name)
        assert bare.bucket_exists(bucket_name=schema_name)

    def test_public_is_no_tenant(self, run: Purge) -> None:
        with pytest.raises(CommandError, match="is the public schema"):
            run("public")

    def test_a_name_that_nobody_has_finds_nothing(self, run: Purge, new_name: NewName) -> None:
        assert "There is nothing to delete." in run(new_name("nobody"))

    def test_the_database_is_not_touched(self, run: Purge, north: Client) -> None:
        run(north.schema_name)

        assert Client.objects.filter(pk=north.pk).exists()

    def test_a_folder_that_a_strategy_names_without_a_slash_ends_where_it_does(
        self, run: Purge, north: Client, bare: Minio, bucket: str, settings: Any
    ) -> None:
        settings.MINIO_PRIVATE_BUCKETS = [FolderWithoutSlash(bucket)]
        mine, neighbour = f"{north.schema_name}/a.txt", f"{north.schema_name}-2/a.txt"
        put(bare, bucket, mine, neighbour)

        run(north.schema_name)

        assert names(bare, bucket) == [neighbour]

    def test_other_tenants_are_read_a_row_at_a_time(self, north: Client, new_name: NewName) -> None:
        batch = new_name("many")
        Client.objects.bulk_create(Client(schema_name=f"{batch}-{number}", name="x") for number in range(50))

        others = TenantPlaces().of_others(north)

        assert {name for name, _ in others if name.startswith(batch)} == {
            f"{batch}-{number}" for number in range(50)
        }


class TestABucketThatIsNotOurs:
    """A name that a strategy makes of a schema name may be that of another application's bucket."""

    @pytest.fixture
    def theirs(self, bare: Minio, new_name: NewName) -> str:
        name = new_name("documents")
        bare.make_bucket(bucket_name=name)
        put(bare, name, "a.txt")
        return name

    def adopt(self, tenant: Client, *arguments: str) -> str:
        out = StringIO()
        who = f"--tenant={tenant.schema_name}"
        call_command("initialize_buckets", who, "--adopt", *arguments, stdout=out)
        return out.getvalue()

    @pytest.mark.django_db
    def test_stays_whoever_is_named_so(self, run: Purge, bare: Minio, theirs: str) -> None:
        with pytest.raises(CommandError, match=f"{theirs}' .* was not created by this package"):
            run(theirs)
        assert names(bare, theirs) == ["a.txt"]

    @pytest.mark.django_db(transaction=True)
    def test_stays_after_a_tenant_of_its_name_came_and_went(
        self, bare: Minio, theirs: str, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.MINIO_PURGE_DELETED_TENANTS = True
        create(theirs).delete()

        assert names(bare, theirs) == ["a.txt"]
        assert "--adopt" in caplog.text

    @pytest.mark.parametrize("arguments", [[], ["--own"]])
    def test_is_adopted_in_a_step_of_its_own(
        self, run: Purge, bare: Minio, theirs: str, make_tenant: Any, arguments: list[str]
    ) -> None:
        tenant = make_tenant("t")
        Client.objects.filter(pk=tenant.pk).update(schema_name=theirs)
        tenant.refresh_from_db()
        tags = Tags.new_bucket_tags()
        tags["team"] = "web"
        bare.set_bucket_tags(bucket_name=theirs, tags=tags)

        assert f"{theirs}: changed (adopted)" in self.adopt(tenant, *arguments)
        assert "adopted" not in self.adopt(tenant, *arguments)
        assert bare.get_bucket_tags(bucket_name=theirs) == {"team": "web", "django-minio-router": "adopted"}
        run(theirs)
        assert not bare.bucket_exists(bucket_name=theirs)

    def test_is_not_adopted_by_a_look(self, bare: Minio, theirs: str, make_tenant: Any) -> None:
        tenant = make_tenant("t")
        Client.objects.filter(pk=tenant.pk).update(schema_name=theirs)

        assert f"{theirs}: would be changed (adopted)" in self.adopt(Client(schema_name=theirs), "--dry-run")
        assert bare.get_bucket_tags(bucket_name=theirs) is None

    @pytest.mark.django_db
    @pytest.mark.parametrize("status", [403, 501])
    def test_is_told_by_an_object_where_tags_are_not_to_be_had(
        self, run: Purge, bare: Minio, new_name: NewName, proxy: Proxy, status: int
    ) -> None:
        proxy.when(answering(status), where=lambda request: "tagging" in request.target, times=None)
        ours, theirs = new_name("ours"), new_name("theirs")
        MinioBackend(ours, public=False).check_bucket_existence()
        MinioBackend(ours, public=False).save("a.txt", ContentFile(b"x"))
        bare.make_bucket(bucket_name=theirs)

        assert MinioBackend(ours, public=False).listdir("") == ([], ["a.txt"])
        with pytest.raises(CommandError, match="was not created by this package"):
            run(theirs)
        run(ours)
        assert not bare.bucket_exists(bucket_name=ours)


def create(schema_name: str, **values: object) -> Client:
    return Client.objects.create(schema_name=schema_name, name=schema_name, **values)


@pytest.mark.django_db(transaction=True)
class TestWhenTheRowIsDeleted:
    @pytest.fixture(autouse=True)
    def switched_on(self, settings: Any) -> None:
        settings.MINIO_PURGE_DELETED_TENANTS = True

    def test_by_default_nothing_is_deleted(self, settings: Any, new_name: NewName, bare: Minio) -> None:
        del settings.MINIO_PURGE_DELETED_TENANTS
        tenant = create(new_name("t"))
        tenant.delete()

        assert bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_its_files_and_buckets_go(self, new_name: NewName, bare: Minio) -> None:
        tenant = create(new_name("t"))
        put(bare, tenant.schema_name, "a.txt")
        tenant.delete()

        assert not bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_a_queryset_that_deletes_rows_counts_as_well(self, new_name: NewName, bare: Minio) -> None:
        tenant = create(new_name("t"))
        Client.objects.filter(pk=tenant.pk).delete()

        assert not bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_so_does_a_row_that_is_deleted_as_a_proxy(self, new_name: NewName, bare: Minio) -> None:
        tenant = create(new_name("t"))
        Branch.objects.get(pk=tenant.pk).delete()

        assert not bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_they_go_after_the_commit_and_not_before(self, new_name: NewName, bare: Minio) -> None:
        tenant = create(new_name("t"))
        with transaction.atomic():
            Client.objects.get(pk=tenant.pk).delete()
            assert bare.bucket_exists(bucket_name=tenant.schema_name)

        assert not bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_a_deletion_that_is_rolled_back_deletes_nothing(self, new_name: NewName, bare: Minio) -> None:
        tenant = create(new_name("t"))
        with transaction.atomic():
            Client.objects.get(pk=tenant.pk).delete()
            transaction.set_rollback(True)

        assert bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_neither_does_one_through_another_alias(
        self, new_name: NewName, bare: Minio, primary: str
    ) -> None:
        tenant = create(new_name("t"))
        with transaction.atomic(using=primary):
            Client.objects.using(primary).get(pk=tenant.pk).delete()
            transaction.set_rollback(True, using=primary)

        assert bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_a_bucket_named_by_the_rows_key_goes_although_the_row_has_none_any_more(
        self, settings: Any, new_name: NewName, bare: Minio
    ) -> None:
        template = new_name("by-id")
        settings.MINIO_PRIVATE_BUCKETS = [PerTenant(template + "-{id}")]
        tenant = create(new_name("t"))
        bucket = f"{template}-{tenant.pk}"
        assert bare.bucket_exists(bucket_name=bucket)
        with transaction.atomic():
            tenant.delete()
        assert tenant.pk is None

        assert not bare.bucket_exists(bucket_name=bucket)

    @pytest.mark.parametrize("where", ["in its schema", "in a receiver of its signal"])
    def test_a_tenant_whose_creation_failed_takes_nothing_with_it(
        self, where: str, new_name: NewName, bare: Minio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """django-tenants deletes the half-made row; files of a former tenant of that name are kept."""
        bucket = new_name("former")
        bare.make_bucket(bucket_name=bucket)
        put(bare, bucket, "kept.txt")
        monkeypatch.setattr(Client, "auto_create_schema", True)

        def fail(*args: object, **kwargs: object) -> None:
            raise RuntimeError("no schema")

        if where == "in its schema":
            monkeypatch.setattr(TenantMixin, "create_schema", fail)
        else:
            post_schema_sync.connect(fail)
        try:
            with pytest.raises(RuntimeError, match="no schema"):
                Client(schema_name=bucket, name="x").save(verbosity=0)
        finally:
            post_schema_sync.disconnect(fail)

        assert not Client.objects.filter(schema_name=bucket).exists()
        assert names(bare, bucket) == ["kept.txt"]

    def test_a_tenant_that_comes_back_in_the_same_transaction_keeps_its_files(
        self, new_name: NewName, bare: Minio, caplog: pytest.LogCaptureFixture
    ) -> None:
        schema_name = new_name("t")
        tenant = create(schema_name)
        put(bare, schema_name, "kept.txt")
        with transaction.atomic():
            tenant.delete()
            create(schema_name)

        assert names(bare, schema_name) == ["kept.txt"]
        assert "Nothing was deleted" in caplog.text

    def test_a_failure_is_logged_with_the_remedy_and_the_row_stays_deleted(
        self, settings: Any, new_name: NewName, bare: Minio, caplog: pytest.LogCaptureFixture
    ) -> None:
        tenant = create(new_name("t"))
        endpoint = settings.MINIO_ENDPOINT
        settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = "127.0.0.1:1", 0
        tenant.delete()

        assert not Client.objects.filter(schema_name=tenant.schema_name).exists()
        assert f"purge_tenant {tenant.schema_name}" in caplog.text
        settings.MINIO_ENDPOINT = endpoint
        call_command("purge_tenant", tenant.schema_name, interactive=False, stdout=StringIO())
        assert not bare.bucket_exists(bucket_name=tenant.schema_name)

    def test_a_wrong_setting_leaves_no_row_whose_schema_is_gone(
        self, settings: Any, new_name: NewName, bare: Minio, caplog: pytest.LogCaptureFixture
    ) -> None:
        """django-tenants drops the schema first."""
        tenant = create(new_name("t"))
        settings.MINIO_PURGE_DELETED_TENANTS = "always"
        tenant.delete()

        assert not Client.objects.filter(schema_name=tenant.schema_name).exists()
        assert bare.bucket_exists(bucket_name=tenant.schema_name)
        assert "MINIO_PURGE_DELETED_TENANTS" in caplog.text


def test_the_function_for_tasks_can_be_repeated(
    north: Client, south: Client, bare: Minio, settings: Any
) -> None:
    settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
    put(bare, f"test-brands-{north.schema_name}", "a.txt")

    assert {place.bucket for place in purge(north)} == {
        north.schema_name,
        f"test-brands-{north.schema_name}",
    }
    purge(north)
    settings.MINIO_PRIVATE_BUCKETS = [f"test-brands-{south.schema_name}"]
    with pytest.raises(RoutingError, match="Nothing was deleted"):
        purge(south)
    assert bare.bucket_exists(bucket_name=f"test-brands-{south.schema_name}")
