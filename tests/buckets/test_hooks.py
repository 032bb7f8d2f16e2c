"""Bucket hooks: what the server holds after them, at the first run and at later ones."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from threading import Thread
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django_tenants.utils import tenant_context
from minio import Minio
from minio.commonconfig import Filter, Tags
from minio.error import S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

from django_minio_router import ConfigurationError, MinioBackend, hooks, tenancy, tenant_bucket_context
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.new_tenant import provision
from django_minio_router.provisioning.plan import Plan, make_plan
from django_minio_router.s3.client import get_client
from django_minio_router.settings.config import Config
from tests.apps.customers.models import Client

Run = Callable[..., str]
Lacks = Callable[[str], bool]


def hook_of_the_project(client: Minio, bucket: str) -> None:
    client.set_bucket_tags(bucket_name=bucket, tags=a_tag("by", "path"))


def a_tag(key: str, value: str) -> Tags:
    tags = Tags.new_bucket_tags()
    tags[key] = value
    return tags


def fails(client: Minio, bucket: str) -> None:
    raise RuntimeError("no luck")


def not_implemented(client: Minio, bucket: str) -> None:
    raise S3Error(
        code="NotImplemented",
        message="what you ask for",
        resource=None,
        request_id=None,
        host_id=None,
        response=None,
    )


@pytest.fixture
def run(settings: Any, new_name: Callable[[str], str]) -> Run:
    """Return a function that runs the hooks on a bucket through the initializer, and returns the summary."""

    def run(bucket: str, *hooks: object) -> str:
        settings.MINIO_PRIVATE_BUCKETS = [bucket]
        settings.MINIO_BUCKET_HOOKS = list(hooks)
        plan = make_plan()
        mine = Plan({key: planned for key, planned in plan.buckets.items() if planned.name == bucket})
        [outcome] = apply_plan(mine)
        text = f"{outcome.state.value} {outcome.cause} {outcome.warning}"
        return " ".join(text.split())

    return run


@pytest.fixture
def refusing_server(bare: Minio) -> Iterator[str]:
    """A server that knows buckets and no versioning, as Garage and others do."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, status = "NoSuchBucketPolicy", 404
            if "versioning" in self.path:
                code, status = "NotImplemented", 501
            elif self.path.startswith("/?"):  # the list of buckets
                code, status = "AccessDenied", 403
            self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

        def do_HEAD(self) -> None:
            self._answer(200, b"")

        do_PUT = do_HEAD

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/xml")
            self.send_header("x-amz-request-id", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_versioning_is_switched_on(run: Run, bare: Minio, new_name: Callable[[str], str]) -> None:
    bucket = new_name("hooks")

    assert run(bucket, hooks.versioning) == "created private, versioning"
    assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"
    assert run(bucket, hooks.versioning) == "unchanged"


def test_a_bucket_that_is_older_than_the_hook_gets_it_too(run: Run, bucket: str, bare: Minio) -> None:
    assert run(bucket, hooks.versioning) == "changed versioning"
    assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"


NOT_THERE = "the server does not implement what the bucket hook"


def test_encryption_is_the_default_of_the_bucket(run: Run, bucket: str, bare: Minio, lacks: Lacks) -> None:
    if lacks("encryption"):
        assert run(bucket, hooks.encryption) == f"unchanged {NOT_THERE} encryption needs"
        return
    assert run(bucket, hooks.encryption) == "changed encryption"
    assert bare.get_bucket_encryption(bucket_name=bucket).rule.sse_algorithm == "AES256"
    assert run(bucket, hooks.encryption) == "unchanged"


def test_the_key_of_a_key_management_is_named(run: Run, bucket: str, bare: Minio, lacks: Lacks) -> None:
    if lacks("encryption"):
        said = run(bucket, hooks.kms_encryption("key-1"))
        # Ceph answers 400, which may mean a wrong key, so that fails.
        assert said.startswith((f"unchanged {NOT_THERE} kms_encryption needs", "failed The bucket hook"))
        return
    run(bucket, hooks.kms_encryption("key-1"))

    rule = bare.get_bucket_encryption(bucket_name=bucket).rule
    assert (rule.sse_algorithm, rule.kms_master_key_id) == ("aws:kms", "key-1")
    assert run(bucket, hooks.kms_encryption("key-1")) == "unchanged"


def test_expiry_keeps_the_rules_of_others(run: Run, bucket: str, bare: Minio, lacks: Lacks) -> None:
    if lacks("lifecycle"):
        assert run(bucket, hooks.expire(1, prefix="tmp/")) == f"unchanged {NOT_THERE} expire needs"
        return
    theirs = Rule(
        status="Enabled",
        rule_filter=Filter(prefix="logs/"),
        rule_id="theirs",
        expiration=Expiration(days=7),
    )
    bare.set_bucket_lifecycle(bucket_name=bucket, config=LifecycleConfig([theirs]))
    wanted = [hooks.expire(1, prefix="tmp/"), hooks.expire(old_versions=30)]

    assert run(bucket, *wanted) == "changed expire, expire"
    rules = {rule.rule_id: rule for rule in bare.get_bucket_lifecycle(bucket_name=bucket).rules}
    assert rules["theirs"].expiration.days == 7
    assert rules["minio-router:tmp/"].expiration.days == 1
    assert rules["minio-router:tmp/"].rule_filter.prefix == "tmp/"
    assert rules["minio-router:"].noncurrent_version_expiration.noncurrent_days == 30
    assert run(bucket, *wanted) == "unchanged"


def test_another_number_of_days_replaces_the_rule(run: Run, bucket: str, bare: Minio, lacks: Lacks) -> None:
    if lacks("lifecycle"):
        pytest.skip("The server has no rules of expiry.")
    run(bucket, hooks.expire(1))
    run(bucket, hooks.expire(2))

    [rule] = bare.get_bucket_lifecycle(bucket_name=bucket).rules
    assert rule.expiration.days == 2


def test_expiry_without_days_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs days"):
        hooks.expire()


def test_tags_join_those_that_are_there(run: Run, bucket: str, bare: Minio) -> None:
    bare.set_bucket_tags(bucket_name=bucket, tags=a_tag("owner", "them"))

    assert run(bucket, hooks.tags({"team": "web"})) == "changed tags"
    assert dict(bare.get_bucket_tags(bucket_name=bucket)) == {"owner": "them", "team": "web"}
    assert run(bucket, hooks.tags({"team": "web"})) == "unchanged"


def test_cors_rules_are_stored_and_answered_to(run: Run, bucket: str, on_minio: bool) -> None:
    if on_minio:
        pytest.skip("MinIO has no CORS rules for a bucket.")
    hook = hooks.cors(["https://app.example"], methods=["GET"], max_age=60)

    assert run(bucket, hook) == "changed cors"
    client = get_client(Config().internal)
    stored = ElementTree.fromstring(client.request("GET", f"/{bucket}", "cors=").data)
    assert [element.text for element in stored.iter() if element.tag.endswith("AllowedOrigin")] == [
        "https://app.example"
    ]
    asked = {"Access-Control-Request-Method": "GET"}
    allowed = [
        client.connections.pool.request(
            "OPTIONS",
            f"{client.server.base_url}/{bucket}/x",
            headers={"Origin": origin, **asked},
        ).headers.get("Access-Control-Allow-Origin")
        for origin in ("https://app.example", "https://other.example")
    ]
    assert allowed == ["https://app.example", None]
    assert run(bucket, hook) == "unchanged"


def test_a_dotted_path_names_a_hook_of_the_project(run: Run, bucket: str, bare: Minio) -> None:
    run(bucket, f"{__name__}.hook_of_the_project")

    assert dict(bare.get_bucket_tags(bucket_name=bucket)) == {"by": "path"}


def test_a_dotted_path_names_a_ready_made_one(run: Run, bucket: str, bare: Minio) -> None:
    run(bucket, "django_minio_router.hooks.versioning")

    assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"


def test_a_failing_hook_fails_its_bucket_and_names_itself(run: Run, bucket: str) -> None:
    assert run(bucket, fails) == f"failed The bucket hook fails failed for {bucket!r}: no luck"


async def a_coroutine(client: Minio, bucket: str) -> None:
    fails(client, bucket)


def a_generator(client: Minio, bucket: str) -> Iterator[None]:
    yield fails(client, bucket)


@pytest.mark.filterwarnings("ignore:coroutine 'a_coroutine' was never awaited")
@pytest.mark.parametrize("hook", [a_coroutine, a_generator])
def test_a_hook_whose_code_does_not_run_has_failed(run: Run, bucket: str, hook: object) -> None:
    assert re.match(
        rf"failed The bucket hook \w+ failed for '{bucket}': it returned <\w+ object", run(bucket, hook)
    )


def test_hooks_run_for_no_tenant_whoever_is_active(settings: Any, north: Client, bucket: str) -> None:
    active = []
    settings.MINIO_BUCKET_HOOKS = [lambda client, bucket: active.append(tenancy.current_key())]
    with tenant_bucket_context(north):
        MinioBackend(bucket, public=False).check_bucket_existence()
        provision(north)
    with tenant_context(north):
        provision(north)
        assert tenancy.current_key() == north.schema_name

    assert set(active) == {None}


def test_a_failing_hook_does_not_stop_the_other_buckets(
    settings: Any, bare: Minio, new_name: Callable[[str], str]
) -> None:
    bad, good = new_name("a-bad"), new_name("b-good")

    def fails_for_one(client: Minio, bucket: str) -> None:
        if bucket == bad:
            raise RuntimeError("no luck")

    settings.MINIO_PRIVATE_BUCKETS = [bad, good]
    settings.MINIO_BUCKET_HOOKS = [fails_for_one, hooks.versioning]
    output = StringIO()
    with pytest.raises(CommandError, match="1 of"):
        call_command("initialize_buckets", stdout=output, stderr=output)

    assert "no luck" in output.getvalue()
    assert bare.get_bucket_versioning(bucket_name=good).status == "Enabled"
    settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
    call_command("initialize_buckets", stdout=output)
    assert bare.get_bucket_versioning(bucket_name=bad).status == "Enabled"


def test_what_a_server_lacks_is_a_warning_and_the_other_hooks_run(run: Run, bucket: str, bare: Minio) -> None:
    assert run(bucket, not_implemented, hooks.versioning) == (
        "changed versioning the server does not implement what the bucket hook not_implemented needs"
    )
    assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"


def test_the_same_warning_is_printed_for_some_buckets_and_counted_for_the_rest(
    settings: Any, new_name: Callable[[str], str]
) -> None:
    settings.MINIO_PRIVATE_BUCKETS = [new_name("many") for _ in range(20)]
    settings.MINIO_BUCKET_HOOKS = [not_implemented]
    brief, full = StringIO(), StringIO()
    call_command("initialize_buckets", stdout=brief)
    call_command("initialize_buckets", stdout=full, verbosity=2)

    assert brief.getvalue().count("Look at it") == 5
    assert re.search(r"\n\d+ more buckets: the server does not implement", brief.getvalue())
    assert full.getvalue().count("Look at it") >= 20


def test_what_a_server_lacks_fails_the_bucket_where_it_is_required(run: Run, bucket: str) -> None:
    assert run(bucket, hooks.required(not_implemented)).startswith(
        "failed The bucket hook not_implemented failed"
    )


def test_required_takes_a_path_as_well(run: Run, bucket: str) -> None:
    assert run(bucket, hooks.required(f"{__name__}.not_implemented")).startswith("failed")


@pytest.mark.parametrize(
    ("hook", "state"),
    [(hooks.versioning, "unchanged"), (hooks.required(hooks.versioning), "failed")],
)
def test_a_server_without_the_feature_answers_501(
    refusing_server: str, run: Run, settings: Any, bucket: str, hook: object, state: str
) -> None:
    settings.MINIO_ENDPOINT = refusing_server

    outcome = run(bucket, hook)

    assert outcome.startswith(state)
    assert "versioning" in outcome


def test_a_dry_run_runs_no_hook(settings: Any, bucket: str, bare: Minio) -> None:
    settings.MINIO_PRIVATE_BUCKETS = [bucket]
    settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
    call_command("initialize_buckets", dry_run=True, stdout=StringIO())

    assert bare.get_bucket_versioning(bucket_name=bucket).status != "Enabled"


def test_a_bucket_that_a_save_creates_has_its_hooks(
    settings: Any, bare: Minio, new_name: Callable[[str], str]
) -> None:
    settings.MINIO_BUCKET_HOOKS = [hooks.versioning]
    bucket = new_name("on-save")
    MinioBackend(bucket, public=False).check_bucket_existence()

    assert bare.get_bucket_versioning(bucket_name=bucket).status == "Enabled"


@pytest.mark.parametrize("path", ["nowhere.hook", "django_minio_router.hooks.nothing", "os.sep"])
def test_a_path_that_leads_nowhere_is_found_by_check_and_before_any_change(
    settings: Any, bare: Minio, new_name: Callable[[str], str], path: str
) -> None:
    bucket = new_name("never")
    settings.MINIO_PRIVATE_BUCKETS = [bucket]
    settings.MINIO_BUCKET_HOOKS = [hooks.required(path) if path == "os.sep" else path]

    found = [message for message in run_checks() if path in message.msg]
    assert {message.id for message in found} == {"minio_router.E001"}
    with pytest.raises(CommandError, match=path):
        call_command("initialize_buckets", stdout=StringIO())
    assert not bare.bucket_exists(bucket_name=bucket)


def test_a_hook_that_is_no_callable_is_refused(settings: Any) -> None:
    settings.MINIO_BUCKET_HOOKS = [3]

    with pytest.raises(ConfigurationError, match="MINIO_BUCKET_HOOKS"):
        Config().get("MINIO_BUCKET_HOOKS")
