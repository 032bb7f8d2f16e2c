"""Links: what they open, for how long, what the browser is told, and where they point."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from django.core.files.base import ContentFile
from minio import Minio

from django_minio_router import ConfigurationError, MinioBackend
from tests.support.proxy import Proxy
from tests.support.server import names_in
from tests.support.storages import Make, keys

NAMES = [
    "plain.txt",
    "a folder/with spaces.txt",
    "a+b=c&d;e,f.txt",
    "100%.txt",
    "%41.txt",
    "what?.txt",
    "#hash#.txt",
    "ü/日本/\N{GRINNING FACE}.txt",
    "e\N{COMBINING ACUTE ACCENT}.txt",
    "quote'\"<>|*:@!$()[]{}^`~.txt",
    " space at both ends ",
]
DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def browser() -> Iterator[urllib3.PoolManager]:
    """A plain HTTP client, which knows nothing of S3."""
    with urllib3.PoolManager(retries=False) as browser:
        yield browser


@pytest.fixture
def public(bucket: str) -> MinioBackend:
    storage = MinioBackend(bucket, public=True)
    storage.check_bucket_existence()
    return storage


def parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def signed_at(url: str) -> datetime:
    text = parameters(url)["X-Amz-Date"]
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def end_of(url: str) -> datetime:
    return signed_at(url) + timedelta(seconds=int(parameters(url)["X-Amz-Expires"]))


# What they open


@pytest.mark.parametrize("name", NAMES)
def test_public_links_are_plain_and_open_for_anybody(
    public: MinioBackend, browser: urllib3.PoolManager, name: str
) -> None:
    saved = public.save(name, ContentFile(name.encode()))

    url = public.url(saved)

    assert "?" not in url
    assert browser.request("GET", url).data == name.encode()


@pytest.mark.parametrize("name", NAMES)
def test_signed_links_open_for_anybody(
    storage: MinioBackend, browser: urllib3.PoolManager, name: str
) -> None:
    saved = storage.save(name, ContentFile(name.encode()))

    assert browser.request("GET", storage.url(saved)).data == name.encode()


def test_without_the_signature_a_private_object_stays_private(
    storage: MinioBackend, browser: urllib3.PoolManager
) -> None:
    url = storage.url(storage.save("x.txt", ContentFile(b"x")))

    assert browser.request("GET", url.partition("?")[0]).status == 403


def test_a_link_opens_one_object_in_one_way(
    storage: MinioBackend, bare: Minio, bucket: str, new_name: Any, browser: urllib3.PoolManager
) -> None:
    storage.save("y.txt", ContentFile(b"y"))
    url = storage.url(storage.save("x.txt", ContentFile(b"x")))
    life = parameters(url)["X-Amz-Expires"]
    other = new_name("other")
    bare.make_bucket(bucket_name=other)
    MinioBackend(other, public=False).save("x.txt", ContentFile(b"other"))
    changed = {
        "name": url.replace("/x.txt", "/y.txt"),
        "bucket": url.replace(f"/{bucket}/", f"/{other}/"),
        "life": url.replace(f"X-Amz-Expires={life}", "X-Amz-Expires=604799"),
        "date": url.replace(parameters(url)["X-Amz-Date"], "20990101T000000Z"),
        "answer": f"{url}&response-content-type=text/html",
        "signature": url[:-1] + ("0" if url[-1] != "0" else "1"),
    }

    assert browser.request("GET", url).status == 200
    for what, link in changed.items():
        assert link != url
        answer = browser.request("GET", link)
        assert (what, answer.status) == (what, 403)
    for method in ("PUT", "DELETE", "POST"):
        assert browser.request(method, url).status in (400, 403, 405)
    assert names_in(bare, bucket) == ["x.txt", "y.txt"]


def test_a_link_is_dead_when_its_life_is_over(storage: MinioBackend, browser: urllib3.PoolManager) -> None:
    url = storage.url(storage.save("x.txt", ContentFile(b"x")), expires=1)
    assert browser.request("GET", url).status == 200

    deadline = time.monotonic() + 20
    while browser.request("GET", url).status == 200:
        assert time.monotonic() < deadline, "the link never died"

    assert browser.request("GET", url).status == 403
    assert datetime.now(timezone.utc) >= end_of(url) - timedelta(seconds=1)


# How long they live


@pytest.mark.parametrize(
    "asked", [timedelta(seconds=1), timedelta(seconds=1.5), timedelta(minutes=1), timedelta(hours=1), DAY]
)
def test_a_link_never_lives_shorter_than_asked(make: Make, asked: timedelta) -> None:
    by_call, by_setting = make(), make(MINIO_URL_EXPIRY_HOURS=asked)

    for _ in range(50):
        for url in (by_call.url("x", expires=asked), by_setting.url("x")):
            assert end_of(url) >= datetime.now(timezone.utc) + asked
            assert int(parameters(url)["X-Amz-Expires"]) <= WEEK.total_seconds()


def test_seconds_will_do_as_well(storage: MinioBackend) -> None:
    assert storage.url("x", expires=60) == storage.url("x", expires=timedelta(minutes=1))


def test_seven_days_are_the_longest_life_and_the_default(storage: MinioBackend) -> None:
    window = timedelta(minutes=15)

    assert end_of(storage.url("x")) >= datetime.now(timezone.utc) + WEEK - window
    assert parameters(storage.url("x", expires=WEEK))["X-Amz-Expires"] == "604800"


@pytest.mark.parametrize("asked", [timedelta(0), timedelta(seconds=-1), WEEK + timedelta(seconds=1)])
def test_a_life_that_s3_does_not_sign_is_an_error(make: Make, asked: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="MINIO_URL_EXPIRY_HOURS or 'expires'"):
        make().url("x", expires=asked)
    with pytest.raises(ConfigurationError, match="MINIO_URL_EXPIRY_HOURS"):
        make(MINIO_URL_EXPIRY_HOURS=asked).url("x")


@pytest.mark.parametrize("asked", ["soon", float("nan"), float("inf")])
def test_a_life_that_is_no_time_is_refused_by_its_name(storage: MinioBackend, asked: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"A link cannot live for .* 'expires'"):
        storage.url("x", expires=asked)


class Clock:
    """The time as the storage sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0 - 1_700_000_000 % 900
        monkeypatch.setattr("django_minio_router.storage.links.time.time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_link_stays_the_same_within_its_window(make: Make, clock: Clock) -> None:
    storage = make(MINIO_URL_WINDOW=timedelta(minutes=10))
    clock.now -= clock.now % 600

    first = storage.url("x", expires=DAY)
    clock.now += 599.9
    assert storage.url("x", expires=DAY) == first
    clock.now += 0.2
    assert storage.url("x", expires=DAY) != first


def test_the_default_link_stays_the_same_within_its_window_too(make: Make, clock: Clock) -> None:
    storage = make()

    first = storage.url("x")
    clock.now += 899.9
    assert storage.url("x") == first
    clock.now += 0.2
    assert storage.url("x") != first


def test_all_processes_give_the_same_link_within_a_window(make: Make, clock: Clock) -> None:
    first = make().url("x")
    clock.now += 300

    assert make().url("x") == first


def test_without_a_window_each_second_has_its_link(make: Make, clock: Clock) -> None:
    storage = make(MINIO_URL_WINDOW=timedelta(0))

    first = storage.url("x", expires=DAY)
    clock.now += 1
    assert storage.url("x", expires=DAY) != first


def test_a_window_takes_no_more_than_a_quarter_of_a_short_life(make: Make, clock: Clock) -> None:
    storage = make(MINIO_URL_WINDOW=timedelta(hours=1))

    for second in range(0, 120, 7):
        clock.now += second
        url = storage.url("x", expires=60)
        assert 60 <= end_of(url).timestamp() - clock.now <= 75


# What the browser is told


def test_a_link_can_name_the_file_to_download(storage: MinioBackend, browser: urllib3.PoolManager) -> None:
    storage.save("0a1b.bin", ContentFile(b"x"))

    answer = browser.request("GET", storage.url("0a1b.bin", filename='Jahres "Bericht" 2026.pdf'))

    assert answer.status == 200
    expected = r'attachment; filename="Jahres \"Bericht\" 2026.pdf"'
    assert answer.headers["Content-Disposition"] == expected


def test_the_name_to_download_may_hold_any_character(
    storage: MinioBackend, browser: urllib3.PoolManager
) -> None:
    storage.save("x.bin", ContentFile(b"x"))

    answer = browser.request("GET", storage.url("x.bin", filename="Übersicht 日本.pdf"))

    assert answer.headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''%C3%9Cbersicht%20%E6%97%A5%E6%9C%AC.pdf"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"disposition": "attachment"}, "attachment"),
        ({"disposition": "inline"}, "inline"),
        ({"disposition": "inline", "filename": "a.pdf"}, 'inline; filename="a.pdf"'),
    ],
)
def test_a_link_can_say_whether_to_show_or_to_download(
    storage: MinioBackend, browser: urllib3.PoolManager, options: dict[str, str], expected: str
) -> None:
    storage.save("x.txt", ContentFile(b"x"))

    assert browser.request("GET", storage.url("x.txt", **options)).headers["Content-Disposition"] == expected


