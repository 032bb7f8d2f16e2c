"""Secrets are shown nowhere: not in a repr, a log, an error, a check, a dry run, a debug page or a pickle."""

from __future__ import annotations

import copy
import io
import logging
import os
import pickle
import pprint
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import RequestFactory, override_settings
from django.views.debug import ExceptionReporter
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.credentials.providers import LdapIdentityProvider, StaticProvider, WebIdentityProvider
from urllib3 import PoolManager

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.strategies import FixedBucket
from tests.support.proxy import Proxy, answering, drop_answer

from .conftest import options_for
from .operations import OPERATIONS

urlpatterns: list[object] = []  # debug pages look for some

ACCESS = "ACCESS4CANARY"
SECRET = "secret-canary-5b1f"
TOKEN = "token-canary-77c0"
PASSWORD = "password-canary-9e2d"
KEYS = {"MINIO_ACCESS_KEY": ACCESS, "MINIO_SECRET_KEY": SECRET}


def shown(text: str) -> list[str]:
    """Return the secrets that the text shows."""
    return [secret for secret in (SECRET, TOKEN, PASSWORD, os.environ["MINIO_SECRET_KEY"]) if secret in text]


class Temporary(StaticProvider):
    """Keys as an STS gives them, with a token."""

    def __init__(self) -> None:
        super().__init__(ACCESS, SECRET, TOKEN)


@pytest.fixture
def storage(proxy: Proxy) -> MinioBackend:
    """A storage with secrets of every kind, and answers that refuse them, or get lost."""
    proxy.when(drop_answer, where=lambda request: request.path.startswith("/lost"), times=None)
    return MinioBackend(
        "documents", **{**options_for(proxy.endpoint), **KEYS, "MINIO_CREDENTIALS": Temporary()}
    )


# Objects


def test_no_repr_shows_a_secret(storage: MinioBackend) -> None:
    storage.url("a.txt")
    router = MinioRouter(strategy=FixedBucket("documents"), **KEYS, MINIO_ENDPOINT="127.0.0.1:9000")
    client = storage.objects.client
    signer = client._signer
    signer.authorize("GET", "/", "", {}, "")

    for value in (
        storage,
        router,
        storage.config,
        storage.config.internal,
        storage.objects,
        client,
        signer,
        signer._last,
        signer.keys(),
        signer.authorize("GET", "/", "", {}, ""),
        vars(client),
    ):
        assert not shown(repr(value)), type(value)
        assert not shown(pprint.pformat(value)), type(value)


def test_no_pickle_holds_a_secret() -> None:
    with override_settings(**KEYS, MINIO_ENDPOINT="127.0.0.1:9000", MINIO_PRIVATE_BUCKETS=["documents"]):
        for storage in (
            MinioBackend("documents"),
            MinioBackend("documents", replace_existing=True, metadata={"a": "b"}, prefix="folder"),
            MinioRouter(strategy=FixedBucket("documents")),
            MinioRouter(),
        ):
            storage.url("a.txt")

            data = pickle.dumps(storage)

            assert not shown(repr(data))
            fresh = pickle.loads(data)
            assert fresh.url("a.txt") == storage.url("a.txt")


def test_a_storage_with_keys_of_its_own_refuses_to_be_pickled() -> None:
    for storage in (
        MinioBackend("documents", **KEYS, MINIO_ENDPOINT="127.0.0.1:9000"),
        MinioBackend("documents", MINIO_CREDENTIALS=Temporary(), MINIO_ENDPOINT="127.0.0.1:9000"),
        MinioRouter(strategy=FixedBucket("documents"), **KEYS, MINIO_ENDPOINT="127.0.0.1:9000"),
    ):
        with pytest.raises(pickle.PicklingError, match="MINIO_SERVERS"):
            pickle.dumps(storage)


def test_a_storage_with_keys_of_its_own_can_be_copied() -> None:
    for storage in (
        MinioBackend("documents", **KEYS, MINIO_ENDPOINT="127.0.0.1:9000"),
        MinioRouter(
            strategy=FixedBucket("documents", public_read=False), **KEYS, MINIO_ENDPOINT="127.0.0.1:9000"
        ),
    ):
        link = storage.url("a.txt")

        assert copy.copy(storage).url("a.txt") == link
        assert copy.deepcopy(storage).url("a.txt") == link


# Logs


