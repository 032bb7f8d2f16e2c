"""What becomes of a plan on the real server, looked at with a bare client and as an anonymous visitor."""

from __future__ import annotations

import io
import json

import pytest
import urllib3

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.buckets.ensure import Outcome, State
from django_minio_router.buckets.policies import public_policy, same_policy
from django_minio_router.exceptions import ServerError
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.plan import make_plan
from django_minio_router.s3 import listing as contents
from django_minio_router.s3.client import get_client
from django_minio_router.settings.config import Config
from django_minio_router.strategies import PerModel, PerTenant
from tests.apps.docs.models import Contract, Receipt
from tests.support.provisioning import logos_only, refusing
from tests.support.proxy import Proxy, answering

pytestmark = pytest.mark.usefixtures("project")


def apply(**options) -> dict[str, Outcome]:
    return {outcome.bucket: outcome for outcome in apply_plan(make_plan(), **options)}


def states(**options) -> dict[str, State]:
    return {bucket: outcome.state for bucket, outcome in apply(**options).items()}


@pytest.fixture
def kept(project, new_name) -> str:
    """The name of a private bucket that the settings list."""
    name = new_name("kept")
    project.MINIO_PRIVATE_BUCKETS = [name]
    return name


@pytest.fixture
def shown(project, new_name) -> str:
    """The name of a public bucket that the settings list."""
    name = new_name("shown")
    project.MINIO_PUBLIC_BUCKETS = [name]
    return name


def about_buckets(proxy: Proxy) -> list[str]:
    """Return the requests in order of their text, without those for the list of buckets, which all share."""
    return sorted(f"{r.method} {r.target}" for r in proxy.requests if r.path != "/")


class TestFirstRun:
    def test_creates_what_is_missing(self, bare, kept, shown):
        assert states() == {kept: State.CREATED, shown: State.CREATED}

        assert bare.bucket_exists(bucket_name=kept)
        assert bare.bucket_exists(bucket_name=shown)

    def test_lets_visitors_read_public_buckets_only(self, bare, kept, shown, anonymous):
        apply()
        for name in (kept, shown):
            bare.put_object(bucket_name=name, object_name="a.txt", data=io.BytesIO(b"a"), length=1)

        assert anonymous(f"{kept}/a.txt") == 403
        assert anonymous(f"{shown}/a.txt") == 200

    def test_lets_visitors_list_single_buckets_only(self, use, new_name, shown, anonymous, bare):
        strategic = new_name("strategic")
        use(Receipt, MinioRouter(strategy=PerModel({"docs.Receipt": strategic}, public_read=True)))
        apply()

        assert anonymous(f"{shown}?list-type=2") == 200
        assert anonymous(f"{strategic}?list-type=2") == 403
        bare.put_object(bucket_name=strategic, object_name="a.txt", data=io.BytesIO(b"a"), length=1)
        assert anonymous(f"{strategic}/a.txt") == 200

    def test_nobody_may_write(self, shown, project):
        apply()

        url = f"http://{project.MINIO_ENDPOINT}/{shown}/a.txt"
        assert put_anonymously(url) == 403

    def test_sets_the_policy_of_a_hook(self, project, bare, kept, policy, anonymous):
        project.MINIO_POLICY_HOOKS = [(kept, logos_only)]
        apply()
        for name in ("logos/a.png", "a.txt"):
            bare.put_object(bucket_name=kept, object_name=name, data=io.BytesIO(b"a"), length=1)

        assert same_policy(policy(kept), logos_only(kept))
        assert anonymous(f"{kept}/logos/a.png") == 200
        assert anonymous(f"{kept}/a.txt") == 403

    def test_warns_of_a_hook_that_lets_everybody_into_a_private_bucket(self, project, kept, shown):
        project.MINIO_POLICY_HOOKS = [(kept, logos_only), (shown, logos_only)]

        outcomes = apply(dry_run=True)

        assert "lets everybody in" in outcomes[kept].warning
        assert not outcomes[shown].warning

    def test_gives_every_tenant_its_bucket(self, use, bare, tenants):
        use(Contract, MinioRouter(strategy=PerTenant("media-{schema_name}")))
        rows = tenants("acme", "north")

        apply_plan(make_plan(rows))

        for tenant in rows:
            assert bare.bucket_exists(bucket_name=f"media-{tenant.schema_name}")


def put_anonymously(url: str) -> int:
    return urllib3.request("PUT", url, body=b"x", retries=False).status


