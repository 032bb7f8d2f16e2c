"""What is planned: every bucket that the project needs, and nothing that contradicts itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.storage import storages
from django.utils.deconstruct import deconstructible
from django_tenants.utils import tenant_context

from django_minio_router import (
    ConfigurationError,
    InvalidBucketName,
    MinioBackend,
    MinioRouter,
    PrivatePublicMixedError,
)
from django_minio_router.buckets.ensure import PlannedBucket, State
from django_minio_router.buckets.policies import same_policy
from django_minio_router.provisioning.plan import Plan, make_plan
from django_minio_router.strategies import (
    BucketStrategy,
    FixedBucket,
    PerModel,
    PerTenant,
    PerTenantPrefix,
)
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Invoice, Receipt

READ_ONE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::x/logo.png"}
    ],
}

pytestmark = pytest.mark.usefixtures("project")


def planned(plan: Plan) -> dict[str, str]:
    """Return the names of the plan, and of what kind each is to be."""
    return {bucket.name: bucket.kind for bucket in plan.buckets.values()}


def bucket_of(plan: Plan, name: str) -> PlannedBucket:
    return next(bucket for bucket in plan.buckets.values() if bucket.name == name)


class TestCollection:
    def test_nothing_in_use_is_an_empty_plan(self):
        assert planned(make_plan()) == {}

    def test_the_names_that_the_settings_list(self, project):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.MINIO_PUBLIC_BUCKETS = ["logos"]

        assert planned(make_plan()) == {"papers": "private", "logos": "public"}

    def test_the_strategies_that_the_settings_list(self, project):
        project.MINIO_PRIVATE_BUCKETS = [PerModel({"docs.Invoice": "invoices"})]
        project.MINIO_PUBLIC_BUCKETS = [
            {
                "BACKEND": "django_minio_router.strategies.PerModel",
                "OPTIONS": {"buckets": {"docs.Note": "notes"}, "public_read": True},
            }
        ]

        assert planned(make_plan()) == {"invoices": "private", "notes": "public"}

    def test_the_storages_of_every_alias(self, project):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.STORAGES = {
            **project.STORAGES,
            "default": {"BACKEND": "django_minio_router.MinioRouter"},
            "papers": {
                "BACKEND": "django_minio_router.MinioBackend",
                "OPTIONS": {"bucket_name": "papers"},
            },
            "photos": {
                "BACKEND": "django_minio_router.MinioRouter",
                "OPTIONS": {"strategy": FixedBucket("photos", public_read=True)},
            },
        }

        assert planned(make_plan()) == {
            "auto-generated-bucket-media-files": "private",
            "papers": "private",
            "photos": "public",
        }

    def test_static_files_are_public_unless_declared_private(self, project):
        project.STORAGES = {
            **project.STORAGES,
            "staticfiles": {"BACKEND": "django_minio_router.models.MinioBackendStatic"},
        }
        assert planned(make_plan()) == {"auto-generated-bucket-static-files": "public"}

        project.MINIO_STATIC_FILES_BUCKET = "assets"
        project.MINIO_PRIVATE_BUCKETS = ["assets"]
        assert planned(make_plan()) == {"assets": "private"}

    def test_the_fields_of_every_model(self, project, use):
        project.MINIO_PUBLIC_BUCKETS = ["receipts"]
        use(Receipt, MinioBackend("receipts"))
        use(Contract, MinioRouter(strategy=FixedBucket("contracts", public_read=False)))

        assert planned(make_plan()) == {"receipts": "public", "contracts": "private"}

    def test_one_router_for_several_models_plans_the_bucket_of_each(self, use):
        router = MinioRouter(strategy=PerModel(template="{app_label}-{model_name}", default="others"))
        use(Invoice, router)
        use(Receipt, router)

        assert planned(make_plan()).keys() == {"docs-invoice", "docs-receipt", "others"}

    def test_a_field_on_the_default_storage_is_planned_for_its_model(self, project):
        project.STORAGES = {
            **project.STORAGES,
            "default": {
                "BACKEND": "django_minio_router.MinioRouter",
                "OPTIONS": {"strategy": PerModel(template="of-{model_name}")},
            },
        }

        assert "of-note" in planned(make_plan())

    def test_the_same_name_on_two_servers_is_two_buckets(self, project, use):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.MINIO_SERVERS = {
            "eu": {
                "MINIO_ENDPOINT": "eu.example.com",
                "MINIO_ACCESS_KEY": "key",
                "MINIO_SECRET_KEY": "secret",
            }
        }
        use(Receipt, MinioBackend("papers", server="eu"))

        assert make_plan().buckets.keys() == {
            (project.MINIO_ENDPOINT, "papers"),
            ("eu.example.com", "papers"),
        }

    def test_buckets_that_a_named_server_declares_need_no_storage(self, project):
        project.MINIO_SERVERS = {
            "eu": {
                "MINIO_ENDPOINT": "eu.example.com",
                "MINIO_ACCESS_KEY": "key",
                "MINIO_SECRET_KEY": "secret",
                "MINIO_PUBLIC_BUCKETS": ["europe"],
            }
        }

        assert make_plan().buckets.keys() == {("eu.example.com", "europe")}


class TestTenants:
    def test_outside_of_a_tenant_a_strategy_that_needs_one_is_skipped(self, db, use):
        use(Contract, MinioRouter(strategy=PerTenant()))

        plan = make_plan()

        assert planned(plan) == {}
        assert [source.where for source in plan.skipped] == ["PerTenant() of docs.Contract.file"]

    def test_inside_of_a_tenant_its_bucket_is_planned(self, use, tenants):
        use(Contract, MinioRouter(strategy=PerTenant()))
        (acme,) = tenants("acme")

        with tenant_context(acme):
            plan = make_plan()

        assert planned(plan) == {acme.schema_name: "private"}
        assert not plan.skipped

    def test_each_tenant_that_is_told_has_its_bucket_planned(self, use, tenants):
        use(Contract, MinioRouter(strategy=PerTenant("media-{schema_name}", public="media-of-all")))
        acme, north, _ = tenants("acme", "north", "other")

        assert planned(make_plan([acme, north])).keys() == {
            f"media-{acme.schema_name}",
            f"media-{north.schema_name}",
            "media-of-all",
        }

    def test_no_query_is_sent_for_a_tenant(self, use, tenants, django_assert_num_queries):
        use(Contract, MinioRouter(strategy=PerTenant("{schema_name}-{id}")))
        rows = tenants("acme", "north")

        with django_assert_num_queries(0):
            make_plan(rows)


class TestContradictions:
    def test_a_name_in_both_lists(self, project):
        project.MINIO_PRIVATE_BUCKETS = ["papers", "mixed"]
        project.MINIO_PUBLIC_BUCKETS = ["mixed"]

        with pytest.raises(PrivatePublicMixedError, match=r"'mixed'.*MINIO_PUBLIC_BUCKETS.*MINIO_PRIVATE"):
            make_plan()

    def test_a_listed_name_and_a_storage_that_says_otherwise(self, project, use):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        use(Receipt, MinioBackend("papers", public=True))

        with pytest.raises(PrivatePublicMixedError, match=r"docs\.Receipt\.file.*MINIO_PRIVATE_BUCKETS"):
            make_plan()

    def test_two_strategies_that_meet_in_one_bucket(self, use):
        use(Receipt, MinioRouter(strategy=PerModel({"docs.Receipt": "shared"}, public_read=True)))
        use(Invoice, MinioRouter(strategy=PerModel({"docs.Invoice": "shared"})))

        with pytest.raises(PrivatePublicMixedError, match="'shared'"):
            make_plan()

    def test_a_tenant_whose_bucket_is_a_public_one(self, project, use, tenants):
        (acme,) = tenants("acme")
        project.MINIO_PUBLIC_BUCKETS = [acme.schema_name]
        use(Contract, MinioRouter(strategy=PerTenant()))

        with pytest.raises(PrivatePublicMixedError, match=acme.schema_name):
            make_plan([acme])

    @pytest.mark.parametrize(
        ("setting", "public_read"), [("MINIO_PUBLIC_BUCKETS", False), ("MINIO_PRIVATE_BUCKETS", True)]
    )
    def test_a_strategy_in_the_wrong_list(self, project, setting, public_read):
        setattr(project, setting, [PerModel({"docs.Note": "notes"}, public_read=public_read)])

        with pytest.raises(PrivatePublicMixedError, match=f"{setting}.*public_read is {public_read}"):
            make_plan()

    def test_the_same_on_two_servers_is_none(self, project, use):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.MINIO_SERVERS = {
            "eu": {"MINIO_ENDPOINT": "eu.example.com", "MINIO_ACCESS_KEY": "k", "MINIO_SECRET_KEY": "s"}
        }
        use(Receipt, MinioBackend("papers", server="eu", public=True))

        assert len(make_plan().buckets) == 2

    def test_a_bucket_that_nobody_declares(self, use):
        use(Receipt, MinioBackend("nowhere"))

        with pytest.raises(ConfigurationError, match=r"'nowhere'.*neither"):
            make_plan()


class TestNames:
    def test_an_invalid_name_in_a_list(self, project):
        project.MINIO_PRIVATE_BUCKETS = ["Not_A_Bucket"]

        with pytest.raises(InvalidBucketName, match=r"MINIO_PRIVATE_BUCKETS gave .*'Not_A_Bucket'"):
            make_plan()

    def test_an_invalid_name_of_one_tenant_names_strategy_and_tenant(self, use, tenants):
        acme, north = tenants("acme", "north")
        use(Contract, MinioRouter(strategy=PerTenant(function=spoiling(north))))

        plan = make_plan([acme, north])

        (refused,) = plan.refused
        assert "docs.Contract.file" in refused.cause
        assert repr(north.schema_name) in refused.cause
        assert planned(plan) == {acme.schema_name: "private"}

    @pytest.mark.parametrize("answer", [None, 7, b"bytes", ""])
    def test_what_is_no_name_at_all(self, use, tenants, answer):
        use(Contract, MinioRouter(strategy=PerTenant(function=lambda tenant: answer)))

        plan = make_plan(tenants("acme"))

        assert [outcome.state for outcome in plan.refused] == [State.FAILED]
        assert planned(plan) == {}

    def test_a_tenant_without_a_value_fails_alone(self, use, tenants):
        acme, north = tenants("acme", "north")
        north.name = ""
        use(Contract, MinioRouter(strategy=PerTenant(field="name")))
        use(Invoice, MinioRouter(strategy=PerTenant("in-{schema_name}")))

        plan = make_plan([acme, north])

        (refused,) = plan.refused
        assert repr(north.schema_name) in refused.cause
        assert "'name', which is empty" in refused.cause
        assert planned(plan).keys() == {"acme", f"in-{acme.schema_name}", f"in-{north.schema_name}"}

    def test_an_error_of_a_strategys_own_fails_alone_too(self, use, tenants):
        (acme,) = tenants("acme")
        use(Contract, MinioRouter(strategy=PerTenant(function=lambda tenant: tenant.owner.slug)))
        use(Invoice, MinioRouter(strategy=PerTenant("in-{schema_name}")))

        plan = make_plan([acme])

        assert "owner" in next(iter(plan.refused)).cause
        assert planned(plan).keys() == {f"in-{acme.schema_name}"}


def spoiling(spoilt: Client) -> Callable[[Client], str]:
    return lambda tenant: "No Bucket" if tenant == spoilt else tenant.schema_name


@deconstructible
class Halves(BucketStrategy):
    """Two buckets for all tenants, as a sharding strategy would have them."""

    def bucket_for(self, model):
        return "first-half"

    def buckets_for(self, models):
        return ["first-half", "second-half"]


class TestTenantsThatWouldShare:
    @pytest.mark.parametrize(
        "strategy",
        [
            PerTenant(field="name"),
            PerTenant("of-{name}"),
            PerTenant(function=lambda tenant: "for-everybody"),
            PerTenantPrefix("all-tenants", field="name"),
        ],
        ids=["field", "template", "function", "folder"],
    )
    def test_are_both_named(self, use, tenants, strategy):
        use(Contract, MinioRouter(strategy=strategy))
        acme, north = tenants("acme", "north")
        north.name = acme.name

        with pytest.raises(ConfigurationError) as refused:
            make_plan([acme, north])

        assert repr(acme.schema_name) in str(refused.value)
        assert repr(north.schema_name) in str(refused.value)
        assert "docs.Contract.file" in str(refused.value)

    def test_meet_through_two_strategies_as_well(self, use, tenants):
        acme, north = tenants("acme", "north")
        north.schema_name = f"of-{acme.schema_name}"
        use(Contract, MinioRouter(strategy=PerTenant()))
        use(Receipt, MinioRouter(strategy=PerTenant("of-{schema_name}")))

        with pytest.raises(ConfigurationError, match=f"would share {north.schema_name}"):
            make_plan([acme, north])

    def test_take_no_bucket_of_a_model_and_stop_nobody_else(self, use, tenants):
        use(Contract, MinioRouter(strategy=PerTenant()))
        use(Invoice, MinioRouter(strategy=PerModel({"docs.Invoice": "all-invoices"})))
        acme, north = tenants("acme", "north")
        acme.schema_name = "all-invoices"

        plan = make_plan([acme, north])

        [refused] = plan.refused
        assert refused.state is State.FAILED
        assert "'all-invoices' must not use it" in refused.cause
        assert "for the files of PerModel" in refused.cause
        assert {name for _, name in plan.buckets} >= {north.schema_name, "all-invoices"}

    def test_one_tenant_may_use_its_bucket_for_several_fields(self, use, tenants):
        use(Contract, MinioRouter(strategy=PerTenant()))
        use(Receipt, MinioRouter(strategy=PerTenant(field="schema_name")))
        rows = tenants("acme", "north")

        assert len(make_plan(rows).buckets) == 2

    def test_a_strategy_that_means_to_share_may(self, use, tenants):
        use(Contract, MinioRouter(strategy=Halves()))
        use(Receipt, MinioRouter(strategy=FixedBucket("for-all", public_read=False)))
        use(Invoice, MinioRouter(strategy=PerTenantPrefix("all-tenants")))

        plan = make_plan(tenants("acme", "north"))

        assert planned(plan).keys() == {"first-half", "second-half", "for-all", "all-tenants"}


class TestAliases:
    @pytest.fixture(autouse=True)
    def two_storages(self, project):
        project.MINIO_PRIVATE_BUCKETS = ["papers", "photos", "listed-only"]
        project.STORAGES = {
            **project.STORAGES,
            "papers": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"bucket_name": "papers"}},
            "photos": {"BACKEND": "django_minio_router.MinioBackend", "OPTIONS": {"bucket_name": "photos"}},
        }

    def test_only_the_buckets_of_the_alias_are_planned(self):
        assert planned(make_plan(aliases=["papers"])).keys() == {"papers"}
        assert planned(make_plan(aliases=["papers", "photos"])).keys() == {"papers", "photos"}

    def test_a_field_with_the_storage_of_the_alias_belongs_to_it(self, project, use):
        project.STORAGES = {
            **project.STORAGES,
            "routed": {
                "BACKEND": "django_minio_router.MinioRouter",
                "OPTIONS": {"strategy": PerModel(template="of-{model_name}")},
            },
        }
        use(Receipt, storages["routed"])

        assert planned(make_plan(aliases=["routed"])).keys() == {"of-receipt"}

    def test_what_the_options_of_the_alias_list_belongs_to_it(self, project):
        project.STORAGES = {
            **project.STORAGES,
            "photos": {
                "BACKEND": "django_minio_router.MinioBackend",
                "OPTIONS": {"bucket_name": "photos", "MINIO_PUBLIC_BUCKETS": ["photos", "thumbnails"]},
            },
        }
        project.MINIO_PRIVATE_BUCKETS = ["papers"]

        assert planned(make_plan(aliases=["photos"])) == {"photos": "public", "thumbnails": "public"}

    def test_a_policy_hook_holds_for_it_too(self, project):
        project.MINIO_POLICY_HOOKS = [("papers", READ_ONE)]

        plan = make_plan(aliases=["papers"])

        assert same_policy(bucket_of(plan, "papers").policy, READ_ONE)

    def test_a_contradiction_elsewhere_is_still_refused(self, project, use):
        use(Receipt, MinioBackend("photos", public=True))

        with pytest.raises(PrivatePublicMixedError, match="photos"):
            make_plan(aliases=["papers"])

    def test_tenant_strategies_of_other_aliases_are_not_called_skipped(self, db, use):
        use(Contract, MinioRouter(strategy=PerTenant()))

        assert make_plan().skipped
        assert not make_plan(aliases=["papers"]).skipped


class TestPolicyHooks:
    def test_a_dictionary_for_a_name(self, project):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.MINIO_POLICY_HOOKS = [("papers", READ_ONE)]

        assert same_policy(bucket_of(make_plan(), "papers").policy, READ_ONE)

    def test_a_callable_for_a_strategy_gets_each_bucket_name(self, project, use, tenants):
        strategy = PerTenant("media-{schema_name}")
        use(Contract, MinioRouter(strategy=strategy))
        project.MINIO_POLICY_HOOKS = [(PerTenant("media-{schema_name}"), reading)]
        acme, north = tenants("acme", "north")

        plan = make_plan([acme, north])

        for tenant in (acme, north):
            name = f"media-{tenant.schema_name}"
            assert same_policy(bucket_of(plan, name).policy, reading(name))

    def test_a_strategy_may_be_written_as_in_storages(self, project, use):
        use(Receipt, MinioRouter(strategy=FixedBucket("receipts", public_read=False)))
        written = {
            "BACKEND": "django_minio_router.strategies.FixedBucket",
            "OPTIONS": {"name": "receipts", "public_read": False},
        }
        project.MINIO_POLICY_HOOKS = [(written, reading)]

        assert same_policy(bucket_of(make_plan(), "receipts").policy, reading("receipts"))

    def test_the_last_of_two_holds_and_a_name_goes_before_a_strategy(self, project, use):
        strategy = FixedBucket("receipts", public_read=False)
        use(Receipt, MinioRouter(strategy=strategy))
        project.MINIO_POLICY_HOOKS = [("receipts", reading), ("receipts", READ_ONE), (strategy, reading)]

        assert same_policy(bucket_of(make_plan(), "receipts").policy, READ_ONE)

    def test_one_for_a_bucket_that_nothing_uses_creates_nothing_and_is_told(self, project):
        project.MINIO_POLICY_HOOKS = [("paperz", READ_ONE)]

        plan = make_plan()

        assert planned(plan) == {}
        assert plan.unused_hooks == ["paperz"]

    @pytest.mark.parametrize(
        "policy", [lambda bucket: None, lambda bucket: {"Version": "2012-10-17"}, {"a": {1}}]
    )
    def test_what_is_no_policy_is_refused_with_the_name_of_the_bucket(self, project, policy):
        project.MINIO_PRIVATE_BUCKETS = ["papers"]
        project.MINIO_POLICY_HOOKS = [("papers", policy)]

        with pytest.raises(ConfigurationError, match="policy hook of 'papers'"):
            make_plan()


def reading(bucket: str) -> dict:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/public/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


class TestListing:
    """Who may list a public bucket: anybody for a single one, as ever; nobody for those of a strategy."""

    def test_a_single_bucket(self, project):
        project.MINIO_PUBLIC_BUCKETS = ["logos"]

        assert bucket_of(make_plan(), "logos").listing

    def test_a_bucket_of_a_strategy(self, use):
        use(Receipt, MinioRouter(strategy=PerModel(template="of-{model_name}", public_read=True)))

        assert not bucket_of(make_plan(), "of-receipt").listing

    def test_a_bucket_that_is_both_may_not_be_listed(self, project, use):
        project.MINIO_PUBLIC_BUCKETS = ["of-receipt"]
        use(Receipt, MinioRouter(strategy=PerModel(template="of-{model_name}", public_read=True)))

        assert not bucket_of(make_plan(), "of-receipt").listing

    @pytest.mark.parametrize(("choice", "listing"), [("list", True), ("read", False)])
    def test_the_setting_says(self, project, use, choice, listing):
        project.MINIO_PUBLIC_POLICY = choice
        project.MINIO_PUBLIC_BUCKETS = ["logos"]
        use(Receipt, MinioRouter(strategy=PerModel(template="of-{model_name}", public_read=True)))

        plan = make_plan()

        assert bucket_of(plan, "logos").listing is listing
        assert bucket_of(plan, "of-receipt").listing is listing

    def test_the_first_save_would_create_the_same(self, project):
        project.MINIO_PUBLIC_BUCKETS = ["logos"]

        assert MinioBackend("logos").is_bucket_listable
        assert not MinioBackend("logos", public=True).is_bucket_listable