@pytest.fixture
def log() -> Iterator[Callable[[int], str]]:
    """Everything that anybody logs, from a level up."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = records.append  # type: ignore[method-assign]
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)

    def text(level: int = logging.DEBUG) -> str:
        return "\n".join(f"{r.getMessage()} {r.args!r}" for r in records if r.levelno >= level)

    yield text
    root.removeHandler(handler)
    root.setLevel(before)
    logging.getLogger("urllib3").setLevel(logging.NOTSET)


def test_no_operation_logs_a_secret(log: Callable[..., str], bare: Minio, bucket: str, proxy: Proxy) -> None:
    storage = MinioBackend(bucket, **options_for(proxy.endpoint))
    for name, content in (("old.bin", b"old"), ("large.bin", b"large")):
        storage.save(name, ContentFile(content))
    links = [storage.url("old.bin"), storage.url("old.bin", filename="old.txt", expires=60)]
    for harm in (None, drop_answer, answering(503)):
        for operation in OPERATIONS:
            if harm is not None:
                proxy.when(harm)
            operation.run(storage)
    call_command("initialize_buckets", "--dry-run", verbosity=3, stdout=io.StringIO())

    assert "GET /" in log(), "urllib3 logs nothing, so nothing is proved"
    assert not shown(log())
    assert "Authorization" not in log()
    assert "X-Amz-Signature" not in log(logging.INFO)
    assert not [link for link in links if link.partition("X-Amz-Signature=")[2] in log()]


# Errors and the pages that show them


def unreachable(storage: MinioBackend) -> None:
    MinioBackend("documents", **KEYS, MINIO_ENDPOINT="127.0.0.1:1", MINIO_RETRIES=0).exists("a.txt")


def unreachable_with_a_token(storage: MinioBackend) -> None:
    MinioBackend(
        "documents", MINIO_CREDENTIALS=Temporary(), MINIO_ENDPOINT="127.0.0.1:1", MINIO_RETRIES=1
    ).exists("a")


def answer_lost_on_the_way(storage: MinioBackend) -> None:
    endpoint = storage.config.internal.endpoint
    MinioBackend("lost", MINIO_CREDENTIALS=Temporary(), MINIO_ENDPOINT=endpoint).open("a.txt").read()


def list_lost_on_the_way(storage: MinioBackend) -> None:
    endpoint = storage.config.internal.endpoint
    MinioBackend("lost", MINIO_CREDENTIALS=Temporary(), MINIO_ENDPOINT=endpoint).listdir()


def wrong_key(storage: MinioBackend) -> None:
    MinioBackend("documents", **{**options_for(storage.config.internal.endpoint), **KEYS}).exists("a.txt")


def wrong_token(storage: MinioBackend) -> None:
    storage.open("a.txt")


def refused_save(storage: MinioBackend) -> None:
    storage.save("a.txt", ContentFile(b"a"))


def refused_save_in_parts(storage: MinioBackend) -> None:
    storage.save("a.txt", ContentFile(bytes(9_000_000)))


def refused_list(storage: MinioBackend) -> None:
    storage.listdir()


def unknown_option(storage: MinioBackend) -> None:
    MinioBackend("documents", **KEYS, MINIO_SECRETKEY=SECRET)


def unknown_alias(storage: MinioBackend) -> None:
    MinioBackend("documents", storage_name="nowhere").exists("a.txt")


def unknown_server(storage: MinioBackend) -> None:
    MinioBackend("documents", server="nowhere").exists("a.txt")


def unknown_setting_of_server(storage: MinioBackend) -> None:
    misspelt = {"MINIO_ENDPOINT": "127.0.0.1:9000", **KEYS, "MINIO_REGIO": "eu"}
    with override_settings(MINIO_SERVERS={"misspelt": misspelt}):
        del misspelt  # a page shows the variables of this function too
        MinioBackend("documents", server="misspelt").exists("a.txt")


def password_in_endpoint(storage: MinioBackend) -> None:
    MinioBackend("documents", **KEYS, MINIO_ENDPOINT=f"https://user:{PASSWORD}@127.0.0.1").exists("a.txt")


def key_of_wrong_type(storage: MinioBackend) -> None:
    MinioBackend("documents", **{**KEYS, "MINIO_SECRET_KEY": SECRET.encode()}).exists("a.txt")


def missing_key(storage: MinioBackend) -> None:
    with override_settings(MINIO_ACCESS_KEY=""):
        MinioBackend("documents", MINIO_SECRET_KEY=SECRET, MINIO_ENDPOINT="127.0.0.1:1").exists("a.txt")


def bad_provider(storage: MinioBackend) -> None:
    MinioBackend("documents", MINIO_CREDENTIALS=Failing()).exists("a.txt")


def ldap() -> LdapIdentityProvider:
    pool = PoolManager(retries=0)
    return LdapIdentityProvider("http://127.0.0.1:1", "user", PASSWORD, http_client=pool)


def identity_service_away(storage: MinioBackend) -> None:
    MinioBackend("documents", MINIO_CREDENTIALS=ldap()).exists("a.txt")


def identity_service_away_from_the_sdk(storage: MinioBackend) -> None:
    MinioBackend("documents", MINIO_CREDENTIALS=ldap()).listdir()


def refused_by_the_identity_service(storage: MinioBackend) -> None:
    provider = WebIdentityProvider(
        jwt_provider_func=lambda: {"access_token": TOKEN},
        sts_endpoint=storage.config.internal.base_url,
    )
    MinioBackend("documents", MINIO_CREDENTIALS=provider).exists("a.txt")


def undeclared_bucket(storage: MinioBackend) -> None:
    MinioBackend("nowhere-declared").exists("a.txt")


def wrong_strategy(storage: MinioBackend) -> None:
    MinioRouter(strategy="no.such.Strategy", **KEYS)


class Failing(Temporary):
    """A provider that holds secrets and cannot give them."""

    def retrieve(self) -> Credentials:
        raise ValueError("the token service is away")


FAILURES = [
    unreachable,
    unreachable_with_a_token,
    answer_lost_on_the_way,
    list_lost_on_the_way,
    wrong_key,
    wrong_token,
    refused_save,
    refused_save_in_parts,
    refused_list,
    unknown_option,
    unknown_alias,
    unknown_server,
    unknown_setting_of_server,
    password_in_endpoint,
    key_of_wrong_type,
    missing_key,
    bad_provider,
    identity_service_away,
    identity_service_away_from_the_sdk,
    refused_by_the_identity_service,
    undeclared_bucket,
    wrong_strategy,
]
SETTINGS_WITH_SECRETS = {
    **KEYS,
    "MINIO_SERVERS": {
        "eu": {"MINIO_ENDPOINT": "127.0.0.1:9000", **KEYS},
    },
    "MINIO_CREDENTIALS": None,
    "STORAGES": {
        "default": {
            "BACKEND": "django_minio_router.MinioBackend",
            "OPTIONS": {**KEYS, "bucket_name": "documents"},
        },
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    },
}


@pytest.fixture(params=FAILURES, ids=lambda failure: failure.__name__)
def exc_info(request: pytest.FixtureRequest, storage: MinioBackend) -> Iterator[Any]:
    with override_settings(**SETTINGS_WITH_SECRETS):
        try:
            request.param(storage)
        except Exception:
            yield sys.exc_info()
        else:
            pytest.fail("nothing was raised")


def test_no_error_tells_a_secret(exc_info: Any) -> None:
    assert not shown("".join(traceback.format_exception(*exc_info)))
    assert not shown(repr(exc_info[1]) + repr(vars(exc_info[1])))


@pytest.mark.parametrize("debug", [True, False], ids=["debug page", "mail to admins"])
def test_no_debug_page_shows_a_secret(debug: bool, exc_info: Any) -> None:
    with override_settings(DEBUG=debug, ROOT_URLCONF=__name__):
        reporter = ExceptionReporter(RequestFactory().get("/"), *exc_info)
        pages = reporter.get_traceback_html() + reporter.get_traceback_text()

    assert "django_minio_router" in pages
    for secret in shown(pages):
        at = pages.index(secret)
        pytest.fail(f"the page shows {secret!r}: {pages[max(0, at - 1500) : at + 100]}")


# Commands


def test_no_check_tells_a_secret(storage: MinioBackend) -> None:
    wrong = {
        **SETTINGS_WITH_SECRETS,
        "MINIO_ENDPOINT": f"https://user:{PASSWORD}@127.0.0.1/path",
        "MINIO_EXTERNAL_ENDPOINT": f"user:{PASSWORD}@127.0.0.1:123456",
        "MINIO_SECRET_KEY": SECRET.encode(),
        "MINIO_PRIVATE_BUCKETS": ["both"],
        "MINIO_PUBLIC_BUCKETS": ["both"],
    }
    told = io.StringIO()
    with override_settings(**wrong), pytest.raises(SystemCheckError) as raised:
        call_command("check", deploy=True, stdout=told, stderr=told)

    assert "minio_router.E003" in str(raised.value)
    assert not shown(told.getvalue() + str(raised.value))


@pytest.mark.parametrize("flags", [["--dry-run"], ["--check"], []], ids=["dry run", "check", "run"])
def test_no_run_of_initialize_buckets_tells_a_secret(flags: list[str], proxy: Proxy) -> None:
    told = io.StringIO()
    with (
        override_settings(
            **SETTINGS_WITH_SECRETS, MINIO_ENDPOINT=proxy.endpoint, MINIO_PRIVATE_BUCKETS=["documents"]
        ),
        pytest.raises(CommandError) as raised,
    ):
        call_command("initialize_buckets", *flags, verbosity=3, stdout=told, stderr=told)

    assert "403" in told.getvalue() + str(raised.value)
    assert not shown(told.getvalue() + str(raised.value))
