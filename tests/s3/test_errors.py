"""Only "not found" means absent; all else is an error that names place and cause, within the time limit."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.buckets.ensure import make_bucket
from django_minio_router.buckets.policies import read_policy
from django_minio_router.exceptions import BucketNotFound, ServerError
from django_minio_router.s3.listing import versions
from django_minio_router.strategies import FixedBucket
from tests.support.contents import OneWay
from tests.support.proxy import Exchange, Proxy, Request, answering, drop_answer, forward, reset, stall
from tests.support.server import names_in, stored, uploads_in, uploads_with_parts_in
from tests.support.storages import Make, keys

MIB = 1024 * 1024
LARGE = bytes(11 * MIB)

OPERATIONS: dict[str, Callable[[MinioBackend], Any]] = {
    "exists": lambda storage: storage.exists("x.txt"),
    "size": lambda storage: storage.size("x.txt"),
    "get_modified_time": lambda storage: storage.get_modified_time("x.txt"),
    "open": lambda storage: storage.open("x.txt"),
    "save": lambda storage: storage.save("x.txt", ContentFile(b"x")),
    "save of a large file": lambda storage: storage.save("x.bin", ContentFile(LARGE)),
    "delete": lambda storage: storage.delete("x.txt"),
    "listdir": lambda storage: storage.listdir(),
    "get_available_name": lambda storage: storage.get_available_name("x.txt"),
    "stat": lambda storage: storage.stat("x.txt"),
}
each_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@pytest.fixture
def closed_port() -> str:
    """An address that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


# Who is asked in vain


@each_operation
def test_a_missing_bucket_is_named_with_the_command_that_creates_it(
    new_name: Callable[[str], str], operation: Callable[[MinioBackend], Any]
) -> None:
    name = new_name("missing")
    storage = MinioBackend(name, public=False)

    with pytest.raises(BucketNotFound, match=rf"'{name}' does not exist .* 'manage\.py initialize_buckets'"):
        operation(storage)


def test_a_bucket_that_is_made_later_is_seen(bare: Minio, new_name: Callable[[str], str]) -> None:
    name = new_name("later")
    storage = MinioBackend(name, public=False)
    with pytest.raises(BucketNotFound):
        storage.exists("x.txt")

    bare.make_bucket(bucket_name=name)

    assert storage.exists("x.txt") is False
    assert storage.save("x.txt", ContentFile(b"x")) == "x.txt"


