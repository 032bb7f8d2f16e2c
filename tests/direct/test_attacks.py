"""What a browser is handed is good for one upload, of one user of one tenant, and for nothing else.

Each attack stands beside the request that it was made of, which succeeds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import urllib3
from django.core import signing
from django.http import HttpRequest
from django.test import RequestFactory
from minio import Minio

from django_minio_router import ConfigurationError, MinioRouter, TenantRequired, tenant_bucket_context
from django_minio_router.direct.tokens import make_ticket
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Photo
from tests.support.proxy import Proxy, reset

from .conftest import FIELD, Browser, put, send_parts, view

PARTS = b"0" * 5 * 1024 * 1024 + b"1" * 10
Keys = Callable[[Client], list[str]]


def begin(browser: Browser, ticket: str) -> int:
    return browser.ask("begin", ticket=ticket, name="a.txt", type="text/plain", size=5).status_code


def test_a_ticket_is_for_one_user_of_one_tenant(ann: Browser, bob: Browser, eve: Browser) -> None:
    ticket = ann.ticket()
    assert begin(ann, ticket) == 200
    assert begin(bob, ticket) == 403
    assert begin(eve, ticket) == 403
    assert begin(Browser(ann.tenant, 0), ticket) == 403


def test_without_a_tenant_there_is_no_ticket_and_no_answer(ann: Browser, settings: Any) -> None:
    with pytest.raises(TenantRequired):
        make_ticket(ann.request(), FIELD)
    data = {"step": "begin", "ticket": ann.ticket(), "name": "a.txt", "type": "", "size": 5}
    assert view(ann.request(data)).status_code == 403


def test_each_token_is_good_for_its_own_step_alone(ann: Browser) -> None:
    begun = ann.begin(b"hello")
    assert put(begun, b"hello").status == 200
    receipt = ann.asked("complete", upload=begun["upload"])["receipt"]
    assert begin(ann, begun["upload"]) == begin(ann, receipt) == 403
    assert ann.ask("complete", upload=receipt).status_code == 403
    assert ann.ask("complete", upload=ann.ticket()).status_code == 403
    assert ann.error(begun["upload"]) == ann.error(ann.ticket()) == ["receipt"]
    assert ann.error(receipt) == []


def test_what_is_edited_or_expired_is_refused(
    ann: Browser, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket, receipt = ann.ticket(), ann.upload(b"hello")
    for text in (ticket[:-1], f"{ticket[:9]}x{ticket[10:]}", "", "a:b:c", None, 7, ["a"], "x" * 10_000):
        assert begin(ann, text) == 403
    assert ann.error(receipt[:-2]) == ["receipt"]
    now = time.time()
    monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: now + 12 * 3600 - 9))
    assert (begin(ann, ticket), ann.error(receipt)) == (200, [])
    monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: now + 12 * 3600 + 9))
    assert (begin(ann, ticket), ann.error(receipt)) == (403, ["receipt"])


def test_a_receipt_is_for_one_user_of_one_tenant(ann: Browser, bob: Browser, eve: Browser) -> None:
    receipt = ann.upload(b"hello")
    assert ann.error(receipt) == []
    assert bob.error(receipt) == ["receipt"]
    assert eve.error(receipt) == ["receipt"]


def test_a_receipt_is_for_one_field(ann: Browser, use: Callable[..., None]) -> None:
    use(Photo, Contract._meta.get_field("file").storage.origin, "image")
    receipt = ann.upload(b"hello")
    with tenant_bucket_context(ann.tenant):
        form = ann.form(receipt)
        form.fields["file"].model_field = Photo._meta.get_field("image")
        assert [error.code for error in form.errors["file"].as_data()] == ["receipt"]
    assert ann.error(receipt) == []


def test_both_are_for_one_server(ann: Browser, use: Callable[..., None], settings: Any) -> None:
    ticket, receipt, own = ann.ticket(), ann.upload(b"hello"), FIELD.storage.origin
    settings.MINIO_SERVERS = {"other": {"MINIO_ENDPOINT": "memory:"}}
    use(Contract, MinioRouter(strategy=own.strategy, server="other"))
    assert (begin(ann, ticket), ann.error(receipt)) == (403, ["receipt"])
    use(Contract, own)
    assert (begin(ann, ticket), ann.error(receipt)) == (200, [])


def test_an_upload_is_for_one_user_of_one_tenant(ann: Browser, bob: Browser, eve: Browser) -> None:
    begun = ann.begin(PARTS)
    etags = send_parts(begun, PARTS)
    upload = begun["upload"]
    for other in (bob, eve):
        assert other.ask("sign", upload=upload, parts=[1]).status_code == 403
        assert other.ask("parts", upload=upload).status_code == 403
        assert other.ask("complete", upload=upload, etags=etags).status_code == 403
        assert other.ask("abort", upload=upload).status_code == 403
    assert [part["size"] for part in ann.asked("parts", upload=upload)["parts"]] == [5 * 1024 * 1024, 10]
    assert ann.asked("complete", upload=upload, etags=etags)["size"] == len(PARTS)


def test_parts_that_the_upload_does_not_have_are_not_signed(ann: Browser) -> None:
    upload = ann.begin(PARTS)["upload"]
    assert len(ann.asked("sign", upload=upload, parts=[1, 2])["parts"]) == 2
    for parts in ([3], [0], [-1], ["1"], [True], [1] * 51, "1", None, [1.0], [[1]]):
        assert ann.ask("sign", upload=upload, parts=parts).status_code == 403, parts


def test_no_part_comes_after_completion(ann: Browser) -> None:
    begun = ann.begin(PARTS)
    etags = send_parts(begun, PARTS)
    ann.asked("complete", upload=begun["upload"], etags=etags)
    assert ann.ask("sign", upload=begun["upload"], parts=[1]).status_code == 403
    assert put(begun["parts"][1], b"2" * 10).status == 404


def test_a_completion_whose_answer_was_lost_is_repeated(ann: Browser) -> None:
    begun = ann.begin(PARTS)
    etags = send_parts(begun, PARTS)
    first = ann.asked("complete", upload=begun["upload"], etags=etags)["receipt"]
    again = ann.asked("complete", upload=begun["upload"], etags=etags)["receipt"]
    assert ann.error(first) == ann.error(again) == []


def test_an_incomplete_upload_gives_no_receipt(ann: Browser) -> None:
    begun, parts = ann.begin(b"hello"), ann.begin(PARTS)
    assert ann.ask("complete", upload=begun["upload"]).status_code == 400
    etags = send_parts(parts, PARTS)
    for wrong in (etags[:1], [], None, ["no", "such"], [etags[0], "<x>"], [etags[1], etags[0]], "ab"):
        answer = ann.ask("complete", upload=parts["upload"], etags=wrong)
        assert answer.status_code in (400, 404), (wrong, answer.content)
    assert ann.asked("complete", upload=parts["upload"], etags=etags)
    gone = ann.begin(PARTS)["upload"]
    assert ann.asked("abort", upload=gone) == {}
    assert ann.ask("parts", upload=gone).status_code == 404


def test_a_server_that_is_away_is_told_without_its_address(ann: Browser, settings: Any) -> None:
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT, settings.MINIO_RETRIES = proxy.endpoint, 0
        begun = ann.begin(b"hello")
        proxy.when(reset, times=None)

        answer = ann.ask("complete", upload=begun["upload"])

    assert answer.status_code == 503
    assert proxy.endpoint not in answer.content.decode()


def test_the_server_refuses_another_size_and_another_type(ann: Browser, keys: Keys) -> None:
    begun, parts = ann.begin(b"hello", kind="image/png"), ann.begin(PARTS)
    assert put(begun, b"hello!").status >= 400
    assert put(begun, b"hell").status >= 400
    assert put(begun, b"hello", **{"content-type": "text/html"}).status >= 400
    assert put(begun, iter([b"hello", b"hello"]), **{"Transfer-Encoding": "chunked"}).status >= 400
    assert put(parts["parts"][1], b"1" * 11).status >= 400
    assert keys(ann.tenant) == []
    assert put(begun, b"hello").status == 200
    assert put(parts["parts"][1], b"1" * 10).status == 200


def test_no_link_can_be_turned_into_a_copy(ann: Browser, eve: Browser, bare: Minio) -> None:
    secret = bare.put_object(
        bucket_name=f"test-brands-{eve.tenant.schema_name}",
        object_name="secret",
        data=BytesIO(b"12345"),
        length=5,
    )
    source = {"x-amz-copy-source": f"/{secret.bucket_name}/secret"}
    begun, parts = ann.begin(b"hello"), ann.begin(PARTS)
    for link, size in ((begun, 5), (parts["parts"][1], 10)):
        for condition in ({}, {"x-amz-copy-source-if-match": f'"{secret.etag}"'}):
            assert put(link, b"x" * size, **source, **condition).status >= 400
        bare_headers = {k: v for k, v in link["headers"].items() if not k.startswith("x-amz")}
        assert put({**link, "headers": bare_headers}, b"x" * size, **source).status >= 400
    assert put(begun, b"hello").status == 200
    receipt = ann.asked("complete", upload=begun["upload"])["receipt"]
    with tenant_bucket_context(ann.tenant):
        assert ann.form(receipt).fields["file"].clean(receipt).read() == b"hello"


def test_no_link_stores_under_another_key_or_shows_anything(ann: Browser) -> None:
    begun = ann.begin(b"hello")
    path, _, query = begun["url"].partition("?")
    assert put({**begun, "url": f"{path[:-1]}0?{query}"}, b"hello").status == 403 or path.endswith("0")
    assert put({**begun, "url": f"{begun['url']}&acl="}, b"hello").status >= 400
    assert urllib3.request("GET", begun["url"], retries=False).status >= 400
    assert urllib3.request("DELETE", begun["url"], headers=begun["headers"], retries=False).status >= 400
    assert put(begun, b"hello").status == 200


def test_no_part_goes_into_another_upload(ann: Browser) -> None:
    one, two = (ann.begin(PARTS)["parts"][1] for _ in range(2))
    ids = [parse_qs(urlsplit(link["url"]).query)["uploadId"][0] for link in (one, two)]
    swapped = one["url"].replace(quote(ids[0], safe=""), quote(ids[1], safe=""))
    assert swapped != one["url"]
    assert put({**one, "url": swapped}, b"1" * 10).status == 403
    assert put(one, b"1" * 10).status == 200


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\a.txt", "a.txt"),
        ("a/b/c.txt", "c.txt"),
        ("ü ß.txt", "ü ß.txt"),
        ("a\x00b", None),
        ("a\nb.txt", None),
        ("..", None),
        ("", None),
        (None, "None"),
    ],
)
def test_of_a_name_only_what_is_safe_is_kept(ann: Browser, name: Any, kept: str | None) -> None:
    answer = ann.ask("begin", ticket=ann.ticket(), name=name, type="text/plain", size=5)
    if kept is None:
        assert (answer.status_code, json.loads(answer.content)["code"]) == (400, "name")
    else:
        upload = json.loads(answer.content)["upload"]
        assert signing.loads(upload, salt="django_minio_router.direct.upload")["name"] == kept


@pytest.mark.parametrize(
    ("name", "kind", "size", "code"),
    [
        ("a.png", "image/png", 10, None),
        ("a.pdf", "", 10, None),
        ("a.png", "image/png", 11, "too_large"),
        ("a.png", "image/png", 0, "empty"),
        ("a.png", "image/png", -1, "empty"),
        ("a.png", "image/png", "10", "empty"),
        ("a.png", "image/png", True, "empty"),
        ("a.png", "image/png", 10.0, "empty"),
        ("a.html", "text/html", 10, "type"),
        ("a.pdf.html", "text/html", 10, "type"),
        ("a.html", "not a type", 10, "type"),
        ("a.png", "not a type", 10, None),
        ("a.html", "text/html, image/png", 10, "type"),
    ],
)
def test_what_the_field_does_not_take_is_not_begun(
    ann: Browser, name: str, kind: str, size: Any, code: str | None
) -> None:
    ticket = ann.ticket(max_size=10, accept=["image/*", ".pdf"])
    answer = ann.ask("begin", ticket=ticket, name=name, type=kind, size=size)
    assert json.loads(answer.content).get("code") == code
    assert answer.status_code == (200 if code is None else 400)


def test_a_request_that_makes_no_sense_is_refused(ann: Browser) -> None:
    with tenant_bucket_context(ann.tenant):
        for body in (b"", b"[]", b"{", b"\xff", b'{"step": "x"}', b"1" * 2_000_000, b'{"step": ["begin"]}'):
            assert view(ann.request(body)).status_code == 403
        assert view(RequestFactory().get("/uploads/")).status_code == 405


def test_a_request_of_another_site_is_refused(ann: Browser) -> None:
    request = ann.request({"step": "begin", "ticket": ann.ticket(), "name": "a", "type": "", "size": 5})
    del request._dont_enforce_csrf_checks
    with tenant_bucket_context(ann.tenant):
        assert view(request).status_code == 403


def test_the_permission_is_asked_at_each_step(ann: Browser, settings: Any) -> None:
    begun = ann.begin(PARTS)
    allowed = SimpleNamespace(now=True)
    settings.MINIO_DIRECT_UPLOAD = {"PERMISSION": lambda request, field: allowed.now and field == FIELD}
    assert ann.ask("sign", upload=begun["upload"], parts=[1]).status_code == 200
    allowed.now = False
    assert ann.ticket() == "None"
    assert ann.ask("sign", upload=begun["upload"], parts=[1]).status_code == 403


def test_a_visitor_without_a_user_has_no_ticket_but_by_permission(ann: Browser, settings: Any) -> None:
    visitor = Browser(ann.tenant, 0)
    assert visitor.ticket() == "None"
    settings.MINIO_DIRECT_UPLOAD = {"PERMISSION": lambda request, field: True}
    assert begin(visitor, visitor.ticket()) == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"PERMISSION": 1},
        {"PERMISSION": "no.such.path"},
        {"SCAN": "tests.direct.conftest.FIELD"},
        {"MAX_SIZE": 0},
        {"MAX_SIZE": "1 GB"},
        {"EXPIRY": 60},
        {"KEEP_MAX_SIZE": -1},
        {"KEEP_MAX_SIZE": True},
        {"MAXSIZE": 1},
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(
    ann: Browser, settings: Any, wrong: dict[str, Any]
) -> None:
    settings.MINIO_DIRECT_UPLOAD = wrong
    with pytest.raises(ConfigurationError, match=f"MINIO_DIRECT_UPLOAD.*{min(wrong)}"):
        ann.ticket()


def test_what_a_browser_keeps_is_for_one_user_tenant_and_field(
    ann: Browser, bob: Browser, eve: Browser, use: Any, settings: Any
) -> None:
    def keep(browser: Browser, field: Any = FIELD) -> dict[str, Any]:
        with tenant_bucket_context(browser.tenant):
            ticket = make_ticket(browser.request(), field)
            assert ticket is not None
            return ticket.keep()

    mine = keep(ann)
    assert mine == keep(Browser(ann.tenant, 1))
    assert len({keep(browser)["owner"] for browser in (ann, bob, eve)}) == 3
    use(Photo, MinioRouter(strategy=FIELD.storage.strategy), "image")
    other = keep(ann, Photo._meta.get_field("image"))
    assert (other["owner"], other["upload"] == mine["upload"]) == (mine["owner"], False)
    settings.MINIO_DIRECT_UPLOAD = {"PERMISSION": lambda request, field: True, "KEEP_MAX_SIZE": 7}
    assert [keep(browser)["max_size"] for browser in (ann, Browser(ann.tenant, 0))] == [7, 0]


def test_sessions_of_two_visitors_are_told_apart(ann: Browser, settings: Any) -> None:
    settings.MINIO_DIRECT_UPLOAD = {"PERMISSION": lambda request, field: True}

    def request(key: str) -> HttpRequest:
        request = Browser(ann.tenant, 0).request({})
        request.session = SimpleNamespace(session_key=key)
        return request

    def begun(ticket: str, key: str) -> int:
        made = request(key)
        made._body = json.dumps(
            {"step": "begin", "ticket": ticket, "name": "a", "type": "", "size": 5}
        ).encode()
        return view(made).status_code

    with tenant_bucket_context(ann.tenant):
        ticket = str(make_ticket(request("one"), FIELD))
        assert (begun(ticket, "one"), begun(ticket, "two")) == (200, 403)
