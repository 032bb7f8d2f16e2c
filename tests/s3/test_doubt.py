"""A save whose first answer is lost, and after it the answer to the question whose the name is now.

It must not take another name unasked: what it stored first would stay, and no row would name it.
"""

from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router.exceptions import ServerError
from django_minio_router.s3.content import MIN_PART_SIZE
from tests.support.proxy import Action, Exchange, Proxy, Request, answering, drop_answer
from tests.support.server import names_in, stored
from tests.support.storages import Make

sizes = pytest.mark.parametrize("size", [10, MIN_PART_SIZE + 10], ids=["small", "parts"])
failures = pytest.mark.parametrize("failure", [drop_answer, answering(503)], ids=["lost", "503"])


def makes_visible(request: Request) -> bool:
    """Tell whether it stores an object: the file, the claim of its name, or all parts together."""
    return request.method in ("PUT", "POST") and request.query.partition("=")[0] in ("", "uploadId")


def lose(proxy: Proxy, failure: Action, times: int | None) -> None:
    """Lose the answer to each first request that stores, and to the questions that follow, so often."""

    def follows(request: Request) -> bool:
        return request.method == "HEAD" and any(map(makes_visible, proxy.requests))

    proxy.when(drop_answer, method="PUT", where=makes_visible)
    proxy.when(drop_answer, method="POST", where=makes_visible)
    proxy.when(failure, where=follows, times=times)


@sizes
@failures
def test_it_keeps_its_name(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, size: int, failure: Action
) -> None:
    storage, content = through(), b"x" * size
    lose(proxy, failure, times=2)

    assert storage.save("x.txt", ContentFile(content)) == "x.txt"

    assert names_in(bare, bucket) == ["x.txt"]
    assert stored(bare, bucket, "x.txt") == content


@sizes
@failures
def test_it_takes_no_other_name_where_nothing_tells_whose_the_first_one_is(
    through: Make, proxy: Proxy, bare: Minio, bucket: str, size: int, failure: Action
) -> None:
    storage = through()
    lose(proxy, failure, times=None)

    with pytest.raises(ServerError, match=r"unknown whether 'x\.txt' was stored .* clean_orphaned"):
        storage.save("x.txt", ContentFile(b"x" * size))

    assert names_in(bare, bucket) == ["x.txt"]


@sizes
def test_it_takes_another_name_where_the_first_one_is_of_another_writer(
    through: Make, proxy: Proxy, make: Make, bare: Minio, bucket: str, size: int
) -> None:
    """Who stored it at that moment, so that the lost answer was a refusal."""
    storage = through()

    def store_before(exchange: Exchange) -> None:
        make().save("x.txt", ContentFile(b"other"))
        drop_answer(exchange)

    proxy.when(store_before, where=makes_visible)
    proxy.when(drop_answer, method="HEAD", where=lambda request: any(map(makes_visible, proxy.requests)))

    name = storage.save("x.txt", ContentFile(b"x" * size))

    assert sorted(names_in(bare, bucket)) == sorted(["x.txt", name])
    assert stored(bare, bucket, "x.txt") == b"other"
    assert stored(bare, bucket, name) == b"x" * size