class TestSecondRun:
    def test_changes_nothing(self, project, kept, shown, policy):
        project.MINIO_POLICY_HOOKS = [(kept, logos_only)]
        apply()
        before = policy(kept), policy(shown)

        assert states() == {kept: State.UNCHANGED, shown: State.UNCHANGED}
        assert (policy(kept), policy(shown)) == before

    def test_sends_one_request_for_each_bucket_and_the_first_marks_too(self, project, kept, shown, proxy):
        apply()
        of_first = about_buckets(proxy)
        proxy.forget()
        apply()
        of_second = about_buckets(proxy)

        assert of_first == sorted(
            [
                f"PUT /{kept}",
                f"PUT /{kept}?tagging=",
                f"PUT /{shown}",
                f"PUT /{shown}?tagging=",
                f"PUT /{shown}?policy=",
            ]
        )
        assert of_second == [f"GET /{kept}?policy=", f"GET /{shown}?policy="]

    def test_mends_a_public_policy_that_was_changed(self, bare, shown, policy):
        apply()
        bare.delete_bucket_policy(bucket_name=shown)

        assert states() == {shown: State.CHANGED}
        assert same_policy(policy(shown), public_policy(shown, listing=True))

    def test_takes_listing_back_where_the_setting_says_so(self, project, shown, anonymous):
        apply()
        project.MINIO_PUBLIC_POLICY = "read"

        assert states() == {shown: State.CHANGED}
        assert anonymous(f"{shown}?list-type=2") == 403

    def test_closes_a_bucket_that_was_public(self, project, shown, policy):
        apply()
        project.MINIO_PUBLIC_BUCKETS, project.MINIO_PRIVATE_BUCKETS = [], [shown]

        outcome = apply()[shown]

        assert (outcome.state, outcome.cause) == (State.CHANGED, "no longer public")
        assert policy(shown) is None

    def test_leaves_a_policy_that_a_person_wrote_on_a_private_bucket(self, bare, kept, policy):
        apply()
        bare.set_bucket_policy(bucket_name=kept, policy=json.dumps(logos_only(kept)))

        outcome = apply()[kept]

        assert outcome.state is State.UNCHANGED
        assert "lets everybody in" in outcome.warning
        assert same_policy(policy(kept), logos_only(kept))

    def test_takes_up_a_bucket_that_a_person_made(self, bare, shown, anonymous):
        bare.make_bucket(bucket_name=shown)

        assert states() == {shown: State.CHANGED}
        assert anonymous(f"{shown}?list-type=2") == 200


class TestDryRun:
    def test_tells_what_would_be_and_changes_nothing(self, bare, kept, shown, policy):
        bare.make_bucket(bucket_name=shown)

        assert states(dry_run=True) == {kept: State.CREATED, shown: State.CHANGED}

        assert not bare.bucket_exists(bucket_name=kept)
        assert policy(shown) is None

    def test_sends_reading_requests_only(self, kept, shown, proxy):
        apply(dry_run=True)

        assert set(proxy.methods) == {"GET"}


class TestFailures:
    def test_a_failing_bucket_stops_no_other_and_tells_why(self, project, bare, new_name, proxy):
        _, broken, last = names = [new_name(label) for label in ("first", "broken", "last")]
        project.MINIO_PRIVATE_BUCKETS = names
        proxy.when(
            refusing(403, "QuotaReached"), method="PUT", where=lambda request: request.path == f"/{broken}"
        )

        outcomes = apply(jobs=1)

        assert [outcomes[name].state for name in names] == [State.CREATED, State.FAILED, State.CREATED]
        assert "QuotaReached" in outcomes[broken].cause
        assert bare.bucket_exists(bucket_name=last)
        assert not bare.bucket_exists(bucket_name=broken)

    def test_a_server_that_is_gone_stops_no_other(self, project, bare, use, kept):
        project.MINIO_SERVERS = {
            "gone": {
                "MINIO_ENDPOINT": "127.0.0.1:9",
                "MINIO_ACCESS_KEY": "key",
                "MINIO_SECRET_KEY": "secret",
                "MINIO_RETRIES": 0,
            }
        }
        use(Receipt, MinioBackend("receipts", server="gone"))

        outcomes = apply()

        assert outcomes[kept].state is State.CREATED
        assert outcomes["receipts"].state is State.FAILED
        assert "127.0.0.1:9" in outcomes["receipts"].cause
        assert bare.bucket_exists(bucket_name=kept)

    def test_with_no_server_at_all_one_error_says_it(self, project, kept):
        project.MINIO_ENDPOINT = "127.0.0.1:9"
        project.MINIO_RETRIES = 0

        with pytest.raises(ServerError, match=r"127\.0\.0\.1:9"):
            apply()

    def test_a_wrong_key_is_one_error(self, project, kept):
        project.MINIO_SECRET_KEY = "not the key"

        with pytest.raises(ServerError, match=r"SignatureDoesNotMatch.*MINIO_SECRET_KEY"):
            apply()

    def test_a_mistake_in_our_own_code_is_told_as_a_failure_of_that_bucket(
        self, project, new_name, monkeypatch
    ):
        names = [new_name("one"), new_name("two")]
        project.MINIO_PRIVATE_BUCKETS = names
        plan = make_plan()
        spoilt, _ = plan.buckets.values()
        spoilt.hook = {"Statement": [{"Effect": {1, 2}}]}

        outcomes = apply_plan(plan)

        assert [outcome.state for outcome in outcomes] == [State.FAILED, State.CREATED]


