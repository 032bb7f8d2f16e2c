"""A new tenant has its buckets once its creation is committed, and whatever happens, it is usable."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from importlib import import_module
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, migrations, models, transaction
from django.dispatch import Signal
from django_tenants.signals import post_schema_sync, schema_needs_to_be_sync
from django_tenants.utils import schema_context, schema_exists
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from django_minio_router import BucketFileField, MinioRouter, hooks, tenant_bucket_context
from django_minio_router.buckets.ensure import State
from django_minio_router.exceptions import BucketNotFound
from django_minio_router.provisioning.new_tenant import provision
from django_minio_router.strategies import FixedBucket, PerTenant, PerTenantPrefix
from tests.apps.brands.models import router
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Invoice
from tests.support.quick_python import quick_python

pytestmark = pytest.mark.django_db(transaction=True)

NewName = Callable[[str], str]
ROOT = Path(__file__).parents[2]
KILLED_AT_THE_TENTH = """\
import os, signal
from tests.support.settings import *

seen = []

def hook(client, bucket):
    seen.append(bucket)
    if len(seen) == 10:
        os.kill(os.getpid(), signal.SIGKILL)

MINIO_BUCKET_HOOKS = [hook]
"""


def create(schema_name: str) -> Client:
    return Client.objects.create(schema_name=schema_name, name=schema_name)


def buckets_of(schema_name: str) -> set[str]:
    """The strategies of the test project give each tenant these two."""
    return {schema_name, f"test-brands-{schema_name}"}


@pytest.fixture
def held(bare: Minio) -> Callable[[str], set[str]]:
    """Return a function that reads which buckets with this in their name the server holds."""
    return lambda part: {bucket.name for bucket in bare.list_buckets() if part in bucket.name}


Held = Callable[[str], set[str]]


def test_a_new_tenant_has_its_buckets_and_can_store(new_name: NewName, held: Held) -> None:
    tenant = create(new_name("t"))

    assert held(tenant.schema_name) == buckets_of(tenant.schema_name)
    with tenant_bucket_context(tenant):
        assert router.save("logo.txt", ContentFile(b"x")) == "logo.txt"


def test_they_have_their_policies_and_hooks(settings: Any, new_name: NewName, bare: Minio) -> None:
    settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket"}

    def policy(bucket: str) -> dict[str, object]:
        named = {**statement, "Resource": f"arn:aws:s3:::{bucket}"}
        return {"Version": "2012-10-17", "Statement": [named]}

    settings.MINIO_POLICY_HOOKS = [(PerTenant(), policy)]
    tenant = create(new_name("t"))

    assert "s3:DeleteBucket" in bare.get_bucket_policy(bucket_name=tenant.schema_name)
    for bucket in buckets_of(tenant.schema_name):
        assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"


def test_they_are_created_after_the_commit_and_not_before(new_name: NewName, held: Held) -> None:
    with transaction.atomic():
        tenant = create(new_name("t"))
        assert held(tenant.schema_name) == set()

    assert held(tenant.schema_name) == buckets_of(tenant.schema_name)


def test_a_tenant_that_is_rolled_back_leaves_no_bucket(new_name: NewName, held: Held) -> None:
    schema_name = new_name("t")
    with transaction.atomic():
        create(schema_name)
        transaction.set_rollback(True)

    assert held(schema_name) == set()


def test_a_tenant_that_is_deleted_before_the_commit_leaves_no_bucket(new_name: NewName, held: Held) -> None:
    schema_name = new_name("t")
    with transaction.atomic():
        create(schema_name).delete()

    assert held(schema_name) == set()


def test_a_tenant_with_a_schema_of_its_own_has_them_too(
    new_name: NewName, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "auto_create_schema", True)
    schema_name = new_name("s")
    tenant = Client(schema_name=schema_name, name=schema_name)
    tenant.save(verbosity=0)
    try:
        assert schema_exists(schema_name)
        assert held(schema_name) == buckets_of(schema_name)
    finally:
        tenant.delete(force_drop=True)


def test_the_buckets_of_others_are_not_its_business(settings: Any, new_name: NewName, held: Held) -> None:
    shared = new_name("shared")
    settings.MINIO_PRIVATE_BUCKETS = [shared]
    create(new_name("t"))

    assert held(shared) == set()


def test_public_has_none(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    create("public")

    assert held("test-brands-public") == set()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_connection_stays_where_it_was(new_name: NewName) -> None:
    create(new_name("t"))

    assert connection.schema_name == "public"


@pytest.mark.parametrize(
    "say",
    [
        lambda tenant: tenant,
        lambda tenant: tenant.pk,
        lambda tenant: str(tenant.pk),
        lambda tenant: tenant.schema_name,
        lambda tenant: {"id": tenant.pk},
        lambda tenant: {"pk": tenant.pk},
        lambda tenant: {"schema_name": tenant.schema_name, "name": tenant.name},
    ],
)
@pytest.mark.parametrize("ready", [post_schema_sync, schema_needs_to_be_sync])
def test_the_signals_may_call_the_tenant_what_the_project_likes(
    ready: Signal, say: Callable[[Client], object], new_name: NewName, held: Held
) -> None:
    tenant = Client(schema_name=new_name("t"), name="x")
    Client.objects.bulk_create([tenant])  # sends no signal
    assert held(tenant.schema_name) == set()

    ready.send(sender=Client, tenant=say(tenant))

    assert held(tenant.schema_name) == buckets_of(tenant.schema_name)


def test_a_setting_switches_it_off(settings: Any, new_name: NewName, held: Held) -> None:
    settings.MINIO_PROVISION_TENANTS = False
    tenant = create(new_name("t"))

    assert held(tenant.schema_name) == set()


def test_a_server_that_does_not_answer_leaves_the_tenant_and_is_logged_with_the_remedy(
    settings: Any, new_name: NewName, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = settings.MINIO_ENDPOINT
    settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = "127.0.0.1:1", 0
    tenant = create(new_name("t"))

    assert Client.objects.filter(pk=tenant.pk).exists()
    remedy = f"initialize_buckets --tenant {tenant.schema_name}"
    messages = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(messages) == 2
    assert all("No answer" in message and remedy in message for message in messages)

    settings.MINIO_ENDPOINT = endpoint
    call_command("initialize_buckets", tenants=[tenant.schema_name], stdout=StringIO())
    assert held(tenant.schema_name) == buckets_of(tenant.schema_name)


def test_an_error_without_a_text_is_told_by_its_name(
    new_name: NewName, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any) -> None:
        raise AssertionError

    tenant = create(new_name("t"))
    monkeypatch.setattr("django_minio_router.buckets.ensure.check_bucket_name", fails)

    assert [outcome.cause for outcome in provision(tenant)] == ["AssertionError"] * 2


@pytest.mark.parametrize(
    ("setting", "value"), [("MINIO_BUCKET_HOOKS", ["nowhere.hook"]), ("MINIO_PROVISION_TENANTS", "always")]
)
def test_a_wrong_setting_leaves_a_tenant_with_its_schema(
    setting: str,
    value: object,
    settings: Any,
    new_name: NewName,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """django-tenants deletes a tenant, schema and all, when a receiver of its signal raises."""
    monkeypatch.setattr(Client, "auto_create_schema", True)
    setattr(settings, setting, value)
    schema_name = new_name("s")
    tenant = Client(schema_name=schema_name, name=schema_name)
    tenant.save(verbosity=0)
    try:
        assert schema_exists(schema_name)
        assert Client.objects.filter(schema_name=schema_name).exists()
        assert setting in caplog.text
        assert "may not be ready" in caplog.text
    finally:
        tenant.delete(force_drop=True)


def test_a_strategy_that_cannot_name_a_bucket_costs_no_other(
    use: Any, new_name: NewName, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    use(Contract, MinioRouter(strategy=PerTenant(field="name")))
    use(Invoice, MinioRouter(strategy=PerTenant("in-{schema_name}")))

    tenant = Client.objects.create(schema_name=new_name("t"), name="")

    assert held(tenant.schema_name) == {f"in-{tenant.schema_name}"}
    assert "'name', which is empty" in caplog.text


class TestASchemaNameThatComesBack:
    """A bucket that is named after the schema outlives its tenant, and the next of its name can read it."""

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    def test_files_of_the_former_tenant_are_told_with_the_remedy(
        self, new_name: NewName, bare: Minio, caplog: pytest.LogCaptureFixture
    ) -> None:
        former = create(new_name("t"))
        with tenant_bucket_context(former):
            router.save("secret.txt", ContentFile(b"of the former"))
        former.delete()
        again = create(former.schema_name)

        (warning,) = self.warnings(caplog)
        assert f"'{again.schema_name}' is new, but test-brands-{again.schema_name} already holds" in warning
        assert f"purge_tenant {again.schema_name}" in warning
        assert f"initialize_buckets --tenant {again.schema_name}" in warning
        assert "{id}" in warning

        call_command("purge_tenant", again.schema_name, interactive=False, stdout=StringIO())
        call_command("initialize_buckets", tenants=[again.schema_name], stdout=StringIO())
        with tenant_bucket_context(again):
            assert router.listdir("") == ([], [])

    def test_old_versions_and_folders_of_a_shared_bucket_are_told_too(
        self, use: Any, bucket: str, new_name: NewName, bare: Minio, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(Contract, shared := MinioRouter(strategy=PerTenantPrefix(bucket)))
        bare.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))
        former, neighbour = create(new_name("t")), create(new_name("t"))
        for tenant in (former, neighbour):
            with tenant_bucket_context(tenant):
                shared.delete(shared.save("a.txt", ContentFile(b"x")))
        former.delete()
        assert self.warnings(caplog) == []
        create(former.schema_name)
        create(new_name("t"))

        (warning,) = self.warnings(caplog)
        assert f"{bucket}/{former.schema_name} already holds files" in warning

    def test_empty_buckets_are_not_worth_a_word(
        self, new_name: NewName, caplog: pytest.LogCaptureFixture
    ) -> None:
        former = create(new_name("t"))
        former.delete()
        create(former.schema_name)

        assert self.warnings(caplog) == []

    def test_a_name_made_of_the_key_does_not_come_back(
        self, use: Any, new_name: NewName, held: Held, caplog: pytest.LogCaptureFixture
    ) -> None:
        template = new_name("k") + "-{id}"
        use(Contract, by_key := MinioRouter(strategy=PerTenant(template)))
        former = create(new_name("t"))
        with tenant_bucket_context(former):
            by_key.save("secret.txt", ContentFile(b"of the former"))
        key = former.pk
        former.delete()
        again = create(former.schema_name)

        assert self.warnings(caplog) == []
        assert held(template.removesuffix("{id}")) == {template.format(id=pk) for pk in (key, again.pk)}
        with tenant_bucket_context(again):
            assert by_key.listdir("") == ([], [])

    def test_what_cannot_be_looked_into_is_told(
        self, use: Any, bucket: str, settings: Any, new_name: NewName, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(Contract, MinioRouter(strategy=PerTenantPrefix(bucket)))
        settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = "127.0.0.1:1", 0
        schema_name = new_name("t")
        create(schema_name)

        (warning,) = self.warnings(caplog)
        assert f"unknown whether {bucket}/{schema_name} holds files" in warning
        assert "No answer" in warning


def test_provisioning_twice_changes_nothing(new_name: NewName) -> None:
    tenant = create(new_name("t"))

    outcomes = provision(tenant)

    assert {outcome.bucket: outcome.state for outcome in outcomes} == dict.fromkeys(
        buckets_of(tenant.schema_name), State.UNCHANGED
    )


def test_a_run_for_all_tenants_that_was_killed_is_completed_by_the_next(
    settings: Any, new_name: NewName, held: Held, bare: Minio, tmp_path: Path
) -> None:
    batch = new_name("batch")
    schema_names = [f"{batch}-{number}" for number in range(30)]
    Client.objects.bulk_create(Client(schema_name=name, name=name) for name in schema_names)
    (tmp_path / "killed.py").write_text(KILLED_AT_THE_TENTH)

    command = ["-m", "django", "initialize_buckets", "--all-tenants", "--jobs", "1"]
    done = quick_python().run(*command, folder=ROOT, environment=environment(tmp_path))

    assert done.returncode == -signal.SIGKILL, done.stderr
    wanted = {bucket for name in schema_names for bucket in buckets_of(name)}
    before = held(batch)
    assert len(before) < len(wanted)

    settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
    output = StringIO()
    call_command("initialize_buckets", all_tenants=True, verbosity=2, stdout=output)
    assert held(batch) == wanted
    created = {line.split(":")[0] for line in output.getvalue().splitlines() if ": created" in line}
    assert created & wanted == wanted - before
    for bucket in wanted:  # the one that was under way as well
        assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"

    output = StringIO()
    call_command("initialize_buckets", all_tenants=True, stdout=output)
    assert "created" not in output.getvalue()
    assert "changed" not in output.getvalue().replace("unchanged", "")


def environment(folder: Path) -> dict[str, str]:
    """What another process needs for the same database and server, with the settings of this folder."""
    address = urlsplit(os.environ["DATABASE_URL"])
    database = urlunsplit(address._replace(path=f"/{connection.settings_dict['NAME']}"))
    return {
        **os.environ,
        "DATABASE_URL": database,
        "DJANGO_SETTINGS_MODULE": "killed",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }


class TestFilesOfATenantThatIsBeingCreated:
    """The bucket is there when the first file is; a roll-back takes back both."""

    @pytest.fixture
    def logo(self, new_name: NewName, db: None) -> Iterator[str]:
        """Let rows of tenants have a logo of their own in buckets of this template."""
        template = new_name("l") + "-{schema_name}"
        column = models.FileField(null=True)
        column.set_attributes_from_name("logo")
        with connection.schema_editor() as editor:
            editor.add_field(Client, column)
        field = BucketFileField(owner="self", null=True, storage=MinioRouter(strategy=PerTenant(template)))
        Client.add_to_class("logo", field)
        yield template
        Client._meta.local_fields.remove(field)
        Client._meta._expire_cache()
        del Client.logo
        with connection.schema_editor() as editor:
            editor.remove_field(Client, column)

    def test_the_logo_in_its_own_row_is_stored(
        self, logo: str, new_name: NewName, contents: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        for block in transaction.atomic(), nullcontext():
            schema_name = new_name("t")
            with block:
                tenant = Client.objects.create(
                    schema_name=schema_name, name="x", logo=ContentFile(b"logo", "logo.png")
                )
            assert contents(logo.format(schema_name=schema_name)) == {"logo.png": b"logo"}
            assert Client.objects.get(pk=tenant.pk).logo.read() == b"logo"
        assert "former" not in caplog.text

    @pytest.mark.each_server
    def test_a_roll_back_takes_the_bucket_and_its_files(
        self, logo: str, new_name: NewName, settings: Any, held: Held
    ) -> None:
        settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
        schema_name = new_name("t")
        with suppress(LookupError), transaction.atomic():
            tenant = Client.objects.create(
                schema_name=schema_name, name="x", logo=ContentFile(b"logo", "logo.png")
            )
            with tenant_bucket_context(tenant):
                router.save("first.txt", ContentFile(b"1"))
                router.save("second.txt", ContentFile(b"2"))
                router.delete("second.txt")
            assert len(held(schema_name)) == 2
            raise LookupError

        assert held(schema_name) == set()

    def test_a_savepoint_that_is_rolled_back_takes_its_tenants(self, new_name: NewName, held: Held) -> None:
        lost = new_name("t")
        with transaction.atomic():
            kept = create(new_name("t"))
            with suppress(LookupError), transaction.atomic():
                with tenant_bucket_context(create(lost)):
                    router.save("a.txt", ContentFile(b"x"))
                raise LookupError
            assert held(lost) == set()
            with tenant_bucket_context(kept):
                router.save("a.txt", ContentFile(b"x"))

        assert held(kept.schema_name) == buckets_of(kept.schema_name)

    def test_sign_up_stores_the_first_file_at_once(
        self, new_name: NewName, held: Held, caplog: pytest.LogCaptureFixture
    ) -> None:
        with transaction.atomic():
            tenant = create(new_name("t"))
            with schema_context(tenant.schema_name):
                router.save("first.txt", ContentFile(b"x"))
            assert held(tenant.schema_name) == {f"test-brands-{tenant.schema_name}"}

        assert held(tenant.schema_name) == buckets_of(tenant.schema_name)
        assert caplog.text == ""

    def test_a_receiver_that_comes_first_stores_files_too(
        self, new_name: NewName, contents: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def store(*, tenant: Client, **kwargs: object) -> None:
            with tenant_bucket_context(tenant):
                router.save("first.txt", ContentFile(b"x"))

        others = schema_needs_to_be_sync.receivers
        schema_needs_to_be_sync.receivers = []
        schema_needs_to_be_sync.connect(store)
        schema_needs_to_be_sync.receivers += others
        schema_needs_to_be_sync.sender_receivers_cache.clear()
        try:
            tenant = create(new_name("t"))
        finally:
            schema_needs_to_be_sync.disconnect(store)

        assert contents(f"test-brands-{tenant.schema_name}") == {"first.txt": b"x"}
        assert "former" not in caplog.text

    def test_a_data_migration_stores_files_too(
        self, new_name: NewName, contents: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def seed(apps: Any, editor: Any) -> None:
            router.save("seed.txt", ContentFile(b"x"))

        migration: Any = import_module("tests.apps.per_tenant.migrations.0001_initial").Migration
        monkeypatch.setattr(migration, "operations", [*migration.operations, migrations.RunPython(seed)])
        monkeypatch.setattr(Client, "auto_create_schema", True)
        tenant = Client(schema_name=new_name("s"), name="x")
        tenant.save(verbosity=0)
        try:
            assert contents(f"test-brands-{tenant.schema_name}") == {"seed.txt": b"x"}
        finally:
            tenant.delete(force_drop=True)

    def test_what_it_stored_in_a_folder_is_not_of_a_former_tenant(
        self, use: Any, bucket: str, new_name: NewName, caplog: pytest.LogCaptureFixture
    ) -> None:
        use(Contract, shared := MinioRouter(strategy=PerTenantPrefix(bucket)))
        with transaction.atomic():
            tenant = create(new_name("t"))
            with tenant_bucket_context(tenant):
                shared.save("first.txt", ContentFile(b"x"))
        assert "former" not in caplog.text

        again = new_name("t")
        with tenant_bucket_context(again):
            shared.save("old.txt", ContentFile(b"of a former tenant"))
        with transaction.atomic():
            tenant = create(again)
            with tenant_bucket_context(tenant):
                shared.save("first.txt", ContentFile(b"x"))
        assert f"{bucket}/{again} already holds files" in caplog.text

    @pytest.mark.each_server
    def test_what_somebody_else_stored_stays(
        self, new_name: NewName, contents: Any, bare: Minio, caplog: pytest.LogCaptureFixture
    ) -> None:
        schema_name = new_name("t")
        name = f"test-brands-{schema_name}"
        with suppress(LookupError), transaction.atomic():
            with tenant_bucket_context(create(schema_name)):
                router.save("a.txt", ContentFile(b"ours"))
                router.save("b.txt", ContentFile(b"ours"))
            bare.put_object(bucket_name=name, object_name="a.txt", data=BytesIO(b"theirs"), length=6)
            raise LookupError

        assert contents(name) == {"a.txt": b"theirs"}
        assert "another file was stored in it" in caplog.text

    def test_a_tenant_that_was_committed_after_all_keeps_it(self, new_name: NewName, contents: Any) -> None:
        """What runs after the commit may fail, and then Django drops the rest unheard, as at a roll-back."""
        with suppress(IndexError), transaction.atomic():
            transaction.on_commit(lambda: [].pop())
            tenant = create(new_name("t"))
            with tenant_bucket_context(tenant):
                router.save("a.txt", ContentFile(b"x"))
        gc.collect()

        assert contents(f"test-brands-{tenant.schema_name}") == {"a.txt": b"x"}

    def test_one_that_is_deleted_before_the_commit_leaves_nothing(
        self, new_name: NewName, held: Held
    ) -> None:
        schema_name = new_name("t")
        with transaction.atomic():
            tenant = create(schema_name)
            with tenant_bucket_context(tenant):
                router.save("a.txt", ContentFile(b"x"))
            tenant.delete()

        assert held(schema_name) == set()

    def test_no_other_bucket_is_made(self, new_name: NewName, held: Held) -> None:
        """Only those of tenants that are created here, and of these only their own."""
        old, shared = new_name("old"), new_name("shared")
        Client.objects.bulk_create([Client(schema_name=old, name=old)])
        with transaction.atomic():
            tenant = create(new_name("t"))
            with pytest.raises(BucketNotFound), tenant_bucket_context(old):
                router.save("a.txt", ContentFile(b"x"))
            with pytest.raises(BucketNotFound), tenant_bucket_context(tenant):
                MinioRouter(strategy=FixedBucket(shared)).save("a.txt", ContentFile(b"x"))
        with pytest.raises(BucketNotFound), tenant_bucket_context(old):
            router.save("a.txt", ContentFile(b"x"))

        assert held(old) == held(shared) == set()

    def test_a_setting_switches_this_off_too(self, settings: Any, new_name: NewName) -> None:
        settings.MINIO_PROVISION_TENANTS = False
        with transaction.atomic():
            tenant = create(new_name("t"))
            with pytest.raises(BucketNotFound), tenant_bucket_context(tenant):
                router.save("a.txt", ContentFile(b"x"))
