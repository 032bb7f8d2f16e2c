"""Whatever a strategy answers: a valid bucket is asked, by exactly that name, or nothing is sent at all."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.signals import setting_changed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from minio import Minio

from django_minio_router import ConfigurationError, InvalidBucketName, MinioRouter
from django_minio_router.exceptions import BucketNotFound, RoutingError
from django_minio_router.provisioning.plan import make_plan
from django_minio_router.strategies import BucketStrategy, Location, PerModel
from tests.apps.docs.models import Receipt
from tests.support.proxy import Proxy
from tests.support.scale import scale
from tests.support.server import names_in

from .answers import Answers

VALID = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:(?:-+|\.)[a-z0-9]+)*")
RESERVED = re.compile(
    r"minio|(?:\d+\.){3}\d+|(?:xn--|sthree-|amzn-s3-demo-).*|.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)"
)

OPERATIONS: dict[str, Callable[[MinioRouter], Any]] = {
    "save": lambda router: router.save("a.txt", ContentFile(b"x")),
    "open": lambda router: router.open("a.txt"),
    "delete": lambda router: router.delete("a.txt"),
    "exists": lambda router: router.exists("a.txt"),
    "size": lambda router: router.size("a.txt"),
    "listdir": lambda router: router.listdir(""),
    "url": lambda router: router.url("a.txt"),
    "get_modified_time": lambda router: router.get_modified_time("a.txt"),
    "get_available_name": lambda router: router.get_available_name("a.txt"),
}

letters = (
    st.characters(exclude_categories=[])
    | st.sampled_from("abcxyz019")
    | st.sampled_from([".", "-", "_", "/", "\\", "..", "%2e", "\0", "\n", "?", "#", "@", ":", " ", "A"])
)
near_misses = st.text("ab1-.", min_size=1, max_size=66)
texts = st.lists(letters, max_size=10).map("".join) | near_misses
others = st.none() | st.integers() | st.binary(max_size=5) | st.booleans() | st.lists(texts, max_size=2)

without_deadline = settings(
    max_examples=scale(60, 200), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Failing(BucketStrategy):
    """A strategy with a mistake."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def bucket_for(self, model: Any = None) -> str:
        raise self.error

    def buckets_for(self, models: Any) -> list[str]:
        return []


@pytest.mark.parametrize("error", [StopIteration(), FileNotFoundError("map.json"), OSError("disk")], ids=repr)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_an_error_of_a_strategy_is_not_taken_for_a_missing_file(
    operation: Callable[[MinioRouter], Any], error: Exception
) -> None:
    with pytest.raises(RoutingError, match=rf"Failing.* raised {type(error).__name__}.*bucket_for\(\)"):
        operation(MinioRouter(Failing(error)))


@pytest.fixture
def through(settings: Any) -> Iterator[Proxy]:
    """The proxy that all requests go through."""
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        settings.MINIO_CONDITIONAL_WRITES = True
        yield proxy
    setting_changed.send(sender=None, setting="MINIO_ENDPOINT", value=None, enter=False)


def is_valid(name: object) -> bool:
    return isinstance(name, str) and bool(VALID.fullmatch(name)) and not RESERVED.fullmatch(name)


@without_deadline
@given(answer=texts | others)
@example(answer="abc\n")
@example(answer="a/../b")
@example(answer="abc/d")
@example(answer="ａｂｃ")
@example(answer="aıc")
@example(answer="abc?x")
@example(answer="1.2.3.4")
@example(answer="a" * 64)
@example(answer="a--b.c")
@example(answer="")
def test_a_valid_bucket_is_asked_or_nothing_is_sent(through: Proxy, answer: Any) -> None:
    for each in (answer, Location(answer)):
        router = MinioRouter(Answers(each))
        for operation in OPERATIONS.values():
            through.forget()
            if not is_valid(answer):
                with pytest.raises(InvalidBucketName):
                    operation(router)
                assert through.requests == []
                continue
            try:
                link = operation(router)
            except BucketNotFound:
                assert through.requests
            else:
                assert link is None or through.requests or f"/{answer}/a.txt?" in link
            assert {request.path.split("/")[1] for request in through.requests} <= {answer}


@without_deadline
@given(answer=texts | others)
def test_nor_is_one_created(use: Any, through: Proxy, answer: Any) -> None:
    use(Receipt, MinioRouter(Answers(answer)))

    if is_valid(answer):
        assert answer in {planned.name for planned in make_plan().buckets.values()}
    else:
        with pytest.raises(InvalidBucketName):
            make_plan()
    assert through.requests == []


@without_deadline
@given(prefix=texts)
@example(prefix="../")
@example(prefix="a/../")
@example(prefix="/")
@example(prefix="a//")
def test_a_folder_is_kept_to_or_nothing_is_sent(
    through: Proxy, bare: Minio, bucket: str, prefix: str
) -> None:
    for left in names_in(bare, bucket):  # by an example that failed
        bare.remove_object(bucket_name=bucket, object_name=left)
    through.forget()
    router = MinioRouter(Answers(Location(bucket, prefix=prefix)))

    try:
        files = router.listdir("")[1]  # SeaweedFS lists folders for a while after they are empty
        saved = router.save("a.txt", ContentFile(b"x"))
        link = router.url(saved)
    except SuspiciousFileOperation:
        assert through.requests == []
        return

    key = f"{prefix.removesuffix('/')}/{saved}" if prefix else saved
    assert files == []
    assert router.listdir("")[1] == [saved]
    assert names_in(bare, bucket) == [key]
    assert urlsplit(link).path == f"/{bucket}/{quote(key, safe='/~')}"
    router.delete(saved)


@without_deadline
@given(server=texts.filter(bool))
def test_a_server_that_nobody_named_is_refused(through: Proxy, bucket: str, server: str) -> None:
    router = MinioRouter(Answers(Location(bucket, server=server)))

    for operation in OPERATIONS.values():
        with pytest.raises(ConfigurationError, match="is not in MINIO_SERVERS"):
            operation(router)
    assert through.requests == []


@without_deadline
@given(name=texts.filter(bool))
def test_what_the_built_in_strategies_are_told(through: Proxy, name: str) -> None:
    """A mapping and a callable give any text too."""
    through.forget()
    model = Receipt._meta.get_field("file")
    for strategy in (PerModel(default=name), PerModel({"docs.Receipt": name})):
        router = MinioRouter(strategy).bind(model)
        if is_valid(name):
            assert f"/{name}/a.txt?" in router.url("a.txt")
        else:
            with pytest.raises(InvalidBucketName):
                router.save("a.txt", ContentFile(b"x"))
    assert through.requests == []
