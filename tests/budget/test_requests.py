"""How many requests each call may take, counted on the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from io import BytesIO

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioRouter
from tests.budget.routers import make_router
from tests.support.proxy import Proxy

Budget = Callable[..., AbstractContextManager[None]]
Put = Callable[[str, int], str]

MIB = 1024 * 1024
FINDING_OUT = ["PUT", "PUT", "DELETE"]
"""What the first save of a process needs to know that the server keeps ``If-None-Match``."""


class TestInTheSteadyState:
    def test_a_save_under_a_new_name_is_one_request(self, router: MinioRouter, budget: Budget) -> None:
        with budget("PUT"):
            router.save("new.txt", ContentFile(b"new"))

    def test_a_save_under_a_taken_name_is_two(self, router: MinioRouter, budget: Budget, put: Put) -> None:
        put("taken.txt", 5)
        with budget("PUT", "PUT"):
            assert router.save("taken.txt", ContentFile(b"mine")) != "taken.txt"

    def test_opening_and_reading_is_one(self, router: MinioRouter, budget: Budget, put: Put) -> None:
        put("small.bin", 10_000)
        with budget("GET"), router.open("small.bin") as file:
            assert len(file.read()) == 10_000

    @pytest.mark.parametrize("call", ["exists", "size", "get_modified_time"])
    def test_a_question_is_one(self, router: MinioRouter, budget: Budget, put: Put, call: str) -> None:
        put("there.txt", 5)
        with budget("HEAD"):
            assert getattr(router, call)("there.txt")

    def test_a_question_about_a_missing_object_is_one(self, router: MinioRouter, budget: Budget) -> None:
        with budget("HEAD"):
            assert not router.exists("missing.txt")

    def test_a_deletion_is_one(self, router: MinioRouter, budget: Budget, put: Put) -> None:
        put("there.txt", 5)
        with budget("DELETE"):
            router.delete("there.txt")

    def test_a_link_is_none(self, router: MinioRouter, budget: Budget) -> None:
        with budget():
            assert "X-Amz-Signature" in router.url("there.txt")
            assert "X-Amz-Signature" in router.url("there.txt", filename="here.txt")

    def test_a_listing_is_one(self, router: MinioRouter, budget: Budget) -> None:
        with budget("GET"):
            assert router.listdir("") == ([], ["before.txt"])

    def test_no_connection_is_made_anew(self, router: MinioRouter, wire: Proxy, put: Put) -> None:
        put("small.bin", 10_000)
        for number in range(20):
            router.save(f"{number}.txt", ContentFile(b"new"))
            router.open("small.bin").read()
            router.exists("missing.txt")
        assert wire.connections == 0


class TestBytes:
    def test_a_glance_at_a_large_object_costs_no_more_than_a_quarter_megabyte(
        self, router: MinioRouter, wire: Proxy, put: Put
    ) -> None:
        put("large.bin", 4 * MIB)
        wire.forget()
        with router.open("large.bin") as file:
            assert len(file.read(100)) == 100
        assert wire.methods == ["GET"]
        assert wire.sent <= 260_000

    def test_nothing_is_sent_twice(self, router: MinioRouter, wire: Proxy, bare: Minio, bucket: str) -> None:
        content = os.urandom(3 * MIB)
        wire.forget()
        name = router.save("large.bin", ContentFile(content))
        assert wire.received == len(content)
        with router.open(name) as file:
            assert file.read() == content
        assert wire.sent == len(content)

    def test_a_jump_fetches_what_lies_there(self, router: MinioRouter, wire: Proxy, put: Put) -> None:
        put("large.bin", 4 * MIB)
        wire.forget()
        with router.open("large.bin") as file:
            file.seek(-100, os.SEEK_END)
            assert len(file.read()) == 100
        assert wire.sent <= 260_000


# What the operation of a fresh process may send; the first save finds something out.
FIRST_CALLS = {
    "nothing": [],
    "save": [*FINDING_OUT, "PUT"],
    "save when told": ["PUT"],
    "read": ["GET"],
    "exists": ["HEAD"],
    "size": ["HEAD"],
    "delete": ["DELETE"],
    "url": [],
}


@pytest.fixture(scope="module")
def fresh_processes() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.budget.first_call"]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


@pytest.mark.parametrize("operation", FIRST_CALLS)
def test_the_first_call_of_a_process(
    kind: str, operation: str, bucket: str, bare: Minio, fresh_processes: subprocess.Popen[str]
) -> None:
    """Construction and one call, in a process that has done nothing before but imports."""
    bare.put_object(bucket_name=bucket, object_name="there.txt", data=BytesIO(b"there"), length=5)
    with Proxy(os.environ["MINIO_ENDPOINT"]) as wire:
        order = json.dumps([kind, operation, bucket, wire.endpoint])
        print(order, file=fresh_processes.stdin, flush=True)
        assert fresh_processes.stdout.readline() == "0\n"
    assert wire.methods == FIRST_CALLS[operation]


def test_what_the_first_save_found_out_holds_for_all_buckets(
    router: MinioRouter, budget: Budget, bare: Minio, new_name: Callable[[str], str]
) -> None:
    another = new_name("another")
    bare.make_bucket(bucket_name=another)
    with budget("PUT"):
        make_router("fixed", another).save("new.txt", ContentFile(b"new"))