class TestServersThatDoNotAllowOrKnowIt:
    def test_without_the_right_to_list_buckets_each_is_asked_for(self, bare, kept, shown, proxy):
        proxy.when(refusing(403, "AccessDenied"), where=lambda request: request.path == "/", times=None)

        assert states() == {kept: State.CREATED, shown: State.CREATED}
        proxy.requests.clear()
        assert states() == {kept: State.UNCHANGED, shown: State.UNCHANGED}
        assert about_buckets(proxy) == [f"GET /{kept}?policy=", f"GET /{shown}?policy="]

    def test_without_bucket_policies_public_buckets_are_made_with_a_warning(self, bare, kept, shown, proxy):
        proxy.when(
            refusing(501, "NotImplemented"), where=lambda request: "policy" in request.query, times=None
        )

        outcomes = apply()
        assert outcomes[kept].state is State.CREATED
        assert outcomes[shown].state is State.CREATED
        assert "the server does not support policies" in outcomes[shown].warning
        assert not outcomes[kept].warning
        assert states() == {kept: State.UNCHANGED, shown: State.UNCHANGED}

    def test_a_bucket_that_appears_meanwhile_is_taken_up(self, bare, shown, proxy, policy):
        bare.make_bucket(bucket_name=shown)
        none = b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
        proxy.when(answering(200, none), where=lambda request: request.path == "/")

        # Ceph takes it for created, as it answers 200 to whoever creates his own bucket once more.
        assert states()[shown] in {State.CHANGED, State.CREATED}
        assert same_policy(policy(shown), public_policy(shown, listing=True))

    def test_a_bucket_of_somebody_else_fails(self, shown, proxy):
        proxy.when(refusing(409, "BucketAlreadyExists"), method="PUT")

        outcome = apply()[shown]

        assert outcome.state is State.FAILED
        assert "BucketAlreadyExists" in outcome.cause


def test_outcomes_are_reported_in_the_order_of_the_plan(project, new_name):
    names = [new_name(str(number)) for number in range(10)]
    project.MINIO_PRIVATE_BUCKETS = names
    reported: list[str] = []

    apply_plan(make_plan(), jobs=4, report=lambda outcome: reported.append(outcome.bucket))

    assert reported == names


def test_interrupted_it_starts_no_further_bucket(project, bare, new_name):
    names = [new_name(str(number)) for number in range(300)]
    project.MINIO_PRIVATE_BUCKETS = names

    def interrupt(outcome: Outcome) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_plan(make_plan(), jobs=1, report=interrupt)

    there = {bucket.name for bucket in bare.list_buckets()}
    assert not there.issuperset(names)


def test_the_list_of_buckets_is_asked_for_in_pages_and_read_to_its_end(
    bare, bucket, proxy, monkeypatch, server_name
) -> None:
    """AWS answers no other list to accounts with very many. MinIO and Ceph send all, whatever is asked."""
    monkeypatch.setattr(contents, "_PAGE", len(bare.list_buckets()) // 2 + 1)

    found = list(contents.bucket_names(get_client(Config().internal)))

    assert bucket in found
    assert len(found) == len(set(found))
    assert all("max-buckets=" in request.query for request in proxy.requests)
    assert len(proxy.requests) >= (1 if server_name in {"minio", "ceph"} else 2)
