"""Settings as 4.x has them: in the ``OPTIONS`` of an alias, one alias for each server."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.core.management import call_command
from minio import Minio

from django_minio_router import ConfigurationError, MinioBackend
from tools.servers.stack import S3Server

BACKEND = "django_minio_router.models.MinioBackend"


@pytest.fixture
def first() -> dict[str, Any]:
    """The options of the server that the whole run uses."""
    names = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
    return {**{name: os.environ[name] for name in names}, "MINIO_USE_HTTPS": False}


@pytest.fixture
def second(second_server: S3Server) -> dict[str, Any]:
    return {
        "MINIO_ENDPOINT": second_server.endpoint,
        "MINIO_ACCESS_KEY": second_server.access_key,
        "MINIO_SECRET_KEY": second_server.secret_key,
        "MINIO_USE_HTTPS": False,
    }


@pytest.fixture
def configure(settings) -> Callable[..., None]:
    """Return a function that configures aliases by their options, with no flat setting left."""

    def configure(**aliases: dict[str, Any]) -> None:
        for name in dir(settings):
            if name.startswith("MINIO_"):
                delattr(settings, name)
        entries = {alias: {"BACKEND": BACKEND, "OPTIONS": options} for alias, options in aliases.items()}
        settings.STORAGES = {"staticfiles": settings.STORAGES["staticfiles"], **entries}

    return configure


@pytest.fixture
def buckets(new_name: Callable[[str], str], bare: Minio, bare_second: Minio) -> dict[str, str]:
    """Buckets of the same name on both servers, and one that only the second has."""
    names = {label: new_name(label) for label in ("both", "only-second")}
    for server in (bare, bare_second):
        server.make_bucket(bucket_name=names["both"])
    bare_second.make_bucket(bucket_name=names["only-second"])
    return names


def content(server: Minio, bucket: str, name: str) -> bytes:
    response = server.get_object(bucket_name=bucket, object_name=name)
    try:
        return response.read()
    finally:
        response.close()
        response.release_conn()


def test_each_alias_stores_on_its_server(
    first, second, configure, buckets: dict[str, str], bare: Minio, bare_second: Minio
) -> None:
    configure(
        default={**first, "MINIO_DEFAULT_BUCKET": buckets["both"]},
        archive={**second, "MINIO_DEFAULT_BUCKET": buckets["both"]},
    )

    assert default_storage.save("same.txt", ContentFile(b"first")) == "same.txt"
    assert storages["archive"].save("same.txt", ContentFile(b"second")) == "same.txt"

    assert content(bare, buckets["both"], "same.txt") == b"first"
    assert content(bare_second, buckets["both"], "same.txt") == b"second"
    assert default_storage.open("same.txt").read() == b"first"
    assert storages["archive"].open("same.txt").read() == b"second"


def test_storage_name_takes_a_bucket_to_the_server_of_an_alias(
    first, second, configure, buckets: dict[str, str], bare_second: Minio
) -> None:
    public = buckets["only-second"]
    configure(default=first, archive={**second, "MINIO_PUBLIC_BUCKETS": [public]})
    storage = MinioBackend(bucket_name=public, storage_name="archive")

    storage.save("file.txt", ContentFile(b"second"))

    assert content(bare_second, public, "file.txt") == b"second"
    assert storage.url("file.txt") == f"http://{second['MINIO_ENDPOINT']}/{public}/file.txt"
    assert not MinioBackend(bucket_name=buckets["both"], storage_name="archive").is_bucket_public


def test_links_are_signed_with_the_keys_of_the_alias(
    first, second, configure, buckets: dict[str, str]
) -> None:
    configure(default=first, archive=second)
    for storage_name in ("default", "archive"):
        storage = MinioBackend(bucket_name=buckets["both"], storage_name=storage_name)
        storage.save("file.txt", ContentFile(storage_name.encode()))

        assert urllib3.request("GET", storage.url("file.txt")).data == storage_name.encode()


def test_what_an_alias_leaves_out_is_not_taken_from_the_server_of_another(
    first, second, configure, buckets: dict[str, str]
) -> None:
    outside = {"MINIO_EXTERNAL_ENDPOINT": "files.example.com", "MINIO_EXTERNAL_ENDPOINT_USE_HTTPS": True}
    configure(
        default={**first, **outside, "MINIO_PUBLIC_BUCKETS": [buckets["both"]]},
        archive={**second, "MINIO_DEFAULT_BUCKET": buckets["both"]},
        broken={"MINIO_ENDPOINT": second["MINIO_ENDPOINT"]},
    )

    link = storages["archive"].url("file.txt")

    assert link.startswith(f"http://{second['MINIO_ENDPOINT']}/{buckets['both']}/file.txt?X-Amz-Algorithm=")
    with pytest.raises(ConfigurationError, match="MINIO_ACCESS_KEY is not set"):
        storages["broken"].url("file.txt")


def test_an_alias_without_a_server_has_the_one_of_the_default_alias(
    first, configure, buckets: dict[str, str], bare: Minio
) -> None:
    configure(default=first, uploads={"MINIO_DEFAULT_BUCKET": buckets["both"]})

    storages["uploads"].save("file.txt", ContentFile(b"content"))

    assert content(bare, buckets["both"], "file.txt") == b"content"


def test_a_bucket_that_options_do_not_declare_is_private(first, configure, buckets: dict[str, str]) -> None:
    configure(default={**first, "MINIO_PRIVATE_BUCKETS": []})
    storage = MinioBackend(bucket_name=buckets["both"])

    storage.save("file.txt", ContentFile(b"content"))

    assert urllib3.request("GET", storage.url("file.txt").partition("?")[0]).status == 403


def test_without_a_bucket_the_default_one_is_used_and_private(first, configure) -> None:
    configure(default=first)

    assert default_storage.bucket == "auto-generated-bucket-media-files"
    assert not default_storage.is_bucket_public


def test_the_command_creates_the_buckets_of_all_aliases_on_their_servers(
    first, second, configure, new_name: Callable[[str], str], bare: Minio, bare_second: Minio
) -> None:
    here, there = new_name("here"), new_name("there")
    configure(
        default={**first, "MINIO_DEFAULT_BUCKET": here},
        archive={**second, "MINIO_DEFAULT_BUCKET": there, "MINIO_PUBLIC_BUCKETS": [there]},
    )

    call_command("initialize_buckets", silenced=True)

    assert bare.bucket_exists(bucket_name=here)
    assert bare_second.bucket_exists(bucket_name=there)
    assert not bare.bucket_exists(bucket_name=there)
    assert not bare_second.bucket_exists(bucket_name=here)
    assert "s3:ListBucket" in bare_second.get_bucket_policy(bucket_name=there)


def test_policy_hooks_of_an_alias_are_for_its_server(
    first, second, configure, buckets: dict[str, str], bare: Minio, bare_second: Minio
) -> None:
    both = buckets["both"]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{both}/logos/*"],
    }
    hook = (both, {"Version": "2012-10-17", "Statement": [statement]})
    configure(
        default={**first, "MINIO_PRIVATE_BUCKETS": [both]},
        archive={**second, "MINIO_PRIVATE_BUCKETS": [both], "MINIO_POLICY_HOOKS": [hook]},
    )

    call_command("initialize_buckets", silenced=True)

    assert "/logos/" in bare_second.get_bucket_policy(bucket_name=both)
    with pytest.raises(Exception, match="NoSuchBucketPolicy"):
        bare.get_bucket_policy(bucket_name=both)


def test_each_alias_has_its_own_expiry_and_region(first, configure) -> None:
    configure(
        default={**first, "MINIO_URL_EXPIRY_HOURS": timedelta(hours=4)},
        brief={
            **first,
            "MINIO_URL_EXPIRY_HOURS": timedelta(minutes=1),
            "MINIO_URL_WINDOW": timedelta(0),
            "MINIO_REGION": "eu-central-1",
        },
    )

    def signed(alias: str) -> tuple[timedelta, str]:
        query = parse_qs(urlsplit(storages[alias].url("file.txt")).query)
        life = timedelta(seconds=int(query["X-Amz-Expires"][0]))
        return life, query["X-Amz-Credential"][0].split("/")[2]

    (life, region), (brief_life, other_region) = signed("default"), signed("brief")
    assert timedelta(hours=4) <= life < timedelta(hours=4, minutes=16)
    assert timedelta(minutes=1) <= brief_life < timedelta(minutes=1, seconds=2)
    assert (region, other_region) == ("us-east-1", "eu-central-1")


@pytest.mark.parametrize(
    "caching",
    [
        {"MINIO_URL_CACHING_ENABLED": True, "MINIO_URL_CACHE_TIMEOUT": 8 * 3600},
        {"MINIO_URL_CACHING_ENABLED": True, "MINIO_URL_CACHING_PREFIX": "links_"},
        {"MINIO_URL_CACHING_TIMEOUT": 60, "MINIO_URL_CACHE_PREFIX": "links_"},
    ],
)
def test_the_settings_of_the_link_cache_are_accepted(first, configure, settings, caching) -> None:
    configure(default={**first, **caching})
    for name, value in caching.items():
        setattr(settings, name, value)

    assert default_storage.url("file.txt") == default_storage.url("file.txt")
    out = StringIO()
    call_command("check", stdout=out)
    assert "no issues" in out.getvalue()


@pytest.mark.parametrize("enabled", [True, False])
def test_a_large_file_is_stored_whole_however_multipart_is_set(
    enabled: bool, first, configure, buckets: dict[str, str], bare: Minio
) -> None:
    configure(
        default={
            **first,
            "MINIO_DEFAULT_BUCKET": buckets["both"],
            "MINIO_MULTIPART_UPLOAD": enabled,
            "MINIO_MULTIPART_THRESHOLD": 5 << 20,
            "MINIO_MULTIPART_PART_SIZE": 5 << 20,
        }
    )
    large = os.urandom(1 << 20) * 11

    name = default_storage.save("large.bin", ContentFile(large))

    assert content(bare, buckets["both"], name) == large
    parts = bare.stat_object(bucket_name=buckets["both"], object_name=name).etag.partition("-")[2]
    assert parts == "3"


def test_options_that_belong_to_django_work_beside_the_settings(
    first, configure, buckets: dict[str, str], bare: Minio
) -> None:
    configure(
        default={
            **first,
            "bucket_name": buckets["both"],
            "replace_existing": True,
            "metadata": {"Author": "Kim"},
        }
    )
    for text in (b"old", b"new"):
        assert default_storage.save("file.txt", ContentFile(text)) == "file.txt"

    stored = bare.stat_object(bucket_name=buckets["both"], object_name="file.txt")
    assert content(bare, buckets["both"], "file.txt") == b"new"
    assert stored.metadata["x-amz-meta-author"] == "Kim"


def test_the_server_of_each_alias_is_asked_whether_it_is_there(first, configure, second) -> None:
    configure(default=first, archive=second, gone={**first, "MINIO_ENDPOINT": "127.0.0.1:9"})

    assert storages["default"].is_minio_available()
    assert storages["archive"].is_minio_available()
    assert not storages["gone"].is_minio_available()
    assert "127.0.0.1:9" in storages["gone"].is_minio_available().details


def test_the_same_file_name_in_many_places_is_found_in_each(
    first, second, configure, buckets: dict[str, str], bare: Minio, bare_second: Minio
) -> None:
    """Clients and links of two servers are never mixed, not even in the caches."""
    configure(default=first, archive=second)
    here = MinioBackend(bucket_name=buckets["both"])
    there = MinioBackend(bucket_name=buckets["both"], storage_name="archive")
    bare.put_object(bucket_name=buckets["both"], object_name="x", data=BytesIO(b"here"), length=4)
    bare_second.put_object(bucket_name=buckets["both"], object_name="x", data=BytesIO(b"there"), length=5)

    for _ in range(3):
        assert urllib3.request("GET", here.url("x")).data == b"here"
        assert urllib3.request("GET", there.url("x")).data == b"there"
        assert (here.size("x"), there.size("x")) == (4, 5)
