"""Servers without bucket policies, such as Garage and R2: a proxy answers as they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.buckets.ensure import Outcome, PlannedBucket, State, ensure_bucket
from django_minio_router.exceptions import BucketNotFound, ServerError
from django_minio_router.settings.config import Config
from tests.support.proxy import Proxy, answering
from tests.support.storages import keys, proxy  # noqa: F401

GARAGE = b"<Error><Code>NotImplemented</Code><Message>Not implemented: PutBucketPolicy</Message></Error>"
OTHERS = b"<Error><Code>MethodNotAllowed</Code><Message>This method is not allowed.</Message></Error>"


@pytest.fixture(params=[(501, GARAGE), (405, OTHERS)], ids=["501", "405"])
def server(request: Any, proxy: Proxy) -> Proxy:  # noqa: F811
    status, body = request.param
    refusal = answering(status, body, Content_Type="application/xml")
    proxy.when(refusal, where=lambda r: r.query.startswith("policy"), times=None)
    return proxy


@pytest.fixture
def ensure(server: Proxy, new_name: Callable[[str], str]) -> Callable[..., Outcome]:
    name = new_name("public")

    def ensure(*, is_public: bool = True, hook: Any = None, **options: Any) -> Outcome:
        config = Config({"MINIO_ENDPOINT": server.endpoint, **keys(), **options})
        return ensure_bucket(PlannedBucket(name, config, is_public, False, "a test", hook=hook))

    return ensure


def policy_requests(server: Proxy) -> int:
    return sum(request.query.startswith("policy") for request in server.requests)


def test_a_public_bucket_is_created_and_the_lack_is_a_warning(
    ensure: Callable[..., Outcome], bare: Minio
) -> None:
    first, second = ensure(), ensure()

    assert bare.bucket_exists(bucket_name=first.bucket)
    assert (first.state, second.state) == (State.CREATED, State.UNCHANGED)
    for outcome in (first, second):
        assert "MINIO_BUCKET_POLICIES to False" in outcome.warning


@pytest.mark.parametrize(
    "options", [{"MINIO_BUCKET_POLICIES": False}, {"MINIO_PUBLIC_URL": "https://cdn.example.com/{bucket}"}]
)
def test_a_project_that_knows_it_is_not_warned(
    ensure: Callable[..., Outcome], options: dict[str, Any]
) -> None:
    assert [(ensure(**options).state, ensure(**options).warning)] == [(State.CREATED, "")]


def test_a_server_that_is_said_to_have_none_is_not_asked(
    ensure: Callable[..., Outcome], server: Proxy
) -> None:
    ensure(MINIO_BUCKET_POLICIES=False)
    ensure(MINIO_BUCKET_POLICIES=False)
    ensure(MINIO_BUCKET_POLICIES=False, is_public=False)

    assert policy_requests(server) == 0


def test_a_private_bucket_needs_no_policy(ensure: Callable[..., Outcome]) -> None:
    ensure(is_public=False)

    assert ensure(is_public=False) == Outcome(ensure(is_public=False).bucket, State.UNCHANGED)


@pytest.mark.parametrize("options", [{}, {"MINIO_BUCKET_POLICIES": False}])
def test_a_policy_that_somebody_wrote_is_not_left_out(
    ensure: Callable[..., Outcome], options: dict[str, Any]
) -> None:
    hook = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny"}]}

    for _ in range(2):
        with pytest.raises(
            ServerError, match="does not support bucket policies, but MINIO_POLICY_HOOKS has one"
        ):
            ensure(hook=hook, **options)


def test_files_of_a_public_bucket_are_saved_and_their_links_signed(
    server: Proxy, new_name: Callable[[str], str]
) -> None:
    storage = MinioBackend(
        new_name("public"),
        public=True,
        MINIO_ENDPOINT=server.endpoint,
        MINIO_BUCKET_POLICIES=False,
        **keys(),
    )
    with pytest.raises(BucketNotFound):
        storage.save("x.txt", ContentFile(b"x"))
    storage.check_bucket_existence()

    link = storage.url(storage.save("x.txt", ContentFile(b"x")))

    assert urllib3.request("GET", link).data == b"x"
