"""Where the server, its keys and its pool come from; values are read late, and wrong ones are named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.test import override_settings
from minio import Minio
from minio.credentials import ChainedProvider, EnvAWSProvider, EnvMinioProvider, StaticProvider
from minio.credentials.providers import Provider

from django_minio_router import ConfigurationError, MinioBackend
from django_minio_router.exceptions import ServerError
from tests.support.proxy import Proxy, answering
from tests.support.server import names_in, stored
from tests.support.storages import Make, keys

CONTENT = ContentFile(b"x", name="x.txt")


# Keys


def provider_of_the_tests() -> Provider:
    return StaticProvider(os.environ["MINIO_ACCESS_KEY"], os.environ["MINIO_SECRET_KEY"])


@pytest.mark.parametrize(
    "provider",
    [
        EnvMinioProvider(),
        ChainedProvider([EnvAWSProvider(), EnvMinioProvider()]),
        "minio.credentials.EnvMinioProvider",
        "tests.settings.test_servers.provider_of_the_tests",
    ],
    ids=["environment", "chain", "dotted path", "dotted path of a function"],
)
def test_keys_may_come_from_a_provider(
    storage: MinioBackend, bare: Minio, bucket: str, settings: Any, monkeypatch: Any, provider: Any
) -> None:
    settings.MINIO_ACCESS_KEY = settings.MINIO_SECRET_KEY = ""
    settings.MINIO_CREDENTIALS = provider
    monkeypatch.setenv("MINIO_ROOT_USER", "not these")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)

    name = storage.save("x.txt", CONTENT)

    assert stored(bare, bucket, name) == b"x"
    assert urllib3.request("GET", storage.url(name)).data == b"x"


def test_storages_of_one_provider_share_their_client(settings: Any) -> None:
    settings.MINIO_CREDENTIALS = "minio.credentials.EnvMinioProvider"

    first, second = (MinioBackend(name, public=False).client for name in ("one", "two"))

    assert first is second


@pytest.mark.parametrize("missing", ["MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ENDPOINT"])
def test_what_is_not_set_is_named(storage: MinioBackend, settings: Any, missing: str) -> None:
    setattr(settings, missing, "")

    with pytest.raises(ConfigurationError, match=f"{missing} is not set"):
        storage.exists("x.txt")


# Places


def test_changed_settings_hold_for_storages_that_are_there_already(
    storage: MinioBackend, proxy: Proxy
) -> None:
    storage.save("x.txt", CONTENT)

    with override_settings(MINIO_ENDPOINT=proxy.endpoint):
        assert storage.exists("x.txt")
        assert proxy.methods == ["HEAD"]
        assert proxy.endpoint in storage.url("x.txt")
    storage.exists("x.txt")

    assert proxy.methods == ["HEAD"]
    assert proxy.endpoint not in storage.url("x.txt")


def test_further_servers_are_named_in_the_settings(make: Make, settings: Any, proxy: Proxy) -> None:
    settings.MINIO_SERVERS = {"second": {"MINIO_ENDPOINT": proxy.endpoint, **keys()}}

    make(server="second").save("x.txt", CONTENT)

    assert "PUT" in proxy.methods
    assert make().exists("x.txt")
    assert make(server="second").base_url == f"http://{proxy.endpoint}"


def test_keys_of_the_default_server_do_not_go_to_another(make: Make, settings: Any, proxy: Proxy) -> None:
    settings.MINIO_SERVERS = {"second": {"MINIO_ENDPOINT": proxy.endpoint}}

    with pytest.raises(ConfigurationError, match="MINIO_ACCESS_KEY is not set"):
        make(server="second").exists("x.txt")
    assert proxy.connections == 0


def test_a_server_that_is_not_there_is_named_with_those_that_are(make: Make, settings: Any) -> None:
    settings.MINIO_SERVERS = {"berlin": {}, "lyon": {}}

    with pytest.raises(ConfigurationError, match=r"'oslo' is not in MINIO_SERVERS \(known: berlin, lyon\)"):
        make(server="oslo").exists("x.txt")


def test_options_of_storages_make_a_storage_complete(bucket: str, bare: Minio, settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django_minio_router.models.MinioBackend",
            "OPTIONS": {
                "MINIO_ENDPOINT": settings.MINIO_ENDPOINT,
                "MINIO_DEFAULT_BUCKET": bucket,
                "MINIO_PRIVATE_BUCKETS": [bucket],
                "MINIO_USE_HTTPS": False,
                **keys(),
            },
        },
    }
    settings.MINIO_ENDPOINT = settings.MINIO_ACCESS_KEY = settings.MINIO_SECRET_KEY = ""

    default_storage.save("x.txt", CONTENT)

    assert names_in(bare, bucket) == ["x.txt"]


def test_a_storage_can_use_the_options_of_an_alias(bucket: str, bare: Minio, settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "archive": {
            "BACKEND": "django_minio_router.models.MinioBackend",
            "OPTIONS": {
                "bucket_name": bucket,
                "storage_name": "archive",
                "MINIO_ENDPOINT": settings.MINIO_ENDPOINT,
                "MINIO_USE_HTTPS": False,
                **keys(),
            },
        },
    }
    settings.MINIO_ENDPOINT = ""

    storages["archive"].save("x.txt", CONTENT)
    MinioBackend(bucket, "archive").save("y.txt", CONTENT)

    assert names_in(bare, bucket) == ["x.txt", "y.txt"]


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'replace' is not an option"):
        MinioBackend("bucket", replace=True)
    with pytest.raises(ConfigurationError, match="'MINIO_ENDPIONT' is not an option"):
        MinioBackend("bucket", MINIO_ENDPIONT="127.0.0.1:9000")


def test_an_alias_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'archive' is not in STORAGES"):
        MinioBackend("bucket", "archive").exists("x.txt")


def test_the_default_bucket_is_that_of_the_settings(bucket: str, bare: Minio, settings: Any) -> None:
    settings.MINIO_MEDIA_FILES_BUCKET = bucket
    settings.MINIO_PRIVATE_BUCKETS = [bucket]

    MinioBackend().save("x.txt", CONTENT)

    assert names_in(bare, bucket) == ["x.txt"]


def test_whether_a_bucket_is_public_is_what_the_settings_say(bucket: str, settings: Any) -> None:
    settings.MINIO_PUBLIC_BUCKETS = [bucket]
    assert "?" not in MinioBackend(bucket).url("x.txt")

    settings.MINIO_PUBLIC_BUCKETS, settings.MINIO_PRIVATE_BUCKETS = [], [bucket]
    assert "X-Amz-Signature" in MinioBackend(bucket).url("x.txt")

    settings.MINIO_PRIVATE_BUCKETS = []
    with pytest.raises(ConfigurationError, match="declared neither in MINIO_PRIVATE_BUCKETS nor"):
        MinioBackend(bucket).url("x.txt")


# Pools


def test_a_projects_own_pool_says_how_often_to_try(make: Make, proxy: Proxy) -> None:
    pool = urllib3.PoolManager(retries=urllib3.Retry(total=4, status_forcelist=[418]))
    storage = make(http_client=pool, MINIO_ENDPOINT=proxy.endpoint, **keys())
    proxy.when(answering(418), times=None)

    with pytest.raises(ServerError):
        storage.exists("x.txt")

    assert proxy.methods == ["HEAD"] * 5


def test_a_projects_own_pool_may_be_a_setting(storage: MinioBackend, settings: Any) -> None:
    class Counting(urllib3.PoolManager):
        asked = 0

        def connection_from_host(self, *args: Any, **kwargs: Any) -> Any:
            type(self).asked += 1
            return super().connection_from_host(*args, **kwargs)

    settings.MINIO_HTTP_CLIENT = Counting()

    storage.save("x.txt", CONTENT)

    assert Counting.asked > 0


def test_a_pool_that_lets_go_of_hosts_is_no_trouble(make: Make, proxy: Proxy) -> None:
    pool = urllib3.PoolManager(num_pools=1)
    storage = make(http_client=pool)
    storage.save("x.txt", CONTENT)

    for _ in range(3):
        pool.request("GET", f"http://{proxy.endpoint}/")
        assert storage.exists("x.txt")


def test_requests_can_go_through_a_forward_proxy(make: Make, settings: Any, proxy: Proxy) -> None:
    pool = urllib3.ProxyManager(f"http://{proxy.endpoint}")
    storage = make(http_client=pool, MINIO_ENDPOINT=settings.MINIO_ENDPOINT, **keys())

    name = storage.save("a b.txt", CONTENT)

    assert storage.open(name).read() == b"x"
    assert storage.listdir() == ([], [name])
    assert all(request.target.startswith("http://") for request in proxy.requests)


@pytest.fixture
def narrow_pool() -> Iterator[urllib3.PoolManager]:
    """A pool whose only connection must be given back before it serves anybody else."""
    with urllib3.PoolManager(maxsize=1, block=True, timeout=2) as pool:
        yield pool


def test_no_operation_keeps_a_connection(make: Make, narrow_pool: urllib3.PoolManager) -> None:
    storage = make(http_client=narrow_pool, MINIO_RETRIES=0)
    storage.save("big.bin", ContentFile(os.urandom(400_000)))

    for _ in range(3):
        storage.save("x.txt", ContentFile(b"x"))
        with storage.open("big.bin") as file:
            file.read(100)
            assert storage.exists("x.txt")
        with pytest.raises(FileNotFoundError):
            storage.open("none.txt")
        storage.open("x.txt").read()
        assert storage.is_minio_available()
        storage.listdir()
        storage.delete("none.txt")
        storage.save("empty.txt", ContentFile(b""))
        storage.open("empty.txt")


def test_waiting_for_a_free_connection_has_an_end(make: Make, narrow_pool: urllib3.PoolManager) -> None:
    storage = make(http_client=narrow_pool, MINIO_RETRIES=0, MINIO_READ_TIMEOUT=0.2)
    storage.save("big.bin", ContentFile(os.urandom(3_000_000)))

    with storage.open("big.bin") as file:
        file.read(300_000)
        with pytest.raises(ServerError, match=r"(?i)pool"):
            storage.exists("x.txt")
    assert storage.exists("big.bin")
