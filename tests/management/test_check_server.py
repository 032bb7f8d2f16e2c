"""``manage.py check_server``: what it says of the server of the run, and of servers that lack something."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_minio_router import MinioBackend
from django_minio_router.buckets.abilities import PROBES
from django_minio_router.provisioning.server_check import CONSEQUENCES
from tests.apps.docs.models import Receipt
from tests.support.proxy import Exchange, Proxy, answering, without
from tests.support.storages import keys


def checked(*arguments: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("check_server", "--json", *arguments, stdout=out)
    return json.loads(out.getvalue())


def lacking(found: list[dict[str, Any]]) -> set[str]:
    return {entry["name"] for entry in found if not entry["is_there"]}


@cache
def lacking_here() -> set[str]:
    """Return what the server of the run lacks."""
    return lacking(checked())


@pytest.fixture
def behind(proxy: Proxy, project: Any) -> Proxy:
    """A project whose server is behind the proxy."""
    project.MINIO_ENDPOINT = proxy.endpoint
    return proxy


def not_implemented(query: str) -> Callable[[Proxy], None]:
    refusal = answering(501, b"<Error><Code>NotImplemented</Code></Error>", Content_Type="application/xml")
    return lambda proxy: proxy.when(refusal, where=lambda r: query in r.query, times=None)


def ignoring(*headers: str) -> Callable[[Proxy], None]:
    return lambda proxy: proxy.when(without(*headers), times=None)


def whole_answers(proxy: Proxy) -> None:
    proxy.when(without("Range"), times=None)


def late(proxy: Proxy) -> None:
    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        answer.set("Date", "Wed, 01 Jan 2020 00:00:00 GMT")
        exchange.relay(answer)

    proxy.when(action, times=None)


def test_every_ability_has_a_meaning() -> None:
    assert list(CONSEQUENCES) == list(PROBES)


@pytest.mark.parametrize(
    ("lack", "names"),
    [
        (ignoring("If-None-Match"), {"conditional PUT", "conditional complete"}),
        (ignoring("If-Match"), {"conditional DELETE"}),
        (not_implemented("policy"), {"policies"}),
        (not_implemented("cors"), {"CORS"}),
        (not_implemented("lifecycle"), {"lifecycle"}),
        (not_implemented("tagging"), {"tags"}),
        (not_implemented("encryption"), {"encryption"}),
        (not_implemented("object-lock"), {"object lock"}),
        (whole_answers, {"range"}),
        (late, {"clock"}),
    ],
)
def test_each_lack_is_found_and_no_other(
    behind: Proxy, project: Any, lack: Callable[[Proxy], None], names: set[str]
) -> None:
    call = checked if not names & {"range", "clock"} else _failing
    without_lack = lacking_here()
    lack(behind)

    assert lacking(call()) == without_lack | names


def _failing() -> list[dict[str, Any]]:
    out = StringIO()
    with pytest.raises(CommandError, match=r"which (reading|every request) needs"):
        call_command("check_server", "--json", stdout=out)
    return json.loads(out.getvalue())


def test_what_a_setting_needs_and_the_server_lacks_is_an_error(
    behind: Proxy, project: Any, use: Any, bucket: str
) -> None:
    not_implemented("policy")(behind)
    use(Receipt, MinioBackend(bucket, public=True))

    with pytest.raises(CommandError, match="lacks policies, which buckets that are public needs"):
        checked()
    project.MINIO_BUCKET_POLICIES = False
    assert "policies" in lacking(checked())
    project.MINIO_BUCKET_POLICIES, project.MINIO_PUBLIC_URL = True, "https://cdn.example.com"
    assert "policies" in lacking(checked())


def test_what_a_hook_needs_is_an_error_too(behind: Proxy, project: Any) -> None:
    not_implemented("cors")(behind)
    project.MINIO_BUCKET_HOOKS = ["django_minio_router.hooks.versioning", _cors()]

    with pytest.raises(CommandError, match="CORS, which the bucket hook cors needs"):
        checked()


def _cors() -> Any:
    from django_minio_router.hooks import cors

    return cors(["https://example.com"])


def test_the_table_says_what_a_lack_means_and_what_to_do(behind: Proxy, project: Any) -> None:
    not_implemented("policy")(behind)
    out = StringIO()

    call_command("check_server", stdout=out)

    (line,) = (line for line in out.getvalue().splitlines() if line.startswith("policies"))
    assert "no 501 NotImplemented" in line
    assert "no bucket is public" in line
    assert line.endswith("MINIO_BUCKET_POLICIES = False for signed links, or MINIO_PUBLIC_URL")


def test_one_server_of_several(proxy: Proxy, project: Any) -> None:
    project.MINIO_SERVERS = {"other": {"MINIO_ENDPOINT": proxy.endpoint, **keys()}}

    assert {entry["server"] for entry in checked("--server", "other")} == {f"http://{proxy.endpoint}"}
    with pytest.raises(CommandError, match="'mars' is not in MINIO_SERVERS"):
        checked("--server", "mars")


def test_a_server_that_is_away_is_an_error(project: Any) -> None:
    project.MINIO_ENDPOINT, project.MINIO_RETRIES = "127.0.0.1:1", 0

    with pytest.raises(CommandError, match="No answer from the S3 server"):
        checked()


def test_files_in_memory_have_no_server_to_check(project: Any) -> None:
    project.MINIO_ENDPOINT = "memory:"
    out = StringIO()
    call_command("check_server", stdout=out)

    assert "nothing to check" in out.getvalue()
    assert checked() == []
