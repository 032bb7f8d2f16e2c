"""What this package writes for itself leaves no version behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.base import ContentFile
from minio import Minio
from minio.versioningconfig import ENABLED, VersioningConfig

from django_minio_router.exceptions import ServerError
from tests.support.proxy import Proxy, answering, without
from tests.support.storages import Make, keys


@pytest.fixture
def versioned(bare: Minio, bucket: str) -> str:
    bare.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))
    return bucket


def versions_in(bare: Minio, bucket: str) -> list[tuple[str, bool]]:
    found: Any = bare.list_objects(bucket_name=bucket, recursive=True, include_version=True)
    return [(entry.object_name, entry.is_delete_marker) for entry in found]


@pytest.mark.parametrize("keeps_conditions", [True, False])
def test_the_trial_of_the_first_save_leaves_no_version(
    make: Make, proxy: Proxy, bare: Minio, versioned: str, keeps_conditions: bool
) -> None:
    if not keeps_conditions:
        proxy.when(without("If-None-Match"), times=None)
    storage = make(MINIO_ENDPOINT=proxy.endpoint, **keys())

    saved = storage.save("x.txt", ContentFile(b"x"))

    assert versions_in(bare, versioned) == [(saved, False)]


def test_a_key_that_may_not_remove_versions_hides_the_trial(
    make: Make, proxy: Proxy, bare: Minio, versioned: str
) -> None:
    denied = answering(403, b"<Error><Code>AccessDenied</Code></Error>")
    proxy.when(denied, where=lambda r: "versionId" in r.query, times=None)

    saved = make(MINIO_ENDPOINT=proxy.endpoint, **keys()).save("x.txt", ContentFile(b"x"))

    assert [e.object_name for e in bare.list_objects(bucket_name=versioned)] == [saved]


def test_a_clock_that_is_wrong_is_named_with_its_difference(through: Make, proxy: Proxy) -> None:
    storage = through()
    body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
    proxy.when(answering(403, body, Date="Wed, 01 Jan 2020 00:00:00 GMT"), times=None)

    with pytest.raises(ServerError, match=r"its clock is \d{8,} s behind ours\)\. Set the clock"):
        storage.save("x.txt", ContentFile(b"x"))