def test_another_disposition_is_an_error(storage: MinioBackend) -> None:
    with pytest.raises(ValueError, match="'inline' or 'attachment'"):
        storage.url("x", disposition="popup")


def test_a_link_can_give_the_content_type(storage: MinioBackend, browser: urllib3.PoolManager) -> None:
    storage.save("x", ContentFile(b"x"))

    answer = browser.request("GET", storage.url("x", content_type="text/csv; charset=utf-8"))

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_on_a_public_bucket_such_a_link_is_signed(public: MinioBackend, browser: urllib3.PoolManager) -> None:
    public.save("x.txt", ContentFile(b"x"))

    answer = browser.request("GET", public.url("x.txt", filename="own.txt"))

    assert answer.headers["Content-Disposition"] == 'attachment; filename="own.txt"'


# Where they point


def external(make: Make, endpoint: str, **options: Any) -> MinioBackend:
    return make(MINIO_EXTERNAL_ENDPOINT=endpoint, **options)


@pytest.fixture
def gateway() -> Iterator[Proxy]:
    """A proxy as browsers see the server: under another address, below a path."""
    import os

    with Proxy(os.environ["MINIO_ENDPOINT"], prefix="/files") as proxy:
        yield proxy


def test_links_are_for_the_external_endpoint_and_requests_are_not(
    make: Make, settings: Any, gateway: Proxy, browser: urllib3.PoolManager
) -> None:
    storage = make(
        MINIO_ENDPOINT=settings.MINIO_ENDPOINT, MINIO_EXTERNAL_ENDPOINT=f"{gateway.endpoint}/files", **keys()
    )
    storage.save("a/ü +.txt", ContentFile(b"content"))
    assert gateway.connections == 0

    url = storage.url("a/ü +.txt")

    assert url.startswith(f"http://{gateway.endpoint}/files/{storage.bucket}/a/")
    assert browser.request("GET", url).data == b"content"
    assert gateway.connections == 1