def test_a_bucket_that_is_removed_later_is_missed(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    storage.exists("x.txt")
    bare.remove_bucket(bucket_name=bucket)

    with pytest.raises(BucketNotFound):
        storage.save("x.txt", ContentFile(b"x"))
    with pytest.raises(BucketNotFound):
        storage.exists("x.txt")


def create(storage: MinioBackend) -> None:
    storage.check_bucket_existence()


each_request = pytest.mark.parametrize(
    "operation", [*OPERATIONS.values(), create], ids=[*OPERATIONS, "check_bucket_existence"]
)


@each_request
def test_a_wrong_key_is_an_error_that_names_endpoint_and_settings(
    make: Make, settings: Any, operation: Callable[[MinioBackend], Any]
) -> None:
    settings.MINIO_SECRET_KEY = "wrong"

    with pytest.raises(ServerError) as caught:
        operation(make())

    assert caught.value.status == 403
    for part in (settings.MINIO_ENDPOINT, "403", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        assert part in str(caught.value)
    assert "wrong" not in str(caught.value)


@pytest.mark.any_server
@each_request
def test_a_server_that_is_not_there_is_an_error_that_names_endpoint_and_cause(
    make: Make, closed_port: str, operation: Callable[[MinioBackend], Any]
) -> None:
    storage = make(MINIO_ENDPOINT=closed_port, **keys())

    with pytest.raises(ServerError, match="Connection refused") as caught:
        operation(storage)

    assert closed_port in str(caught.value)
    assert "MINIO_ENDPOINT" in str(caught.value)


@pytest.mark.any_server
@each_request
def test_a_server_that_never_answers_is_an_error_within_the_limit(
    make: Make, silent: str, operation: Callable[[MinioBackend], Any]
) -> None:
    storage = make(
        MINIO_ENDPOINT=silent,
        MINIO_CONNECT_TIMEOUT=0.2,
        MINIO_READ_TIMEOUT=0.2,
        MINIO_RETRIES=1,
        MINIO_CONDITIONAL_WRITES=True,
        **keys(),
    )

    with pytest.raises(ServerError, match=f"{silent}.*timed out"):
        operation(storage)


@pytest.mark.any_server
@each_request
def test_a_server_that_never_answers_is_given_up_when_the_time_of_a_call_is_over(
    make: Make, silent: str, operation: Callable[[MinioBackend], Any]
) -> None:
    """One limit for all tries, for what a save must find out first, and for looking what became of it."""
    limit = 1.0
    large = {"MINIO_READ_TIMEOUT": 0.2} if operation is OPERATIONS["save of a large file"] else {}
    storage = make(
        MINIO_ENDPOINT=silent, MINIO_CALL_TIMEOUT=limit, MINIO_CONNECT_TIMEOUT=1, **keys(), **large
    )
    began = time.monotonic()

    with pytest.raises(ServerError, match=f"{silent}.*timed out"):
        operation(storage)

    assert time.monotonic() - began < limit + 1


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("name", ["save", "save of a large file", "open", "delete", "listdir"])
def test_a_server_that_stops_to_answer_is_given_up_in_time(
    make: Make, proxy: Proxy, name: str, step: int
) -> None:
    """The first save asks more than once, and a large one sends parts, each with a time of its own."""
    call, read = 1.0, 0.7
    storage = make(MINIO_ENDPOINT=proxy.endpoint, MINIO_CALL_TIMEOUT=call, MINIO_READ_TIMEOUT=read, **keys())
    make().save("x.txt", ContentFile(b"x")) if name in {"open", "delete", "listdir"} else None
    proxy.forget()
    stalled: list[float] = []

    def stall_now(exchange: Exchange) -> None:
        stalled.append(time.monotonic())
        stall(exchange)

    proxy.when(stall_now, where=lambda request: len(proxy.requests) > step, times=None)

    with suppress(ServerError):
        OPERATIONS[name](storage)

    ended = time.monotonic()
    tries = 3 + 3 if name == "save of a large file" else 0  # a part, and the last step
    assert not stalled or ended - stalled[0] < call + tries * read + 1


@pytest.mark.any_server
def test_what_keeps_moving_takes_as_long_as_it_takes(make: Make, proxy: Proxy) -> None:
    storage = make(
        MINIO_ENDPOINT=proxy.endpoint, MINIO_CALL_TIMEOUT=1, MINIO_CONDITIONAL_WRITES=True, **keys()
    )
    storage.save("x.bin", ContentFile(LARGE))
    proxy.when(slowly, method="GET", times=None)
    began = time.monotonic()

    with storage.open("x.bin") as file:
        assert file.read() == LARGE

    assert time.monotonic() - began > 1.5


def slowly(exchange: Exchange) -> None:
    exchange.relay(exchange.forward(), pause=lambda: time.sleep(0.02))


def test_the_number_of_tries_is_a_setting(through: Make, proxy: Proxy) -> None:
    storage = through(MINIO_RETRIES=3)
    proxy.when(reset, times=None)

    with pytest.raises(ServerError):
        storage.exists("x.txt")

    assert proxy.methods == ["HEAD"] * 4


def test_a_name_that_no_server_has_is_an_error(make: Make) -> None:
    storage = make(MINIO_ENDPOINT="no-such-host.invalid", MINIO_RETRIES=0, **keys())

    with pytest.raises(ServerError, match=r"no-such-host\.invalid"):
        storage.exists("x.txt")


# What is answered


@pytest.mark.parametrize("status", [400, 401, 403, 405, 409, 500, 503, 301, 307])
def test_no_answer_but_404_means_absent(through: Make, proxy: Proxy, status: int) -> None:
    storage = through(MINIO_RETRIES=0)
    proxy.when(answering(status, Location="http://127.0.0.1:9/"), times=None)

    for ask in (storage.exists, storage.size, storage.open):
        with pytest.raises(ServerError, match=f"{proxy.endpoint} refused .*x.txt.*{status}") as caught:
            ask("x.txt")
        assert caught.value.status == status


@pytest.mark.parametrize("status", [301, 307, 400])
def test_a_bucket_in_another_region_is_told_with_its_region(through: Make, proxy: Proxy, status: int) -> None:
    """AWS says so in a header, and a HEAD has no body to say it in."""
    proxy_says = answering(status, x_amz_bucket_region="eu-central-1")
    storage = through()
    proxy.when(proxy_says, times=None)

    region = "the bucket is in 'eu-central-1', and MINIO_REGION is 'us-east-1'"
    for ask in (storage.exists, storage.open, storage.delete):
        with pytest.raises(ServerError, match=region):
            ask("x.txt")
    with pytest.raises(ServerError, match=region):
        storage.save("x.txt", ContentFile(b"x"))


PAGE = b"<html>no such page</html>"


@pytest.mark.parametrize("known", [True, False], ids=["known bucket", "new bucket"])
@each_operation
def test_a_404_of_a_proxy_says_nothing_about_an_object(
    make: Make, proxy: Proxy, operation: Callable[[MinioBackend], Any], known: bool
) -> None:
    storage = make(MINIO_ENDPOINT=proxy.endpoint, MINIO_CONDITIONAL_WRITES=True, MINIO_RETRIES=0, **keys())
    if known:
        storage.save("x.txt", ContentFile(b"x"))
    proxy.when(answering(404, PAGE, Content_Type="text/html", Server="nginx"), times=None)

    with pytest.raises(ServerError, match=f"{proxy.endpoint} .*not from an S3 server") as caught:
        operation(storage)

    assert not isinstance(caught.value, BucketNotFound)
    assert caught.value.status == 404


@pytest.mark.parametrize("sign", ["x_amz_request_id", "x_amzn_requestid"], ids=["AWS", "moto"])
def test_a_404_with_the_sign_of_an_s3_server_means_absent(through: Make, proxy: Proxy, sign: str) -> None:
    storage = through()
    proxy.when(answering(404, b"", **{sign: "1"}), method="HEAD")

    assert storage.exists("x.txt") is False


def test_a_404_of_a_proxy_shows_no_stale_file(make: Make, proxy: Proxy) -> None:
    """What the old place still holds is read only if the new one says that it has nothing."""
    old = InMemoryStorage()
    old.save("x.txt", ContentFile(b"stale"))
    storage = MinioRouter(
        FixedBucket(make().bucket), fallback=old, MINIO_ENDPOINT=proxy.endpoint, MINIO_RETRIES=0, **keys()
    )
    proxy.when(answering(404, PAGE), times=None)

    for ask in (storage.open, storage.exists, storage.size, storage.url):
        with pytest.raises(ServerError):
            ask("x.txt")


@pytest.mark.parametrize("ask", ["exists", "size", "open", "delete"])
def test_a_bucket_that_is_dropped_is_missed_by_every_call(
    storage: MinioBackend, bare: Minio, bucket: str, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_minio_router.s3.client._SEEN_FOR", 0)
    storage.exists("x.txt")
    bare.remove_bucket(bucket_name=bucket)

    with pytest.raises(BucketNotFound, match="does not exist"):
        getattr(storage, ask)("x.txt")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_busy_server_is_asked_again(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, status: int
) -> None:
    storage = through()
    busy = answering(status, b"<Error><Code>SlowDown</Code><Message>Reduce</Message></Error>")

    proxy.when(busy, method="PUT")
    assert storage.save("x.txt", ContentFile(b"x")) == "x.txt"
    proxy.when(busy, method="GET")
    assert storage.open("x.txt").read() == b"x"
    proxy.when(busy, method="HEAD")
    assert storage.exists("x.txt")
    proxy.when(busy, method="GET")
    assert storage.listdir() == ([], ["x.txt"])
    proxy.when(busy, method="DELETE")
    storage.delete("x.txt")
    assert names_in(bare, bucket) == []


def test_an_error_that_stays_is_told_as_the_server_says_it(through: Make, proxy: Proxy) -> None:
    storage = through(MINIO_RETRIES=1)
    body = b"<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"
    proxy.when(answering(503, body), times=None)

    with pytest.raises(ServerError, match=r"503 SlowDown Reduce your rate\.") as caught:
        storage.save("x.txt", ContentFile(b"x"))

    assert (caught.value.status, caught.value.code) == (503, "SlowDown")


def test_an_answer_that_is_no_xml_is_an_error_of_ours(through: Make, proxy: Proxy) -> None:
    storage = through()
    proxy.when(answering(200, b"<html>Welcome"), times=None)

    with pytest.raises(ServerError, match=f"{proxy.endpoint} .*is not from an S3 server"):
        storage.listdir()
    with pytest.raises(ServerError, match=f"{proxy.endpoint} .*is not from an S3 server"):
        storage.save("x.bin", ContentFile(LARGE))


def test_a_page_that_is_xml_is_no_list_and_no_policy(through: Make, proxy: Proxy, bucket: str) -> None:
    """It would pass for an empty bucket."""
    storage = through()
    proxy.when(answering(200, b"<html><p>Welcome</p></html>"), times=None)
    client = storage.objects.client

    for ask in (storage.listdir, lambda: list(versions(client, bucket)), lambda: read_policy(client, bucket)):
        with pytest.raises(ServerError, match=f"{proxy.endpoint} .*is not from an S3 server"):
            ask()


def test_a_page_that_answers_for_an_object_shows_no_bucket(through: Make, proxy: Proxy, bucket: str) -> None:
    storage = through()
    client = storage.objects.client
    client.forget_bucket(bucket)
    proxy.when(answering(200, b""), method="HEAD")

    with pytest.raises(ServerError, match="is not from an S3 server: its response has no ETag"):
        storage.exists("x.txt")

    proxy.forget()
    assert client.has_bucket(bucket)
    assert proxy.methods == ["HEAD"]


LIST = "<ListBucketResult>{}<Contents><Key>a%2Bb+c.txt</Key><Size>1</Size></Contents></ListBucketResult>"


@pytest.mark.parametrize(
    ("encoding", "name"), [("<EncodingType>url</EncodingType>", "a+b c.txt"), ("", "a%2Bb+c.txt")]
)
def test_names_in_a_list_are_quoted_if_the_server_says_so(
    through: Make, proxy: Proxy, encoding: str, name: str
) -> None:
    storage = through()
    proxy.when(answering(200, LIST.format(encoding).encode()), times=None)

    assert storage.listdir() == ([], [name])


def test_a_list_that_breaks_off_is_not_taken_for_the_whole(through: Make, proxy: Proxy) -> None:
    storage = through()
    proxy.when(answering(200, LIST.format("<IsTruncated>true</IsTruncated>").encode()), times=None)

    with pytest.raises(ServerError, match="truncates a listing"):
        storage.listdir()


def test_a_bucket_is_made_in_the_region_of_its_server(make: Make, proxy: Proxy) -> None:
    bodies: list[bytes] = []

    def keep(exchange: Exchange) -> None:
        bodies.append(b"".join(exchange.received()))
        answering(200)(exchange)

    proxy.when(keep, times=None, method="PUT")
    for region in ("us-east-1", "eu-west-1"):
        storage = make(**keys(), MINIO_ENDPOINT=proxy.endpoint, MINIO_REGION=region)
        assert make_bucket(storage.objects.client, "any-bucket")

    assert b"LocationConstraint" not in bodies[0]
    assert b"<LocationConstraint>eu-west-1</LocationConstraint>" in bodies[1]


def test_errors_of_the_server_are_no_errors_of_the_connection(through: Make, proxy: Proxy) -> None:
    storage = through(MINIO_RETRIES=0)
    proxy.when(answering(403), times=10)

    for _ in range(10):
        with pytest.raises(ServerError):
            storage.open("x.txt")

    assert proxy.connections == 0


# Answers that are lost


@pytest.mark.parametrize("status", [None, 502], ids=["connection lost", "error of a proxy"])
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("replace", [False, True])
def test_a_save_whose_answer_is_lost_is_settled_by_looking(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, status: int | None, retries: int, replace: bool
) -> None:
    storage = through(MINIO_RETRIES=retries, replace_existing=replace)
    proxy.when(drop_answer if status is None else answered_by_proxy(status), method="PUT")

    assert storage.save("x.txt", ContentFile(b"content")) == "x.txt"

    assert names_in(bare, bucket) == ["x.txt"]
    assert stored(bare, bucket, "x.txt") == b"content"


def answered_by_proxy(status: int) -> Callable[[Exchange], None]:
    """Let the server do its work, and answer with an error all the same."""

    def action(exchange: Exchange) -> None:
        for _ in exchange.forward().body():
            pass
        answering(status)(exchange)

    return action


def test_a_taken_name_is_not_mistaken_for_a_lost_answer(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    storage = through()
    storage.save("x.txt", ContentFile(b"of somebody else"))
    proxy.when(drop_answer, method="PUT")

    name = storage.save("x.txt", ContentFile(b"own"))

    assert name != "x.txt"
    assert stored(bare, bucket, "x.txt") == b"of somebody else"
    assert stored(bare, bucket, name) == b"own"
    assert len(names_in(bare, bucket)) == 2


@pytest.mark.parametrize("times", [1, 2, 3])
def test_lost_answers_of_an_upload_in_parts_leave_one_object_and_no_part(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, times: int
) -> None:
    for number, method in enumerate(("POST", "PUT", "HEAD")):
        storage = through(MINIO_RETRIES=3)
        proxy.when(drop_answer, method=method, times=times)

        name = storage.save(f"{number}.bin", ContentFile(LARGE))

        assert name == f"{number}.bin"
        assert len(stored(bare, bucket, name)) == len(LARGE)
    assert uploads_with_parts_in(bare, bucket) == []


def completes(request: Request) -> bool:
    return request.method == "POST" and request.query.startswith("uploadId=")


@pytest.mark.parametrize("retries", [0, 2])
def test_a_completed_upload_whose_answer_is_lost_is_settled_by_looking(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, retries: int
) -> None:
    storage = through(MINIO_RETRIES=retries)
    proxy.when(drop_answer, where=completes, times=retries + 1)

    assert storage.save("x.bin", ContentFile(LARGE)) == "x.bin"

    assert names_in(bare, bucket) == ["x.bin"]
    assert uploads_in(bare, bucket) == []


@pytest.mark.parametrize("failure", [answering(500), answering(403), reset], ids=["500", "403", "reset"])
def test_a_last_step_that_fails_leaves_nothing_behind(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, failure: Any
) -> None:
    storage = through(MINIO_RETRIES=0)
    proxy.when(failure, where=completes)

    with pytest.raises(ServerError):
        storage.save("x.bin", ContentFile(LARGE))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []


def test_a_name_that_is_taken_while_the_parts_are_sent_is_left_alone(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    storage = through()

    def meanwhile(exchange: Exchange) -> None:
        MinioBackend(bucket, public=False).save("x.bin", ContentFile(b"of somebody else"))
        forward(exchange)

    proxy.when(meanwhile, where=lambda request: "partNumber=2&" in request.query)

    name = storage.save("x.bin", ContentFile(LARGE))

    assert name != "x.bin"
    assert stored(bare, bucket, "x.bin") == b"of somebody else"
    assert len(stored(bare, bucket, name)) == len(LARGE)
    assert uploads_in(bare, bucket) == []


def test_content_that_is_gone_with_a_taken_name_is_an_error_and_not_an_empty_file(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    storage = through()

    def meanwhile(exchange: Exchange) -> None:
        MinioBackend(bucket, public=False).save("x.bin", ContentFile(b"of somebody else"))
        forward(exchange)

    proxy.when(meanwhile, where=lambda request: "partNumber=2&" in request.query)

    with pytest.raises(ServerError, match="cannot be read a second time"):
        storage.save("x.bin", OneWay(LARGE))

    assert names_in(bare, bucket) == ["x.bin"]
    assert uploads_in(bare, bucket) == []


def test_an_error_after_200_is_an_error(through: Make, proxy: Proxy, bare: Minio, bucket: str) -> None:
    storage = through(MINIO_RETRIES=0)
    body = b"<Error><Code>InternalError</Code><Message>We failed.</Message></Error>"
    proxy.when(answering(200, body), where=completes)

    with pytest.raises(ServerError, match=r"InternalError We failed\."):
        storage.save("x.bin", ContentFile(LARGE))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []


@pytest.mark.parametrize("retries", [0, 2])
def test_an_error_after_200_that_names_a_part_is_no_success(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, retries: int
) -> None:
    storage = through(MINIO_RETRIES=retries)
    body = b"<Error><Code>InvalidPart</Code><PartNumber>1</PartNumber><ETag>0cc1</ETag></Error>"
    proxy.when(answering(200, body), where=completes)

    with pytest.raises(ServerError, match="InvalidPart"):
        storage.save("x.bin", ContentFile(LARGE))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_a_name_that_is_taken_after_200_is_left_alone(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, code: str
) -> None:
    storage = through()

    def taken_late(exchange: Exchange) -> None:
        MinioBackend(bucket, public=False).save("x.bin", ContentFile(b"of somebody else"))
        answering(200, f"<Error><Code>{code}</Code></Error>".encode())(exchange)

    proxy.when(as_aws, where=lambda request: request.query == "uploads=", times=None)
    proxy.when(taken_late, where=completes)

    name = storage.save("x.bin", ContentFile(LARGE))

    assert sorted(names_in(bare, bucket)) == sorted({"x.bin", name})
    assert stored(bare, bucket, "x.bin") == b"of somebody else"
    assert stored(bare, bucket, name) == LARGE
    assert uploads_in(bare, bucket) == []


def as_aws(exchange: Exchange) -> None:
    """Let the server say that its last step is safe, so that no name is claimed."""
    answer = exchange.forward()
    answer.set("Server", "AmazonS3")
    exchange.relay(answer)


def test_a_part_that_fails_removes_the_upload(through: Make, proxy: Proxy, bare: Minio, bucket: str) -> None:
    storage = through(MINIO_RETRIES=0)
    proxy.when(answering(403), where=lambda request: "partNumber=2&" in request.query)

    with pytest.raises(ServerError, match="403"):
        storage.save("x.bin", ContentFile(LARGE))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []


@pytest.mark.parametrize("failure", [answering(500), reset], ids=["error", "connection lost"])
def test_a_failure_to_clean_up_does_not_hide_the_first_error(
    through: Make, proxy: Proxy, caplog: pytest.LogCaptureFixture, failure: Any
) -> None:
    storage = through(MINIO_RETRIES=0)
    proxy.when(answering(403), where=lambda request: "partNumber=2&" in request.query)
    proxy.when(failure, method="DELETE", times=None)

    with pytest.raises(ServerError, match="403"):
        storage.save("x.bin", ContentFile(LARGE))

    assert "The parts of 'x.bin'" in caplog.text


def test_a_stalling_part_is_an_error_and_removes_the_upload(
    through: Make, proxy: Proxy, bare: Minio, bucket: str
) -> None:
    storage = through(MINIO_RETRIES=0, MINIO_READ_TIMEOUT=0.5)
    proxy.when(stall, where=lambda request: "partNumber=1&" in request.query)

    with pytest.raises(ServerError, match="timed out"):
        storage.save("x.bin", ContentFile(LARGE))

    assert names_in(bare, bucket) == []
    assert uploads_in(bare, bucket) == []
