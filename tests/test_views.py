"""``ObjectView``: a file for whoever may have it, and for all others a 404 that tells nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import urllib3
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, storages
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.urls import path, resolve, reverse
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import ConfigurationError, MinioRouter, ObjectView
from django_minio_router.strategies import FixedBucket, PerTenant
from django_minio_router.views import serve_object
from tests.apps.customers.models import Client
from tests.apps.per_tenant.models import Receipt
from tests.support.proxy import Proxy
from tests.support.schemas import Use, no_other_fields, north, south, tenants, use  # noqa: F401
from tests.support.storages import keys, proxy  # noqa: F401

pytestmark = pytest.mark.django_db

MODES = ["redirect", "stream", "accel"]
CONTENT = b"of north"


def yes(request: HttpRequest, subject: Any) -> bool:
    return True


def no(request: HttpRequest, subject: Any) -> bool:
    return False


@pytest.fixture
def router(proxy: Proxy, bare: Minio, new_name: Callable[[str], str], tenants: list[Client]) -> MinioRouter:  # noqa: F811
    """A bucket for each tenant, reached through the proxy."""
    prefix = new_name("t")
    for tenant in tenants:
        bare.make_bucket(bucket_name=f"{prefix}-{tenant.schema_name}")
    return MinioRouter(
        strategy=PerTenant(f"{prefix}-{{schema_name}}"), MINIO_ENDPOINT=proxy.endpoint, **keys()
    )


@pytest.fixture
def row(use: Use, router: MinioRouter, north: Client, proxy: Proxy) -> Iterator[Receipt]:  # noqa: F811
    """A row of north's, which is active."""
    use(Receipt, router)
    with tenant_context(north):
        made = Receipt.objects.create(file=ContentFile(CONTENT, name="a.txt"))
        proxy.forget()
        yield made


def ask(view: Callable[..., HttpResponseBase], method: str = "GET", **kwargs: Any) -> Any:
    return view(RequestFactory().generic(method, "/"), **kwargs)


def ask_for(row: Model, **options: Any) -> Any:
    return ask(ObjectView.as_view(model=type(row), **{"permission": yes, **options}), pk=row.pk)


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


# The modes


def test_a_redirect_leads_to_a_link_that_lives_for_a_minute(row: Receipt, proxy: Proxy) -> None:  # noqa: F811
    response = ask_for(row)

    assert response.status_code == 302
    assert proxy.requests == [], "nothing is asked of the server"
    assert "no-store" in response.headers["Cache-Control"]
    (life,) = parse_qs(urlsplit(response.headers["Location"]).query)["X-Amz-Expires"]
    assert 60 <= int(life) <= 75
    assert urllib3.request("GET", response.headers["Location"]).data == CONTENT


def test_a_link_tells_browsers_what_they_are_to_do(row: Receipt) -> None:
    link = ask_for(row, as_attachment=True, filename="Receipt 1.txt").headers["Location"]

    assert urllib3.request("GET", link).headers["Content-Disposition"] == (
        'attachment; filename="Receipt 1.txt"'
    )


def test_a_stream_goes_through_django(row: Receipt, proxy: Proxy) -> None:  # noqa: F811
    response = ask_for(row, mode="stream", as_attachment=True)

    assert body(response) == CONTENT
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Content-Disposition"] == 'attachment; filename="a.txt"'
    assert proxy.methods == ["GET"]


def test_a_stored_cache_control_is_kept_and_made_private(row: Receipt) -> None:
    described = MinioRouter(
        strategy=row.file.storage.strategy, metadata={"Cache-Control": "public, max-age=60"}
    )
    request = RequestFactory().get("/")

    response = serve_object(request, described, described.save("a.txt", ContentFile(CONTENT)), mode="stream")

    assert set(response.headers["Cache-Control"].split(", ")) == {"private", "max-age=60"}


def test_accel_names_the_object_to_nginx(row: Receipt, proxy: Proxy, settings: Any) -> None:  # noqa: F811
    response = ask_for(row, mode="accel", accel_location="/files/")

    assert proxy.requests == []
    target = response.headers["X-Accel-Redirect"]
    assert "Content-Type" not in response.headers
    assert target.startswith(f"/files/{row.file.storage.backend.bucket}/a.txt?")
    found = urllib3.request("GET", f"http://{proxy.endpoint}{target.removeprefix('/files')}")
    assert found.data == CONTENT
    assert found.headers["Content-Disposition"] == 'inline; filename="a.txt"'


