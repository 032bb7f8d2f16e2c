"""What changes on the way is refused, and the old object stays in place."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from tests.support.proxy import Exchange, Proxy, Request
from tests.support.scale import scale

from .conftest import names_in, options_for, put, stored, uploads_in
from .faults import flip_a_bit

PART = 5 * 1024 * 1024
OLD = b"the old content"
SIZES = {"small": 10_000, "parts": PART + 100_000}


def storage_at(proxy: Proxy, bucket: str, **options: Any) -> MinioBackend:
    return MinioBackend(
        bucket,
        **options_for(proxy.endpoint),
        MINIO_CONDITIONAL_WRITES=True,
        MINIO_MULTIPART_PART_SIZE=PART,
        **options,
    )


def is_body(part: int | None) -> Any:
    """Pick the request that carries the content, or the given part of it."""

    def picks(request: Request) -> bool:
        if request.method != "PUT" or request.headers.get("content-length") == "0":
            return False
        return part is None or request.query.startswith(f"partNumber={part}&")

    return picks


@pytest.mark.parametrize("round_", range(scale(3, 100)))
@pytest.mark.parametrize(("kind", "part"), [("small", None), ("parts", 1), ("parts", 2)])
@pytest.mark.parametrize("replaces", [True, False], ids=["replacing", "new"])
def test_a_flipped_bit_is_refused(
    replaces: bool, kind: str, part: int | None, round_: int, bare: Minio, bucket: str, proxy: Proxy
) -> None:
    put(bare, bucket, "report.bin", OLD)
    proxy.when(flip_a_bit, where=is_body(part))

    with pytest.raises(ServerError) as raised:
        storage_at(proxy, bucket, replace_existing=replaces).save(
            "report.bin" if replaces else "new.bin", ContentFile(os.urandom(SIZES[kind]))
        )

    assert raised.value.status == 400
    assert names_in(bare, bucket) == ["report.bin"]
    assert stored(bare, bucket, "report.bin") == OLD
    assert uploads_in(bare, bucket, "report.bin") == uploads_in(bare, bucket, "new.bin") == []


def another_checksum(exchange: Exchange) -> None:
    """The server says that it stored something else."""
    answer = exchange.forward()
    answer.set("x-amz-checksum-crc32", "AAAAAA==")
    exchange.relay(answer)


def test_a_checksum_that_differs_in_the_answer_is_an_error(bucket: str, proxy: Proxy) -> None:
    proxy.when(another_checksum, method="PUT")

    with pytest.raises(ServerError, match="changed in transit"):
        storage_at(proxy, bucket).save("new.bin", ContentFile(b"content"))


def test_a_checksum_that_differs_for_a_part_leaves_the_old_object(
    bare: Minio, bucket: str, proxy: Proxy
) -> None:
    put(bare, bucket, "report.bin", OLD)
    proxy.when(another_checksum, where=is_body(2))

    with pytest.raises(ServerError, match="changed in transit"):
        storage_at(proxy, bucket, replace_existing=True).save(
            "report.bin", ContentFile(os.urandom(SIZES["parts"]))
        )

    assert stored(bare, bucket, "report.bin") == OLD
    assert uploads_in(bare, bucket, "report.bin") == []


@pytest.mark.parametrize("kind", SIZES)
def test_checksums_cost_no_request_and_can_be_left_out(
    kind: str, bare: Minio, bucket: str, proxy: Proxy
) -> None:
    content = os.urandom(SIZES[kind])
    requests = []
    for checksums in (True, False):
        proxy.forget()
        name = storage_at(proxy, bucket, MINIO_CHECKSUMS=checksums).save(
            f"{checksums}.bin", ContentFile(content)
        )
        assert stored(bare, bucket, name) == content
        requests.append(proxy.methods)
        sent = [h for r in proxy.requests for h in r.headers if h.startswith("x-amz-checksum")]
        assert bool(sent) is checksums

    assert sorted(requests[0]) == sorted(requests[1])
