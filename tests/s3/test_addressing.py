"""Where a server has its buckets: below a path, each at a host of its own, at an IPv6 address."""

from __future__ import annotations

import gzip
import io
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import urllib3
from django.core.files.base import ContentFile
from minio import Minio
from minio.error import MinioException

from django_minio_router import MinioBackend
from django_minio_router.exceptions import BucketNotFound
from tests.support.gateway import BASE, DOMAIN, at_host, below_path, gateway
from tests.support.proxy import Proxy
from tests.support.server import names_in, stored
from tests.support.storages import keys

NAMES = ["a folder/with spaces.txt", "a+b=c&d.txt", "ü/日本.txt"]
LARGE = os.urandom(11 * 1024 * 1024)


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the domain and all below it on loopback, as not every resolver does."""
    find = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        on_loopback = isinstance(host, str) and host.endswith(DOMAIN)
        return find("127.0.0.1" if on_loopback else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _has_domain(bare: Minio, bucket: str, port: str) -> bool:
    """Tell whether the server of the run knows the domain; one that is shared may not."""
    bare.put_object(bucket_name=bucket, object_name="probe", data=io.BytesIO(b"x"), length=1)
    there = Minio(f"{DOMAIN}:{port}", *keys().values(), secure=False, region="us-east-1")
    there.enable_virtual_style_endpoint()
    try:
        there.remove_object(bucket_name=bucket, object_name="probe")
    except MinioException:
        return False
    return names_in(bare, bucket) == []


@pytest.fixture(params=["below a path", "at a host of its own", "at a host, on the server itself"])
def elsewhere(request: Any, proxy: Proxy, bare: Minio, bucket: str) -> dict[str, str]:
    """The options of a storage on a server that has its buckets there, and nowhere else."""
    if request.param == "below a path":
        proxy.when(gateway(below_path, proxy.upstream), times=None)
        return {"MINIO_ENDPOINT": f"http://{proxy.endpoint}{BASE}"}
    if request.param == "at a host of its own":
        proxy.when(gateway(at_host, proxy.upstream), times=None)
        port = proxy.endpoint.rpartition(":")[2]
    else:
        port = os.environ["MINIO_ENDPOINT"].rpartition(":")[2]
        if not _has_domain(bare, bucket, port):
            pytest.skip("The server of this run serves no domain.")
    return {"MINIO_ENDPOINT": f"http://{DOMAIN}:{port}", "MINIO_ADDRESSING": "virtual"}


@pytest.fixture
def storage(elsewhere: dict[str, str], bucket: str) -> MinioBackend:
    return MinioBackend(bucket, public=False, **elsewhere, **keys())


@pytest.mark.parametrize("name", NAMES)
def test_files_are_saved_read_linked_and_deleted(
    storage: MinioBackend, bare: Minio, bucket: str, name: str
) -> None:
    saved = storage.save(name, ContentFile(name.encode()))

    assert stored(bare, bucket, saved) == name.encode()
    assert storage.open(saved).read() == name.encode()
    assert storage.size(saved) == len(name.encode())
    assert storage.listdir(os.path.dirname(name)) == ([], [os.path.basename(name)])
    link = storage.url(saved, filename="other.txt")
    answer = urllib3.request("GET", link)
    assert (answer.data, "other.txt" in answer.headers["Content-Disposition"]) == (name.encode(), True)
    storage.delete(saved)
    assert names_in(bare, bucket) == []


def test_large_files_too(storage: MinioBackend, bare: Minio, bucket: str) -> None:
    saved = storage.save("large.bin", ContentFile(LARGE))

    assert stored(bare, bucket, saved) == LARGE


def test_a_copy_names_bucket_and_object_alike_everywhere(
    storage: MinioBackend, bare: Minio, bucket: str
) -> None:
    saved = storage.save("a b.txt", ContentFile(b"x"))
    objects = storage.objects

    objects.copy(objects, objects.head(saved), "copies/ü.txt")

    assert stored(bare, bucket, "copies/ü.txt") == b"x"


def test_buckets_are_created_with_their_policy_and_link_to_it(
    elsewhere: dict[str, str], new_name: Callable[[str], str], bare: Minio
) -> None:
    name = new_name("public")
    storage = MinioBackend(name, public=True, **elsewhere, **keys())
    with pytest.raises(BucketNotFound):
        storage.save("x.txt", ContentFile(b"x"))

    storage.check_bucket_existence()
    storage.check_bucket_existence()
    saved = storage.save("x y.txt", ContentFile(b"x"))

    assert bare.bucket_exists(bucket_name=name)
    host, path = storage.objects.client.server.locate(f"/{name}/x%20y.txt")
    assert storage.url(saved) == f"http://{host}{path}"
    if "path" not in elsewhere and not elsewhere["MINIO_ENDPOINT"].endswith(BASE):
        assert storage.url(saved).startswith(f"http://{name}.{DOMAIN}:")


def test_the_sdk_decodes_what_is_stored_compressed(storage: MinioBackend, bucket: str) -> None:
    data = gzip.compress(b"text")
    storage.client.put_object(
        bucket_name=bucket,
        object_name="a.txt",
        data=io.BytesIO(data),
        length=len(data),
        metadata={"Content-Encoding": "gzip"},
    )

    with closing(storage.client.get_object(bucket_name=bucket, object_name="a.txt")) as answer:
        assert answer.read() == b"text"


def test_the_server_is_there(storage: MinioBackend) -> None:
    assert storage.is_minio_available()


@pytest.fixture
def on_ipv6() -> Iterator[Proxy]:
    try:
        with Proxy(os.environ["MINIO_ENDPOINT"], host="::1") as proxy:
            yield proxy
    except OSError:
        pytest.skip("This machine has no IPv6.")


@pytest.mark.parametrize("template", ["{}", "http://{}", "http://{}/"])
def test_an_ipv6_address(on_ipv6: Proxy, bucket: str, bare: Minio, template: str) -> None:
    storage = MinioBackend(bucket, public=True, MINIO_ENDPOINT=template.format(on_ipv6.endpoint), **keys())

    storage.check_bucket_existence()
    saved = storage.save("x.txt", ContentFile(b"x"))

    assert storage.open(saved).read() == b"x"
    assert storage.listdir() == ([], ["x.txt"])
    assert urllib3.request("GET", storage.url(saved)).data == b"x"
