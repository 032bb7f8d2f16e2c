"""``manage.py initialize_buckets``: its options, what it prints, and that it fails as it should."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django_tenants.utils import tenant_context

from django_minio_router import BucketNotFound, MinioBackend, MinioRouter
from django_minio_router.strategies import PerModel, PerTenant
from tests.apps.docs.models import Contract, Receipt
from tests.support.provisioning import logos_only, refusing
from tests.support.proxy import answering
from tests.support.storages import keys

pytestmark = pytest.mark.usefixtures("project")


class Run:
    """One run of the command: what it printed, and its error if it failed."""

    def __init__(self, **options: object) -> None:
        out, err = StringIO(), StringIO()
        self.error: CommandError | None = None
        try:
            call_command("initialize_buckets", **options, stdout=out, stderr=err)
        except CommandError as error:
            self.error = error
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def exit_code(self) -> int:
        return self.error.returncode if self.error else 0


@pytest.fixture
def two(project, new_name) -> tuple[str, str]:
    """A private and a public bucket that the settings list, in this order."""
    names = new_name("kept"), new_name("shown")
    project.MINIO_PRIVATE_BUCKETS, project.MINIO_PUBLIC_BUCKETS = [names[0]], [names[1]]
    return names


class TestOutput:
    def test_names_what_was_created_and_counts(self, two):
        kept, shown = two

        assert Run().out.splitlines() == [
            f"{kept}: created (private)",
            f"{shown}: created (public)",
            "2 created.",
        ]

    def test_a_second_run_prints_the_count_only(self, two):
        Run()

        assert Run().out == "2 unchanged.\n"

    def test_verbosity_2_names_what_is_unchanged_too(self, two):
        kept, shown = two
        Run()

        assert Run(verbosity=2).out.splitlines() == [
            f"{kept}: unchanged",
            f"{shown}: unchanged",
            "2 unchanged.",
        ]

    @pytest.mark.parametrize("options", [{"verbosity": 0}, {"silenced": True}])
    def test_silence(self, two, bare, options):
        run = Run(**options)

        assert (run.out, run.err, run.error) == ("", "", None)
        assert bare.bucket_exists(bucket_name=two[0])

    def test_a_project_without_buckets(self):
        assert Run().out == "No storage in use needs a bucket here.\n"

    def test_no_bar_is_drawn_where_nobody_looks(self, two):
        assert "\r" not in Run().out

    def test_a_private_bucket_that_is_open_is_pointed_at_each_time(self, project, two):
        project.MINIO_POLICY_HOOKS = [(two[0], logos_only)]
        Run()

        assert f"{two[0]}: unchanged. Look at it: private by its settings, but" in Run().out

    def test_a_hook_for_no_bucket_is_told(self, project, two):
        project.MINIO_POLICY_HOOKS = [("paperz", logos_only)]

        assert "The policy hook of 'paperz' did nothing" in Run().out

    def test_so_is_one_for_a_strategy_that_nothing_uses(self, project, two):
        used, other = PerModel(default=two[0]), PerModel(default=two[1])
        project.MINIO_PRIVATE_BUCKETS = [used]
        project.MINIO_POLICY_HOOKS = [(used, logos_only), (other, logos_only)]

        told = Run().out

        assert f"The policy hook of {other!r} did nothing" in told
        assert f"{used!r} did nothing" not in told


class TestFailures:
    def test_a_failing_bucket_is_named_with_its_cause_and_the_others_are_done(self, two, bare, proxy):
        kept, shown = two
        proxy.when(refusing(403, "QuotaReached"), where=lambda request: request.target == f"/{kept}")

        run = Run(silenced=True)

        assert run.exit_code == 1
        assert str(run.error) == "1 of 2 buckets failed."
        assert run.err.startswith(f"{kept}: failed. ")
        assert "QuotaReached" in run.err
        assert bare.bucket_exists(bucket_name=shown)

    def test_a_tenant_without_a_name_for_its_bucket_fails_alone(self, use, tenants, new_name, bare):
        acme, north = tenants("acme", "north")
        acme.name, north.name = new_name("own"), ""
        for tenant in (acme, north):
            tenant.save()
        use(Contract, MinioRouter(strategy=PerTenant(field="name")))

        run = Run(tenant=[north.schema_name, acme.schema_name])

        assert run.exit_code == 1
        assert repr(north.schema_name) in run.err
        assert "'name', which is empty" in run.err
        assert bare.bucket_exists(bucket_name=acme.name)

    def test_a_contradiction_is_refused_before_anything_is_created(self, project, two, bare, use):
        use(Receipt, MinioBackend(two[0], public=True))

        run = Run()

        assert run.exit_code == 1
        assert str(run.error).startswith("Nothing was changed. ")
        assert two[0] in str(run.error)
        assert not any(bare.bucket_exists(bucket_name=name) for name in two)

    def test_so_is_an_invalid_name(self, project, two, bare):
        project.MINIO_PRIVATE_BUCKETS = [*two[:1], "Not_A_Bucket"]

        run = Run()

        assert run.exit_code == 1
        assert "'Not_A_Bucket'" in str(run.error)
        assert not any(bare.bucket_exists(bucket_name=name) for name in two)

    def test_so_are_two_tenants_that_would_share(self, use, tenants, new_name, bare):
        shared = new_name("shared")
        use(Contract, MinioRouter(strategy=PerTenant(function=lambda tenant: shared)))
        acme, north = tenants("acme", "north")

        run = Run(all_tenants=True)

        assert run.exit_code == 1
        assert acme.schema_name in str(run.error)
        assert north.schema_name in str(run.error)
        assert not bare.bucket_exists(bucket_name=shared)

    def test_a_dead_server_and_a_wrong_key_are_one_clear_error(self, project, two):
        project.MINIO_SECRET_KEY = "not the key"
        assert "SignatureDoesNotMatch" in str(Run().error)

        project.MINIO_ENDPOINT, project.MINIO_RETRIES = "127.0.0.1:9", 0
        assert "No answer from the S3 server at 127.0.0.1:9" in str(Run().error)

    def test_what_answers_and_is_no_s3_server_is_one_clear_error_too(self, two, proxy):
        proxy.when(answering(200, b"<html>Welcome"))

        assert f"{proxy.endpoint} for 'the list of buckets' is not from an S3 server" in str(Run().error)

    def test_the_secret_key_is_in_no_output(self, project, two):
        project.MINIO_SECRET_KEY = "hush-hush-hush"

        run = Run(verbosity=3)

        assert "hush" not in run.out + run.err + str(run.error)

    def test_a_table_that_is_not_there_is_an_error_and_no_traceback(self, use, db, settings, monkeypatch):
        from tests.apps.customers.models import Client

        use(Contract, MinioRouter(strategy=PerTenant()))
        monkeypatch.setattr(Client._meta, "db_table", "not_migrated")

        assert "not_migrated" in str(Run(all_tenants=True).error)

    @pytest.mark.parametrize("jobs", [0, -1])
    def test_a_wrong_number_of_jobs(self, jobs):
        assert f"--jobs is {jobs}" in str(Run(jobs=jobs).error)

    def test_settings_that_the_checks_refuse_stop_it_on_the_command_line(self, project):
        project.MINIO_PRIVATE_BUCKETS = "papers"

        with pytest.raises(SystemCheckError, match=r"minio_router\.E001"):
            call_command("initialize_buckets", skip_checks=False, stderr=StringIO())


class TestDryRunAndCheck:
    def test_a_dry_run_tells_what_would_be_and_does_nothing(self, two, bare):
        run = Run(dry_run=True)

        assert run.out.splitlines()[0] == f"{two[0]}: would be created (private)"
        assert run.out.splitlines()[-1] == "2 would be created."
        assert run.exit_code == 0
        assert not any(bare.bucket_exists(bucket_name=name) for name in two)

    def test_check_fails_while_anything_differs(self, two, bare):
        run = Run(check=True)
        assert run.exit_code == 1
        assert str(run.error).startswith("2 of 2 buckets differ.")
        assert not any(bare.bucket_exists(bucket_name=name) for name in two)

        Run()
        assert Run(check=True).exit_code == 0

        bare.delete_bucket_policy(bucket_name=two[1])
        assert Run(check=True).exit_code == 1


class TestTenants:
    @pytest.fixture(autouse=True)
    def a_bucket_for_each_tenant(self, use, tenants):
        use(Contract, MinioRouter(strategy=PerTenant()))
        self.acme, self.north = tenants("acme", "north")

    def there(self, bare, *tenants) -> list[bool]:
        return [bare.bucket_exists(bucket_name=tenant.schema_name) for tenant in tenants]

    def test_without_a_tenant_their_strategies_are_skipped_with_the_remedy(self, bare):
        run = Run()

        assert "Skipped PerTenant() of docs.Contract.file: no tenant is active." in run.out
        assert "--all-tenants" in run.out
        assert run.exit_code == 0
        assert self.there(bare, self.acme, self.north) == [False, False]

    def test_all_tenants(self, bare):
        run = Run(all_tenants=True)

        assert self.there(bare, self.acme, self.north) == [True, True]
        assert "Skipped" not in run.out

    def test_one_tenant(self, bare):
        Run(tenant=[self.north.schema_name])

        assert self.there(bare, self.acme, self.north) == [False, True]

    def test_several_tenants(self, bare):
        Run(tenant=[self.north.schema_name, self.acme.schema_name])

        assert self.there(bare, self.acme, self.north) == [True, True]

    def test_an_unknown_tenant(self, bare):
        run = Run(tenant=[self.acme.schema_name, "nobody"])

        assert run.exit_code == 1
        assert "nobody" in str(run.error)
        assert self.acme.schema_name not in str(run.error)
        assert self.there(bare, self.acme) == [False]

    def test_inside_a_tenant_it_is_about_that_tenant(self, bare):
        with tenant_context(self.acme):
            Run()

        assert self.there(bare, self.acme, self.north) == [True, False]

    def test_only_the_buckets_that_are_the_tenants_alone(self, two, bare):
        run = Run(tenant=[self.north.schema_name], own=True)

        assert run.out.splitlines()[-1] == "1 created."
        assert self.there(bare, self.acme, self.north) == [False, True]
        assert not any(bare.bucket_exists(bucket_name=name) for name in two)

    def test_so_inside_a_tenant(self, two, bare):
        with tenant_context(self.acme):
            Run(own=True)

        assert self.there(bare, self.acme, self.north) == [True, False]
        assert not any(bare.bucket_exists(bucket_name=name) for name in two)

    @pytest.mark.parametrize("option", ["dry_run", "check", "enqueue"])
    def test_which_is_done_at_once(self, bare, option):
        run = Run(tenant=[self.north.schema_name], own=True, **{option: True})

        assert "--own cannot be combined" in str(run.error)
        assert self.there(bare, self.north) == [False]

    def test_inside_a_tenant_the_others_can_be_done_too(self, bare):
        with tenant_context(self.acme):
            Run(all_tenants=True)

        assert self.there(bare, self.acme, self.north) == [True, True]


class TestStorages:
    @pytest.fixture(autouse=True)
    def two_storages(self, project, two):
        project.STORAGES = {
            **project.STORAGES,
            "first": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"bucket_name": two[0]}},
            "second": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"bucket_name": two[1]}},
        }

    def test_one(self, two, bare):
        Run(storage=["second"])

        assert [bare.bucket_exists(bucket_name=name) for name in two] == [False, True]

    def test_several(self, two, bare):
        Run(storage=["second", "first"])

        assert [bare.bucket_exists(bucket_name=name) for name in two] == [True, True]

    def test_an_unknown_one(self, two, bare):
        run = Run(storage=["first", "third"])

        assert run.exit_code == 1
        assert "third" in str(run.error)
        assert "first" in str(run.error), "what there is"
        assert not bare.bucket_exists(bucket_name=two[0])


class TestBucketInTheEndpoint:
    @pytest.mark.each_server
    @pytest.mark.parametrize("exists", [True, False])
    def test_is_named_with_the_remedy(self, project, new_name, bare, exists):
        name = new_name("papers")
        if exists:
            bare.make_bucket(bucket_name=name)
        project.MINIO_PRIVATE_BUCKETS = [name]
        project.MINIO_ENDPOINT = f"{project.MINIO_ENDPOINT}/{name}"

        message = str(Run().error)

        assert message.startswith("Nothing was changed.")
        assert project.MINIO_ENDPOINT in message
        assert re.search(r"MINIO_ENDPOINT.*: the package adds the bucket\.$", message)

    @pytest.mark.parametrize(
        "answer", [answering(200, b"<ListBucketResult/>"), refusing(404, "NoSuchBucket")]
    )
    def test_is_named_where_the_server_answers_as_a_bucket_does(self, project, proxy, answer):
        proxy.when(answer, times=None)
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.MINIO_ENDPOINT = f"{proxy.endpoint}/papers"

        assert f"{proxy.endpoint}/papers is a bucket, not an S3 server" in str(Run().error)

    def test_is_named_where_a_file_is_saved(self, project, proxy):
        proxy.when(refusing(404, "NoSuchBucket"), times=None)
        storage = MinioBackend("papers", MINIO_ENDPOINT=f"{proxy.endpoint}/papers", **keys())

        with pytest.raises(BucketNotFound, match="If '/papers' in MINIO_ENDPOINT is a bucket, remove it"):
            storage.save("a.txt", ContentFile(b""))


@pytest.mark.full_scale
def test_a_thousand_tenants(use, tenants, bare):
    use(Contract, MinioRouter(strategy=PerTenant()))
    names = {tenant.schema_name for tenant in tenants(*(f"t{number}-" for number in range(1000)))}

    assert Run(all_tenants=True).out.endswith("\n1000 created.\n")
    assert all(bare.bucket_exists(bucket_name=name) for name in names)

    assert Run(all_tenants=True).out == "1000 unchanged.\n"
    assert Run(all_tenants=True, check=True).exit_code == 0
