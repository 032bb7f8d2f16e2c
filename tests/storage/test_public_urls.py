"""Links on other domains than the server's: a CDN, a domain for each tenant, links that a CDN signs."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import ConfigurationError, MinioBackend, MinioRouter
from django_minio_router.s3.bucket import NO_COPY
from django_minio_router.strategies import FixedBucket, Location, PerTenant, PerTenantPrefix
from django_minio_router.tenancy import current_tenant, tenant_bucket_context
from tests.support.pages import blocks, section
from tests.support.proxy import Exchange, Proxy, answering, forward
from tests.support.server import stored
from tests.support.storages import Make

CDN = "https://cdn.example.com"


@pytest.fixture
def public(bucket: str) -> Callable[..., MinioBackend]:
    def public(**options: Any) -> MinioBackend:
        storage = MinioBackend(bucket, public=True, **options)
        storage.check_bucket_existence()
        return storage

    return public


# Plain links


@pytest.mark.parametrize(
    ("setting", "start"),
    [
        (f"{CDN}/{{bucket}}/", f"{CDN}/BUCKET/"),
        (f"{CDN}/{{bucket}}", f"{CDN}/BUCKET/"),
        ("https://{bucket}.example.com", "https://BUCKET.example.com/"),
        (CDN, f"{CDN}/"),
        ("", "http://SERVER/BUCKET/"),
    ],
)
def test_links_to_a_public_bucket_lead_to_the_public_url(
    make: Make, settings: Any, bucket: str, setting: str, start: str
) -> None:
    settings.MINIO_PUBLIC_URL = setting
    start = start.replace("BUCKET", bucket).replace("SERVER", settings.MINIO_ENDPOINT)
    storage = MinioBackend(bucket, public=True)

    assert storage.url("a b/ü+.txt") == f"{start}a%20b/%C3%BC%2B.txt"
    assert MinioBackend(bucket, public=True, prefix="acme/").url("x") == f"{start}acme/x"
    assert storage.url("") == start
    assert make().url("x").startswith(f"http://{settings.MINIO_ENDPOINT}/{bucket}/x?X-Amz-")


def test_what_a_plain_link_cannot_say_is_signed_for_the_server(public: Any, settings: Any) -> None:
    storage = public(MINIO_PUBLIC_URL=CDN)
    storage.save("x.txt", ContentFile(b"x"))

    assert storage.url("x.txt") == f"{CDN}/x.txt"
    answer = urllib3.request("GET", storage.url("x.txt", filename="own.txt"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="own.txt"'


def test_options_that_are_none_leave_a_link_as_it_is_and_unknown_ones_are_refused(public: Any) -> None:
    for storage in (public(), MinioBackend(public().bucket, public=False)):
        assert storage.url("x.txt", expires=None, filename=None, method="GET") == storage.url("x.txt")
        with pytest.raises(TypeError, match="lifetime"):
            storage.url("x.txt", lifetime=60)


def test_the_public_url_of_flat_settings_is_not_for_another_server(settings: Any, bucket: str) -> None:
    settings.MINIO_PUBLIC_URL = CDN
    settings.MINIO_SERVERS = {
        "eu": {"MINIO_ENDPOINT": "eu.example.com", "MINIO_ACCESS_KEY": "x", "MINIO_SECRET_KEY": "y"}
    }

    storage = MinioBackend(bucket, public=True, server="eu")
    assert storage.url("x") == f"http://eu.example.com/{bucket}/x"


def test_while_files_are_in_memory_links_lead_there(settings: Any) -> None:
    settings.MINIO_PUBLIC_URL, settings.MINIO_URL_SIGNER = CDN, "no.such.signer"
    storage = MinioBackend("logos", public=True, MINIO_ENDPOINT="memory:")

    assert storage.url("x").startswith("/minio-memory/")


def test_a_public_bucket_on_a_server_without_policies_has_signed_links(bucket: str) -> None:
    storage = MinioBackend(bucket, public=True, MINIO_BUCKET_POLICIES=False)
    storage.save("x.txt", ContentFile(b"x"))

    assert urllib3.request("GET", storage.url("x.txt")).data == b"x"
    assert (
        MinioBackend(bucket, public=True, MINIO_BUCKET_POLICIES=False, MINIO_PUBLIC_URL=CDN).url("x")
        == f"{CDN}/x"
    )


# Each tenant's own


class OnOwnDomain(PerTenant):
    def bucket_for(self, model: Any) -> Location:
        return Location(super().bucket_for(model), public_url=current_tenant().name)


def test_each_tenant_has_its_domain_and_a_changed_one_holds_at_once(make_tenant: Any) -> None:
    north, south = make_tenant("north"), make_tenant("south")
    north.name, south.name = "https://media.north.example", "https://south.example/{bucket}"
    router = MinioRouter(strategy=OnOwnDomain(public_read=True))

    with tenant_bucket_context(north):
        assert router.url("x") == "https://media.north.example/x"
    with tenant_bucket_context(south):
        assert router.url("x") == f"https://south.example/{south.schema_name}/x"
    north.name = "https://new.north.example"
    with tenant_bucket_context(north):
        assert router.url("x") == "https://new.north.example/x"


def test_a_domain_of_a_tenant_is_no_place(make_tenant: Any) -> None:
    assert Location.of(Location("north", public_url=CDN)) == Location.of("north")


def test_a_domain_that_is_no_url_is_named(make_tenant: Any) -> None:
    north = make_tenant("north")
    north.name = "media.north.example"

    with (
        tenant_bucket_context(north),
        pytest.raises(ConfigurationError, match=r"'media\.north\.example'\. It takes a URL"),
    ):
        MinioRouter(strategy=OnOwnDomain(public_read=True)).url("x")


def test_one_address_for_all_tenants_buckets_is_refused(acme: Any, settings: Any, bucket: str) -> None:
    settings.MINIO_PUBLIC_URL = CDN
    with tenant_bucket_context(acme):
        with pytest.raises(ConfigurationError, match=r"the same for every bucket of PerTenant\(\)"):
            MinioRouter(strategy=PerTenant()).url("x")
        assert MinioRouter(strategy=FixedBucket(bucket, public_read=True)).url("x") == f"{CDN}/x"
        folder = MinioRouter(strategy=PerTenantPrefix(bucket)).backend.prefix
        assert folder.startswith(acme.schema_name)


# Links that something else signs


def test_a_signer_gets_the_plain_link_and_its_end(make: Make, bucket: str) -> None:
    def sign(url: str, expires: datetime) -> str:
        return f"{url}#{(expires - datetime.now(timezone.utc)).total_seconds():.0f}"

    storage = make(MINIO_PUBLIC_URL=f"{CDN}/{{bucket}}", MINIO_URL_SIGNER=sign)

    url, _, life = storage.url("a b.txt", expires=600).partition("#")
    assert url == f"{CDN}/{bucket}/a%20b.txt"
    assert 600 <= int(life) <= 751
    told = storage.url("x", cache_control="no-store", disposition="inline")
    assert "/x?response-cache-control=no-store&response-content-disposition=inline#" in told
    assert "X-Amz-Signature" in storage.url("x", method="PUT")


def test_active_content_is_downloaded_through_a_signer_too(bucket: str) -> None:
    router = MinioRouter(
        strategy=FixedBucket(bucket, public_read=False), MINIO_URL_SIGNER=lambda url, expires: url
    )

    assert router.url("page.html").endswith("?response-content-disposition=attachment")
    assert router.url("photo.png").endswith("/photo.png")


@pytest.fixture
def cloudfront(tmp_path: Path, settings: Any, bucket: str) -> Iterator[tuple[Proxy, dict[str, Any]]]:
    """What CloudFront does with a link that has a canned policy, and the recipe of the docs for it."""
    key = generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    settings.CLOUDFRONT_KEY_ID, settings.CLOUDFRONT_PRIVATE_KEY = "K2JCJMDEHXQW5F", tmp_path / "key.pem"
    recipe: dict[str, Any] = {}
    exec(blocks(section("docs/servers.md", "Links that a CDN signs"), "python")[1], recipe)
    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        proxy.when(lambda exchange: _as_cloudfront(exchange, proxy, key), times=None)
        yield proxy, recipe


def _as_cloudfront(exchange: Exchange, proxy: Proxy, key: RSAPrivateKey) -> None:
    url = f"http://{proxy.endpoint}{exchange.request.target}"
    asked, _, signed = url.partition("Expires=")
    given = {name: values[0] for name, values in parse_qs(f"Expires={signed}").items()}
    try:
        ends = int(given["Expires"])
        when = {"DateLessThan": {"AWS:EpochTime": ends}}
        policy = {"Statement": [{"Resource": asked[:-1], "Condition": when}]}
        signature = given["Signature"].translate(str.maketrans("-_~", "+=/"))
        text = json.dumps(policy, separators=(",", ":")).encode()
        key.public_key().verify(base64.b64decode(signature), text, PKCS1v15(), SHA1())
    except (KeyError, ValueError, InvalidSignature):
        answering(403)(exchange)
        return
    if datetime.now(timezone.utc).timestamp() > ends or given["Key-Pair-Id"] != "K2JCJMDEHXQW5F":
        answering(403)(exchange)
        return
    exchange.message.start = f"GET {urlsplit(asked[:-1]).path} HTTP/1.1"
    exchange.message.set("Host", proxy.upstream)
    forward(exchange)


def test_the_recipe_for_cloudfront_opens_a_file_until_it_ends(
    cloudfront: tuple[Proxy, dict[str, Any]], public: Any
) -> None:
    proxy, recipe = cloudfront
    public().save("a b/ü.txt", ContentFile(b"content"))
    storage = public(MINIO_PUBLIC_URL=f"http://{proxy.endpoint}/{{bucket}}", MINIO_URL_SIGNER=recipe["sign"])

    link = storage.url("a b/ü.txt", expires=timedelta(minutes=5))
    named = storage.url("a b/ü.txt", filename="report.txt")

    for url in (link, named):
        assert urllib3.request("GET", url, retries=False).data == b"content"
        assert urllib3.request("GET", url.replace("%C3%BC", "x"), retries=False).status == 403
        assert urllib3.request("GET", url.replace("Expires=", "Expires=1"), retries=False).status == 403
    assert link == storage.url("a b/ü.txt", expires=timedelta(minutes=5))
    past = recipe["sign"](link.partition("?")[0], datetime(2020, 1, 1, tzinfo=timezone.utc))
    assert urllib3.request("GET", past, retries=False).status == 403


# What links say and do


def test_a_link_can_say_how_to_keep_and_read_the_file(make: Make) -> None:
    storage = make()
    storage.save("x.txt", ContentFile(b"x"))

    link = storage.url("x.txt", cache_control="private, max-age=60", content_language="de", filename="ü.txt")
    headers = urllib3.request("GET", link).headers

    assert headers["Cache-Control"] == "private, max-age=60"
    assert headers["Content-Language"] == "de"
    assert headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("is_public", [True, False])
def test_a_link_for_put_stores_what_is_sent_and_nothing_else(
    bucket: str, bare: Minio, is_public: bool
) -> None:
    storage = MinioBackend(bucket, public=is_public)

    link = storage.url("a b.txt", method="PUT", expires=60)

    assert urllib3.request("PUT", link, body=b"sent", headers=NO_COPY).status == 200
    assert stored(bare, bucket, "a b.txt") == b"sent"
    assert urllib3.request("GET", link).status in {400, 403}
    assert urllib3.request("PUT", storage.url("x", expires=60), body=b"sent").status == 403


def test_a_link_for_put_copies_nothing(bucket: str, bare: Minio) -> None:
    secret = bare.put_object(bucket_name=bucket, object_name="secret", data=io.BytesIO(b"12345"), length=5)
    link = MinioBackend(bucket, public=False).url("copy", method="PUT", expires=60)
    source = {"x-amz-copy-source": f"/{bucket}/secret"}

    for headers in (
        source,
        {**source, **NO_COPY},
        {**source, "x-amz-copy-source-if-match": str(secret.etag)},
    ):
        assert urllib3.request("PUT", link, headers=headers).status >= 400
    assert urllib3.request("PUT", link, body=b"sent").status >= 400  # the header is part of the signature


def test_another_method_and_headers_of_no_answer_are_errors(make: Make) -> None:
    with pytest.raises(ValueError, match=r"'DELETE'. Use 'GET' or 'PUT'"):
        make().url("x", method="DELETE")
    with pytest.raises(ValueError, match="Leave them out"):
        make().url("x", method="PUT", filename="y")
