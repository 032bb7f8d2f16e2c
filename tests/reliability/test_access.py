"""What nobody may do without the keys, said to the server by bare HTTP requests. Each has its control."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from minio import Minio

from django_minio_router import MinioRouter, tenant_bucket_context
from django_minio_router.provisioning.apply import apply_plan
from django_minio_router.provisioning.plan import make_plan
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant
from tests.apps.customers.models import Client
from tests.apps.docs.models import Receipt

from .conftest import names_in, put, stored

NAME = "a/secret.txt"
SECRET = b"what only one tenant may see"
OTHER = b"what only the other tenant may see"


class Answer(NamedTuple):
    status: int
    body: bytes


def ask(method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
    """Send a request just as it is written, without any key; no client of ours makes the path tidy."""
    with closing(http.client.HTTPConnection(os.environ["MINIO_ENDPOINT"], timeout=30)) as connection:
        connection.request(
            method, target, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        return Answer(response.status, response.read())


def target_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def refused(answer: Answer) -> bool:
    return (
        answer.status in {400, 403, 404, 405, 501} and SECRET not in answer.body and OTHER not in answer.body
    )


def everybody(bucket: str, *actions: str) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{bucket}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": list(actions),
        "Resource": [arn, f"{arn}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def open_up(bare: Minio, bucket: str, *actions: str) -> None:
    bare.set_bucket_policy(bucket_name=bucket, policy=json.dumps(everybody(bucket, *actions)))


class Two(NamedTuple):
    """A file of one tenant, and one of the same name of another."""

    own: str
    other: str
    link: str
    """The signed link to the first."""


@pytest.fixture
def two(bare: Minio, new_name: Callable[[str], str]) -> Two:
    router = MinioRouter(PerTenant())
    links = {}
    tenants = [Client(schema_name=new_name(name), name=name) for name in ("one", "two")]
    for tenant, content in zip(tenants, (SECRET, OTHER), strict=True):
        bare.make_bucket(bucket_name=tenant.schema_name)
        with tenant_bucket_context(tenant):
            assert router.save(NAME, ContentFile(content)) == NAME
            links[tenant.schema_name] = router.url(NAME)
    own, other = (tenant.schema_name for tenant in tenants)
    put(bare, own, "a/shown.txt", b"x")
    assert ask("GET", target_of(links[own])) == (200, SECRET)
    assert ask("GET", target_of(links[other])) == (200, OTHER)
    return Two(own, other, links[own])


# A private object


WITHOUT_A_KEY = {
    "the plain path": "/{bucket}/a/secret.txt",
    "a quoted path": "/{bucket}/a%2Fsecret.txt",
    "two slashes": "//{bucket}/a/secret.txt",
    "two slashes inside": "/{bucket}//a/secret.txt",
    "dot segments": "/{bucket}/x/../a/secret.txt",
    "quoted dot segments": "/{bucket}/%2e%2e/{bucket}/a/secret.txt",
    "a version": "/{bucket}/a/secret.txt?versionId=null",
    "another type": "/{bucket}/a/secret.txt?response-content-type=text/html",
    "its tags": "/{bucket}/a/secret.txt?tagging",
    "its rights": "/{bucket}/a/secret.txt?acl",
    "an empty signature": "/{bucket}/a/secret.txt?X-Amz-Signature=",
    "an old signature": "/{bucket}/a/secret.txt?AWSAccessKeyId=x&Signature=x&Expires=4102444800",
    "the bucket": "/{bucket}",
    "the bucket's names": "/{bucket}?list-type=2",
    "the bucket's versions": "/{bucket}?versions",
    "the bucket's uploads": "/{bucket}?uploads",
    "the bucket's policy": "/{bucket}?policy",
    "all buckets": "/",
}


@pytest.mark.parametrize("what", WITHOUT_A_KEY)
def test_nothing_of_a_private_bucket_is_had_without_a_key(two: Two, what: str) -> None:
    target = WITHOUT_A_KEY[what].format(bucket=two.own)

    for method in ("GET", "HEAD"):
        answer = ask(method, target)
        assert refused(answer), (method, answer)
        assert two.own.encode() not in answer.body or b"<Error>" in answer.body


def test_it_would_be_if_the_bucket_let_everybody_in(two: Two, bare: Minio) -> None:
    open_up(bare, two.own, "s3:GetObject")

    assert ask("GET", WITHOUT_A_KEY["the plain path"].format(bucket=two.own)) == (200, SECRET)


@pytest.mark.parametrize("header", ["", "AWS4-HMAC-SHA256", "Basic Zm9vOmJhcg==", "AWS x:y", "Bearer x"])
def test_nor_with_a_key_that_is_none(two: Two, header: str) -> None:
    assert refused(ask("GET", f"/{two.own}/{NAME}", Authorization=header))


def test_a_link_of_one_tenant_opens_nothing_of_another(two: Two) -> None:
    """Also not the file of the same name, by the same signature."""
    target = target_of(two.link)
    for changed in (
        target.replace(f"/{two.own}/", f"/{two.other}/"),
        target.replace(f"/{two.own}/", f"/{two.own}/../{two.other}/"),
        target.replace(f"/{two.own}/", f"/{two.own}/%2e%2e/{two.other}/"),
        target.replace(f"/{two.own}/", f"//{two.other}/"),
    ):
        assert changed != target
        answer = ask("GET", changed)
        assert refused(answer), (changed, answer)
    assert refused(ask("GET", target, Host=f"{two.other}.{os.environ['MINIO_ENDPOINT']}"))


PATHS = {
    "another name": "/{bucket}/a/shown.txt",
    "a name above": "/{bucket}/a/secret.txt/../shown.txt",
    "a quoted name above": "/{bucket}/a/secret.txt/%2e%2e/shown.txt",
    "a longer name": "/{bucket}/a/secret.txt.bak",
    "the folder": "/{bucket}/a/",
    "the bucket": "/{bucket}",
    "all buckets": "/",
}


@pytest.mark.parametrize("what", PATHS)
def test_a_link_opens_no_other_path(two: Two, what: str) -> None:
    answer = ask("GET", f"{PATHS[what].format(bucket=two.own)}?{urlsplit(two.link).query}")

    assert refused(answer)
    assert answer.body != b"x"


@pytest.mark.parametrize(
    "change",
    [
        {"X-Amz-Expires": "604800"},
        {"X-Amz-Expires": "-1"},
        {"X-Amz-Expires": "99999999"},
        {"X-Amz-Date": "20990101T000000Z"},
        {"X-Amz-SignedHeaders": ""},
        {"X-Amz-Algorithm": "none"},
        {"X-Amz-Signature": "0" * 64},
        {"X-Amz-Signature": ""},
        {"X-Amz-Credential": "x/20260101/us-east-1/s3/aws4_request"},
        {"X-Amz-Security-Token": "x"},
        {"response-content-type": "text/html"},
        {"response-content-disposition": "inline"},
        {"versionId": "null"},
        {"list-type": "2"},
        {"acl": ""},
        {"uploads": ""},
    ],
    ids=lambda change: "=".join(next(iter(change.items())))[:50],
)
def test_a_link_with_a_changed_query_opens_nothing(bucket: str, change: dict[str, str]) -> None:
    router = MinioRouter(FixedBucket(bucket, public_read=False))
    router.save(NAME, ContentFile(SECRET))
    parts = urlsplit(router.url(NAME, expires=600))
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    assert ask("GET", f"{parts.path}?{urlencode(query)}") == (200, SECRET)

    assert refused(ask("GET", f"{parts.path}?{urlencode({**query, **change})}"))


def test_a_link_without_one_of_its_parts_opens_nothing(two: Two) -> None:
    parts = urlsplit(two.link)
    query = parse_qsl(parts.query)
    assert len(query) >= 6

    for left_out in query:
        rest = urlencode([pair for pair in query if pair != left_out])
        assert refused(ask("GET", f"{parts.path}?{rest}")), left_out[0]


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD"])
def test_a_link_to_read_does_nothing_else(two: Two, bare: Minio, method: str) -> None:
    before = names_in(bare, two.own)

    assert refused(ask(method, target_of(two.link), b"changed" if method in {"PUT", "POST"} else None))

    assert stored(bare, two.own, NAME) == SECRET
    assert names_in(bare, two.own) == before


def test_a_link_opens_nothing_once_it_expired(bucket: str) -> None:
    router = MinioRouter(FixedBucket(bucket, public_read=False))
    router.save(NAME, ContentFile(SECRET))
    long, short = (target_of(router.url(NAME, expires=seconds)) for seconds in (600, 3))
    assert ask("GET", short) == (200, SECRET)

    deadline = time.monotonic() + 30
    while ask("GET", short).status == 200:
        assert time.monotonic() < deadline, "the link never died"
        time.sleep(0.1)

    assert refused(ask("GET", short))
    query = dict(parse_qsl(urlsplit(short).query))
    longer = urlencode({**query, "X-Amz-Expires": "600"})
    assert refused(ask("GET", f"{urlsplit(short).path}?{longer}"))
    assert ask("GET", long) == (200, SECRET)


# A public bucket of a strategy


@pytest.fixture
def shown(use: Callable[..., None], bare: Minio, new_name: Callable[[str], str]) -> str:
    """The public bucket of a strategy, as ``initialize_buckets`` makes it, with an object in it."""
    name = new_name("shown")
    use(Receipt, MinioRouter(PerModel({"docs.Receipt": name}, public_read=True)))
    apply_plan(make_plan())
    put(bare, name, NAME, SECRET)
    assert ask("GET", f"/{name}/{NAME}") == (200, SECRET), "anybody may read"
    return name


LISTINGS = ["", "?list-type=2", "?list-type=2&prefix=a/", "?delimiter=/", "?versions", "?uploads"]
SETTINGS = [
    "?policy", "?policyStatus", "?acl", "?versioning", "?lifecycle", "?encryption", "?tagging",
    "?notification", "?replication", "?object-lock",
]  # fmt: skip


@pytest.mark.parametrize("query", [*LISTINGS, *SETTINGS])
def test_nobody_lists_it_or_reads_its_settings(shown: str, query: str) -> None:
    answer = ask("GET", f"/{shown}{query}")

    assert refused(answer), answer
    assert NAME.encode() not in answer.body


def test_with_the_policy_of_a_single_bucket_everybody_could(shown: str, bare: Minio) -> None:
    open_up(bare, shown, "s3:GetObject", "s3:ListBucket")

    for query in LISTINGS[:2]:
        answer = ask("GET", f"/{shown}{query}")
        assert (answer.status, NAME.encode() in answer.body) == (200, True)


DELETE_ALL = f"<Delete><Object><Key>{NAME}</Key></Object></Delete>".encode()
OPENING = b'{"Version":"2012-10-17","Statement":[]}'
CHANGES: dict[str, tuple[str, str, bytes | None]] = {
    "a new object": ("PUT", "/{bucket}/new.txt", b"x"),
    "a known object": ("PUT", "/{bucket}/a/secret.txt", b"x"),
    "deleting": ("DELETE", "/{bucket}/a/secret.txt", None),
    "deleting a version": ("DELETE", "/{bucket}/a/secret.txt?versionId=null", None),
    "deleting several": ("POST", "/{bucket}?delete", DELETE_ALL),
    "beginning an upload": ("POST", "/{bucket}/new.txt?uploads", None),
    "a part": ("PUT", "/{bucket}/new.txt?partNumber=1&uploadId=x", b"x"),
    "tags": ("PUT", "/{bucket}/a/secret.txt?tagging", b"<Tagging><TagSet/></Tagging>"),
    "a policy": ("PUT", "/{bucket}?policy", OPENING),
    "no policy": ("DELETE", "/{bucket}?policy", None),
    "versioning": ("PUT", "/{bucket}?versioning", b"<VersioningConfiguration/>"),
    "no bucket": ("DELETE", "/{bucket}", None),
    "another bucket": ("PUT", "/{bucket}-new", None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_nobody_changes_anything_in_it(shown: str, bare: Minio, what: str) -> None:
    method, target, body = CHANGES[what]
    before = bare.get_bucket_policy(bucket_name=shown)

    answer = ask(method, target.format(bucket=shown), body)

    assert refused(answer), answer
    assert names_in(bare, shown) == [NAME]
    assert stored(bare, shown, NAME) == SECRET
    assert bare.get_bucket_policy(bucket_name=shown) == before
    assert not bare.bucket_exists(bucket_name=f"{shown}-new")


def test_nobody_uploads_by_a_form(shown: str, bare: Minio) -> None:
    form = "\r\n".join(
        ["--x", 'Content-Disposition: form-data; name="key"', "", "new.txt", "--x",
         'Content-Disposition: form-data; name="file"; filename="x"', "", "x", "--x--", ""]
    ).encode()  # fmt: skip

    assert refused(ask("POST", f"/{shown}", form, Content_Type="multipart/form-data; boundary=x"))

    assert names_in(bare, shown) == [NAME]


def test_nobody_copies_into_it(shown: str, bare: Minio) -> None:
    assert refused(ask("PUT", f"/{shown}/new.txt", x_amz_copy_source=f"/{shown}/{NAME}"))

    assert names_in(bare, shown) == [NAME]


def test_the_same_requests_with_a_signature_do_it(shown: str, bare: Minio) -> None:
    def signed(method: str, name: str) -> str:
        return target_of(bare.get_presigned_url(method, shown, name))

    assert ask("PUT", signed("PUT", "new.txt"), b"x").status == 200
    assert ask("DELETE", signed("DELETE", NAME)).status == 204
    assert names_in(bare, shown) == ["new.txt"]


# A policy hook that opens a private bucket


def said(command: str, **options: Any) -> str:
    out = StringIO()
    call_command(command, **options, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


@pytest.mark.parametrize("by", ["name", "strategy"])
@pytest.mark.parametrize("form", ["dictionary", "callable"])
def test_a_hook_that_lets_everybody_in_is_reported(
    use: Callable[..., None], project: Any, bare: Minio, new_name: Callable[[str], str], by: str, form: str
) -> None:
    name = new_name("kept")
    strategy = PerModel({"docs.Receipt": name})
    use(Receipt, MinioRouter(strategy))
    target, opening = (strategy if by == "strategy" else name), everybody(name, "s3:GetObject")
    project.MINIO_POLICY_HOOKS = [(target, opening if form == "dictionary" else lambda bucket: opening)]

    for created in (False, True):
        told = said("initialize_buckets", dry_run=True)
        assert f"{name}: would be" in told
        assert "private by its settings, but its policy lets everybody in" in told
        if not created:
            bare.make_bucket(bucket_name=name)
    checked = said("check")
    assert ("minio_router.W004" in checked) is (form == "dictionary")  # a callable is not called there

    put(bare, name, NAME, SECRET)
    assert refused(ask("GET", f"/{name}/{NAME}"))
    told = said("initialize_buckets")
    assert "its policy lets everybody in" in told
    assert ask("GET", f"/{name}/{NAME}") == (200, SECRET), "the warning was right"
    assert "its policy lets everybody in" in said("initialize_buckets"), "as long as it is so"


def test_a_hook_that_lets_somebody_in_is_not(
    use: Callable[..., None], project: Any, new_name: Callable[[str], str]
) -> None:
    name = new_name("kept")
    use(Receipt, MinioRouter(PerModel({"docs.Receipt": name})))
    statement = everybody(name, "s3:GetObject")["Statement"][0]
    statement["Condition"] = {"IpAddress": {"aws:SourceIp": ["192.0.2.7/32"]}}
    project.MINIO_POLICY_HOOKS = [(name, {"Version": "2012-10-17", "Statement": [statement]})]

    assert "everybody" not in said("initialize_buckets", dry_run=True)
    assert "everybody" not in said("check")
