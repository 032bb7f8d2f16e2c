"""The signature is the SDK's own, for names, options, keys and places of any kind."""

from __future__ import annotations

import string
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider, StaticProvider

from django_minio_router import MinioBackend
from django_minio_router.exceptions import ServerError
from django_minio_router.naming import MAX_OBJECT_NAME
from django_minio_router.s3.keys import Keys
from django_minio_router.s3.signing import Signer
from django_minio_router.settings.declared import MAX_EXPIRY
from tests.support.scale import scale

BUCKET = "signed-names"
KEYS = StaticProvider("an-access-key", "a secret/key+with=signs")
PAIR = Keys("an-access-key", "a secret/key+with=signs")
TOKENS = StaticProvider("an-access-key", "a-secret-key", "a token/with+signs==")
DAY = 24 * 60 * 60

segments = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1)
object_names = (
    st.lists(segments.filter(lambda segment: segment not in {".", ".."}), min_size=1, max_size=5)
    .map("/".join)
    .filter(lambda name: len(name.encode()) <= MAX_OBJECT_NAME)
    .filter(str.strip)  # the SDK takes a blank name for an empty one
)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
places = st.sampled_from(
    [
        ("files.example.com", True, "us-east-1"),
        ("files.example.com:443", True, "us-east-1"),
        ("files.example.com:9000", False, "eu-central-1"),
        ("files.example.com:80", False, "eu-central-1"),
        ("127.0.0.1:9000", False, "garage"),
        ("[::1]:9000", False, "us-east-1"),
    ]
)


def storage_at(place: tuple[str, bool, str], provider: Provider) -> MinioBackend:
    endpoint, use_https, region = place
    return MinioBackend(
        BUCKET,
        public=False,
        MINIO_ENDPOINT=endpoint,
        MINIO_USE_HTTPS=use_https,
        MINIO_REGION=region,
        MINIO_CREDENTIALS=provider,
    )


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def sdk_link(url: str, place: tuple[str, bool, str], provider: Provider, name: str) -> str:
    """Return the link that the SDK makes for the same object, at the same time and with the same options."""
    endpoint, use_https, region = place
    query = query_of(url)
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    sdk = Minio(endpoint=endpoint, credentials=provider, secure=use_https, region=region)
    return sdk.get_presigned_url(
        method="GET",
        bucket_name=BUCKET,
        object_name=name,
        expires=timedelta(seconds=int(query["X-Amz-Expires"])),
        request_date=signed_at,
        extra_query_params={key: value for key, value in query.items() if key.startswith("response-")},
    )


@settings(max_examples=scale(200, 1000), deadline=None)
@given(
    name=object_names,
    expires=st.none() | st.integers(1, MAX_EXPIRY),
    filename=texts,
    content_type=texts,
    disposition=st.sampled_from([None, "inline", "attachment"]),
    place=places,
    provider=st.sampled_from([KEYS, TOKENS]),
)
@example("a b+c%41", None, None, None, None, ("files.example.com", True, "us-east-1"), TOKENS)
def test_links_carry_the_signature_of_the_sdk(
    name: str,
    expires: int | None,
    filename: str | None,
    content_type: str | None,
    disposition: str | None,
    place: tuple[str, bool, str],
    provider: Provider,
) -> None:
    storage = storage_at(place, provider)

    url = storage.url(
        name, expires=expires, filename=filename, content_type=content_type, disposition=disposition
    )

    theirs = sdk_link(url, place, provider, name)
    assert query_of(url) == query_of(theirs)
    assert urlsplit(url).path == urlsplit(theirs).path


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4_000_000_000), st.sampled_from("abc")), min_size=2, max_size=6))
def test_what_is_kept_from_one_signature_never_shows_in_another(uses: list[tuple[int, str]]) -> None:
    kept = Signer("files.example.com", "us-east-1", lambda: PAIR)

    for at, name in uses:
        anew = Signer("files.example.com", "us-east-1", lambda: PAIR)
        link = kept.presign("GET", f"/b/{name}", expires=60, at=at)
        assert link == anew.presign("GET", f"/b/{name}", expires=60, at=at)


class Rotating(Provider):
    """Keys that change, as temporary ones do."""

    def __init__(self) -> None:
        self.keys = Credentials("first", "first-secret", "first-token")

    def retrieve(self) -> Credentials:
        return self.keys


@pytest.mark.parametrize(
    "changed",
    [
        Credentials("second", "first-secret", "first-token"),
        Credentials("first", "second-secret", "first-token"),
        Credentials("first", "first-secret", "second-token"),
        Credentials("first", "first-secret", None),
    ],
)
def test_new_keys_are_used_at_once(changed: Credentials) -> None:
    provider = Rotating()
    place = ("files.example.com", True, "us-east-1")
    storage = storage_at(place, provider)
    old = storage.url("x", expires=DAY)

    provider.keys = changed

    new = storage.url("x", expires=DAY)
    assert new != old
    theirs = sdk_link(new, place, provider, "x")
    assert query_of(new) == query_of(theirs)


class Broken(Provider):
    def retrieve(self) -> Credentials:
        raise ValueError("the metadata service is down")


def test_a_provider_that_has_no_keys_is_named_with_the_type_of_its_error() -> None:
    storage = storage_at(("files.example.com", True, "us-east-1"), Broken())

    for use in (storage.url, storage.exists, storage.open, storage.delete):
        with pytest.raises(ServerError, match=r"MINIO_CREDENTIALS, Broken, gave no keys: ValueError"):
            use("x")


def test_a_secret_is_in_no_representation() -> None:
    storage = storage_at(("files.example.com", True, "us-east-1"), KEYS)
    storage.url("x")
    client = storage.objects.client

    for thing in (storage, storage.objects, client, client.server, storage.config):
        assert "a secret/key" not in repr(thing)


def test_any_ascii_name_is_quoted_as_the_sdk_does() -> None:
    name = "".join(sorted(set(string.printable) - set(string.whitespace) - set("\\/")))
    place = ("files.example.com", True, "us-east-1")

    url = storage_at(place, KEYS).url(name)

    assert url == sdk_link(url, place, KEYS, name)