@pytest.mark.parametrize(
    ("name", "declared", "shown"),
    [
        ("photo.png", "text/html", ("image/png", "inline")),
        ("page.html", "text/html", ("text/html", "attachment")),
        ("data.csv.gz", "text/html", ("application/gzip", "inline")),
    ],
)
def test_behind_nginx_nothing_active_is_shown(
    row: Receipt,
    proxy: Proxy,  # noqa: F811
    name: str,
    declared: str,
    shown: tuple[str, str],
) -> None:
    content = ContentFile(b"<script>", name=name)
    content.content_type = declared
    row.file.save(name, content)

    target = ask_for(row, mode="accel").headers["X-Accel-Redirect"]

    headers = urllib3.request("GET", f"http://{proxy.endpoint}{target.removeprefix('/_minio')}").headers
    assert (headers["Content-Type"], headers["Content-Disposition"].partition(";")[0]) == shown


@pytest.mark.parametrize("mode", MODES)
def test_head_is_answered_by_django(row: Receipt, mode: str) -> None:
    view = ObjectView.as_view(model=Receipt, permission=yes, mode=mode)

    response = ask(view, "HEAD", pk=row.pk)

    assert (response.status_code, response.headers["Content-Length"], body(response)) == (200, "8", b"")


@pytest.mark.parametrize("mode", MODES)
def test_files_of_other_storages_are_served_as_well(use: Use, north: Client, mode: str) -> None:  # noqa: F811
    use(Receipt, InMemoryStorage(base_url="/media/"))
    with tenant_context(north):
        made = Receipt.objects.create(file=ContentFile(CONTENT, name="other.txt"))
        response = ask_for(made, mode=mode)

    if mode == "redirect":
        assert response.headers["Location"] == "/media/other.txt"
    else:
        assert body(response) == CONTENT


def test_with_a_fallback_it_is_looked_where_the_file_is(use: Use, router: MinioRouter, north: Client) -> None:  # noqa: F811
    old = InMemoryStorage(base_url="/media/")
    old.save("old.txt", ContentFile(CONTENT))
    use(Receipt, MinioRouter(strategy=router.strategy, fallback=old))

    with tenant_context(north):
        response = ask_for(Receipt.objects.create(file="old.txt"), mode="accel")

    assert body(response) == CONTENT


# Whose file it is


@pytest.mark.parametrize("mode", MODES)
def test_what_is_missing_and_what_is_not_yours_is_the_same_404(
    row: Receipt,
    south: Client,  # noqa: F811
    proxy: Proxy,  # noqa: F811
    mode: str,
) -> None:
    def refusing(request: HttpRequest, subject: Any) -> bool:
        raise PermissionDenied("a text of its own")

    without = Receipt.objects.create(file="")
    allowing = ObjectView.as_view(model=Receipt, permission=yes, mode=mode)
    asked: list[Callable[[], Any]] = [
        lambda: ask(allowing, pk=row.pk + 1000),
        lambda: ask(allowing, pk="no number"),
        lambda: ask(allowing, pk=without.pk),
        lambda: ask_for(row, permission=no, mode=mode),
        lambda: ask_for(row, permission=refusing, mode=mode),
    ]

    answers = {str(error_of(question)) for question in asked}
    with tenant_context(south):
        answers.add(str(error_of(lambda: ask(allowing, pk=row.pk))))

    assert answers == {"There is no such file."}
    assert proxy.requests == [], "before anything is asked of the server"


def error_of(question: Callable[[], Any]) -> Http404:
    with pytest.raises(Http404) as raised:
        question()
    return raised.value


@pytest.mark.parametrize("mode", ["stream", "redirect"])
def test_a_name_is_looked_for_in_the_active_tenants_bucket(
    row: Receipt,
    router: MinioRouter,
    south: Client,  # noqa: F811
    mode: str,
) -> None:
    view = ObjectView.as_view(storage=router, permission=yes, mode=mode)

    def get(name: str) -> bytes | int:
        response = ask(view, name=name)
        if mode == "stream":
            return body(response)
        found = urllib3.request("GET", response.headers["Location"], retries=False)
        return found.data if found.status == 200 else found.status

    assert get("a.txt") == CONTENT
    with tenant_context(south):
        router.save("a.txt", ContentFile(b"of south"))
        assert get("a.txt") == b"of south"
    for outside in ("../a.txt", "", "..", "a//b", "/../a.txt"):
        error_of(lambda outside=outside: get(outside))
    if mode == "stream":
        error_of(lambda: get("missing.txt"))