def test_public_links_are_for_the_external_endpoint_too(
    public: MinioBackend, bucket: str, gateway: Proxy, browser: urllib3.PoolManager, settings: Any
) -> None:
    public.save("a/ü +.txt", ContentFile(b"content"))
    settings.MINIO_EXTERNAL_ENDPOINT = f"http://{gateway.endpoint}/files/"

    url = public.url("a/ü +.txt")

    assert url.startswith(f"http://{gateway.endpoint}/files/{bucket}/a/")
    assert browser.request("GET", url).data == b"content"


@pytest.mark.parametrize(
    ("endpoint", "use_https", "expected"),
    [
        ("files.example.com", True, "https://files.example.com/"),
        ("files.example.com", False, "http://files.example.com/"),
        ("files.example.com", None, "http://files.example.com/"),
        ("https://files.example.com", None, "https://files.example.com/"),
        ("files.example.com:8443", True, "https://files.example.com:8443/"),
        ("example.com/files", True, "https://example.com/files/"),
        ("[2001:db8::1]:9000", False, "http://[2001:db8::1]:9000/"),
        ("https://Files.Example.com/Below", None, "https://files.example.com/Below/"),
    ],
)
def test_the_external_endpoint_is_written_in_several_ways(
    storage: MinioBackend, settings: Any, endpoint: str, use_https: bool | None, expected: str
) -> None:
    settings.MINIO_EXTERNAL_ENDPOINT = endpoint
    settings.MINIO_EXTERNAL_ENDPOINT_USE_HTTPS = use_https

    assert storage.url("x.txt").startswith(f"{expected}{storage.bucket}/x.txt?X-Amz-Algorithm=")
    assert storage.base_url_external == expected.rstrip("/")


def test_a_host_in_capital_letters_is_signed_as_browsers_send_it(
    storage: MinioBackend, settings: Any, browser: urllib3.PoolManager
) -> None:
    storage.save("x.txt", ContentFile(b"content"))
    port = settings.MINIO_ENDPOINT.rpartition(":")[2]
    settings.MINIO_EXTERNAL_ENDPOINT = f"LocalHost:{port}"

    assert browser.request("GET", storage.url("x.txt")).data == b"content"


def test_an_external_link_is_signed_for_what_the_server_will_see(
    storage: MinioBackend, settings: Any, bare: Minio
) -> None:
    settings.MINIO_EXTERNAL_ENDPOINT = "https://files.example.com:443/below/a/path"
    url = storage.url("ü x.txt", expires=DAY)
    outside = Minio(
        endpoint="files.example.com",
        access_key=settings.MINIO_ACCESS_KEY,
        secret_key=settings.MINIO_SECRET_KEY,
        region="us-east-1",
    )

    expected = outside.get_presigned_url(
        "GET",
        storage.bucket,
        "ü x.txt",
        expires=timedelta(seconds=int(parameters(url)["X-Amz-Expires"])),
        request_date=signed_at(url),
    )

    assert parameters(url)["X-Amz-Signature"] == parameters(expected)["X-Amz-Signature"]


def test_links_take_no_request(through: Make, proxy: Proxy) -> None:
    storage = through()

    storage.url("x.txt")
    storage.url("x.txt", filename="y.txt")

    assert proxy.requests == []


def test_the_region_of_the_settings_is_signed(storage: MinioBackend, settings: Any) -> None:
    settings.MINIO_REGION = "eu-central-1"

    assert "/eu-central-1/s3/aws4_request" in parameters(storage.url("x"))["X-Amz-Credential"]