def test_a_storage_may_be_named_by_its_alias(settings: Any) -> None:
    settings.STORAGES = {"other": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    storages["other"].save("a.txt", ContentFile(CONTENT))
    view = ObjectView.as_view(storage="other", permission=yes, mode="stream")

    assert body(ask(view, name="a.txt")) == CONTENT


class SiteLinks(MinioRouter):
    """As the page on downloads has it."""

    def url(self, name: str | None, **options: Any) -> str:
        if options or not name:
            return super().url(name, **options)
        return reverse("media", args=[name])


def test_a_link_of_the_site_leads_to_a_fresh_one(router: MinioRouter, north: Client, settings: Any) -> None:  # noqa: F811
    links = SiteLinks(strategy=router.strategy)
    view = ObjectView.as_view(storage=links, permission=yes)
    settings.ROOT_URLCONF = urls = ModuleType("urls_of_the_site")
    urls.urlpatterns = [path("media/<path:name>", view, name="media")]  # type: ignore[attr-defined]

    with tenant_context(north):
        saved = links.save("docs/a b.txt", ContentFile(CONTENT))
        assert links.url(saved) == "/media/docs/a%20b.txt"
        found = resolve(unquote(links.url(saved)))
        response = ask(found.func, **found.kwargs)

    assert urllib3.request("GET", response.headers["Location"]).data == CONTENT


# Who may


def test_nobody_forgets_to_ask() -> None:
    with pytest.raises(ConfigurationError, match="has no permission"):
        ObjectView.as_view(model=Receipt)


def test_an_async_permission_does_not_count_as_yes(row: Receipt) -> None:
    async def permission(request: HttpRequest, subject: Any) -> bool:
        return False

    with (
        pytest.warns(RuntimeWarning, match="never awaited"),
        pytest.raises(ConfigurationError, match="async"),
    ):
        ask_for(row, permission=permission)


def test_permission_is_asked_with_the_row_or_the_name(row: Receipt, router: MinioRouter) -> None:
    subjects = []

    def permission(request: HttpRequest, subject: Any) -> bool:
        subjects.append(subject)
        return True

    ask_for(row, permission=permission)
    ask(ObjectView.as_view(storage=router, permission=permission), name="a.txt")

    assert subjects == [row, "a.txt"]


def test_a_subclass_may_say_it_too(row: Receipt) -> None:
    class ByAttribute(ObjectView):
        model = Receipt
        permission = no

    class ByMethod(ObjectView):
        model = Receipt

        def has_permission(self, request: HttpRequest, subject: Any) -> bool:
            return bool(subject.pk == row.pk)

    error_of(lambda: ask(ByAttribute.as_view(), pk=row.pk))
    assert ask(ByMethod.as_view(), pk=row.pk).status_code == 302


def test_only_reading_is_allowed(row: Receipt) -> None:
    view = ObjectView.as_view(model=Receipt, permission=yes)

    assert [ask(view, method, pk=row.pk).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


# Bad input


def test_a_mode_that_is_none_is_named(row: Receipt) -> None:
    for refused in (
        lambda: ObjectView.as_view(model=Receipt, permission=yes, mode="proxy"),
        lambda: serve_object(RequestFactory().get("/"), row.file, mode="proxy"),
    ):
        with pytest.raises(ConfigurationError, match=r"'proxy' .*\. Use one of redirect, stream, accel"):
            refused()


def test_accel_needs_a_bucket_in_the_path(settings: Any) -> None:
    settings.MINIO_ADDRESSING = "virtual"
    settings.MINIO_ENDPOINT = "s3.example.com"
    single = MinioRouter(strategy=FixedBucket("documents", public_read=False))

    with pytest.raises(ConfigurationError, match="MINIO_ADDRESSING = 'path'"):
        serve_object(RequestFactory().get("/"), single, "a.txt", mode="accel")


def test_a_range_of_a_download(row: Receipt) -> None:
    view = ObjectView.as_view(model=Receipt, permission=yes, mode="stream")

    response = view(RequestFactory().get("/", HTTP_RANGE="bytes=3-"), pk=row.pk)

    assert (response.status_code, body(response)) == (206, b"north")


def test_denial_takes_as_long_as_absence(row: Receipt) -> None:
    """Within what the permission itself takes: neither asks the server for anything."""
    missing = ObjectView.as_view(model=Receipt, permission=yes)
    denied = ObjectView.as_view(model=Receipt, permission=no)

    def seconds(view: Any, pk: int) -> float:
        started = time.perf_counter()
        error_of(lambda: ask(view, pk=pk))
        return time.perf_counter() - started

    pairs = [(seconds(missing, row.pk + 1000), seconds(denied, row.pk)) for _ in range(50)]
    fastest = [min(times) for times in zip(*pairs, strict=True)]
    assert max(fastest) < 3 * min(fastest)


def test_the_router_of_one_bucket_serves_as_well(bucket: str) -> None:
    single = MinioRouter(strategy=FixedBucket(bucket, public_read=False))
    single.save("a.txt", ContentFile(CONTENT))

    assert (
        body(ask(ObjectView.as_view(storage=single, permission=yes, mode="stream"), name="a.txt")) == CONTENT
    )
