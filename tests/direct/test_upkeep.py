"""What is abandoned goes, what waits is not counted twice, and the checks say what is missing."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import ModelAdmin, TabularInline, site
from django.core.files.base import ContentFile
from django.core.management import CommandError
from django.core.management.base import BaseCommand
from django.utils import timezone
from minio import Minio

from django_minio_router import MinioBackend, hooks, tenant_bucket_context
from django_minio_router.direct import checks
from django_minio_router.direct.admin import DirectUploadMixin
from django_minio_router.direct.forms import DirectFileField, DirectImageField
from django_minio_router.direct.incoming import clean
from django_minio_router.direct.management.commands.clean_incoming_uploads import Command
from django_minio_router.exceptions import ConfigurationError, ServerError
from django_minio_router.files import orphans
from django_minio_router.files.usage import UsageReport, places_and_bytes
from django_minio_router.inventory.places import Place
from django_minio_router.naming import is_incoming
from django_minio_router.s3.listing import uploads
from django_minio_router.s3.own_buckets import remove_test_buckets
from django_minio_router.settings import testing
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Photo

from .conftest import FIELD, Browser, put, send_parts

PARTS = b"0" * 5 * 1024 * 1024 + b"1"
Keys = Callable[[Client], list[str]]


def place(tenant: Client) -> Place:
    with tenant_bucket_context(tenant):
        return Place.of(FIELD.storage.backend)


def test_cleaning_takes_what_is_old_and_leaves_all_else(
    ann: Browser, north: Client, keys: Keys, bare: Minio, on_minio: bool
) -> None:
    ann.upload(b"hello")
    begun = ann.begin(PARTS)
    other = f"incoming/{'f' * 32}"
    bare.put_object(bucket_name=place(north).bucket, object_name=other, data=io.BytesIO(b"x"), length=1)
    before = keys(north)

    assert list(clean(place(north), timezone.now() - timedelta(days=1))) == []
    assert keys(north) == before
    assert send_parts(begun, PARTS)

    cleaned = list(clean(place(north), timezone.now() + timedelta(days=1)))
    assert keys(north) == [other]
    if on_minio:
        return  # lists no unfinished uploads, and removes them by itself after a day
    assert len(cleaned) == 2
    objects = FIELD.storage.on_behalf_of(north).backend.objects
    assert list(uploads(objects.client, objects.name, "incoming/")) == []
    assert put(begun["parts"][0], PARTS[: 5 * 1024 * 1024]).status == 404


def test_the_command_cleans_every_tenant_and_spares_the_last_day(
    ann: Browser, eve: Browser, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.upload(b"hello")
    eve.upload(b"hello")
    run(all_tenants=True)
    assert len(keys(ann.tenant)) == len(keys(eve.tenant)) == 1
    with pytest.raises(CommandError, match="at least 24 hours"):
        run(all_tenants=True, min_age=1)
    now = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: now)
    run(tenants=[ann.tenant.schema_name])
    assert (keys(ann.tenant), len(keys(eve.tenant))) == ([], 1)


def test_tests_of_a_project_clean_their_own_buckets_and_no_other(
    north: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "servers_hold_only_tests", False)
    with pytest.raises(ConfigurationError, match="MINIO_TESTING = 'real'"):
        list(clean(place(north), timezone.now()))

    settings.MINIO_TESTING = "prefix"
    with tenant_bucket_context(north):
        FIELD.storage.save(f"incoming/2026-01-01/{'0' * 32}", ContentFile(b"x"))
    try:
        assert len(list(clean(place(north), timezone.now() + timedelta(days=1)))) == 1
    finally:
        remove_test_buckets()


def run(**options: Any) -> str:
    out = io.StringIO()
    command: BaseCommand = Command(stdout=out)
    defaults = {"all_tenants": False, "tenants": None, "min_age": 24, "verbosity": 1}
    command.execute(**{**defaults, "force_color": False, "no_color": True, "skip_checks": True, **options})
    return out.getvalue()


def test_what_waits_is_shown_as_such_and_not_counted_for_a_quota(ann: Browser, north: Client) -> None:
    ann.upload(b"hello")
    shown = {usage.model: usage.size for usage in UsageReport().measure(north, place(north))}
    assert shown["(incoming)"] == 5
    places, size = places_and_bytes(north)
    assert (place(north) in places, size) == (True, 0)


def test_begin_counts_what_waits_against_the_quota(ann: Browser, settings: Any) -> None:
    settings.MINIO_QUOTA = lambda tenant: 10
    ann.upload(b"12345")
    answer = ann.ask("begin", ticket=ann.ticket(), name="a", type="", size=6)
    assert answer.status_code == 400
    assert ann.error(ann.upload(b"12345")) == []


def test_an_upload_of_today_is_not_an_orphan() -> None:
    now = timezone.now()
    key = f"acme/incoming/2026-01-01/{'0' * 32}"
    assert is_incoming(key)
    assert not is_incoming("incoming/2026-01-01/my file.txt")
    assert orphans._limit(key, now) <= timezone.now() - timedelta(days=1)
    assert orphans._limit("a.txt", now) == now


def test_the_hook_sets_a_rule_once(bucket: str, bare: Minio, on_minio: bool, server_name: str) -> None:
    backend = MinioBackend(bucket, public=False)
    hook = hooks.expire_incoming()
    if server_name == "versitygw":
        with pytest.raises(ServerError, match="NotImplemented"):  # it has no lifecycle rules
            hook(backend.client, bucket)
        return
    assert hook(backend.client, bucket) is True
    rules = bare.get_bucket_lifecycle(bucket_name=bucket).rules
    assert [(rule.rule_filter.prefix, rule.expiration.days) for rule in rules] == [("incoming/", 1)]
    unfinished = rules[0].abort_incomplete_multipart_upload
    assert on_minio or (unfinished is not None and unfinished.days_after_initiation == 1)
    assert hook.__name__ == "expire_incoming"


def ids() -> list[str]:
    return [str(message.id) for message in checks.check_direct_upload(None)]


def test_the_checks_report_what_is_missing(settings: Any, use: Callable[..., None], bucket: str) -> None:
    use(Contract, MinioBackend(bucket, public=False))
    assert ids() == ["minio_router.W020"]
    settings.MINIO_BUCKET_HOOKS = [hooks.required(hooks.cors(["*"], methods=["PUT"]))]
    assert ids() == []
    for folder in ("incoming", "incoming/", "/incoming/files/"):
        use(Contract, MinioBackend(bucket, public=False))
        Contract._meta.get_field("file").upload_to = folder
        assert ids() == ["minio_router.W021"]
    Contract._meta.get_field("file").upload_to = "incomings/"
    assert ids() == []
    Contract._meta.get_field("file").upload_to = ""
    settings.ROOT_URLCONF = "django_minio_router.testing.urls"
    assert ids() == ["minio_router.W022"]
    settings.MINIO_DIRECT_UPLOAD = {"MAX_SIZE": -1}
    assert ids() == ["minio_router.E001"]


def test_wrong_settings_are_left_to_the_other_checks(settings: Any) -> None:
    settings.MINIO_BUCKET_HOOKS = ["no.such.hook"]
    assert ids() == []
    settings.STORAGES = {"default": {"BACKEND": "no.such.Storage"}}
    assert ids() == []


def test_the_admin_has_it_for_models_and_inlines(
    ann: Browser, north: Client, use: Callable[..., None]
) -> None:
    use(Photo, FIELD.storage.origin, "image")

    class Inline(DirectUploadMixin, TabularInline):
        model = Photo

    class Admin(DirectUploadMixin, ModelAdmin):
        model = Contract

    request = ann.request()
    form = Admin(Contract, site).get_form(request)()
    assert isinstance(form.fields["file"], DirectFileField)
    with tenant_bucket_context(north):
        assert "data-minio-router" in str(form["file"])
    inline = Inline.__new__(Inline)
    inline.admin_site, inline.opts = site, Photo._meta
    field = inline.formfield_for_dbfield(Photo._meta.get_field("image"), request)
    assert isinstance(field, DirectImageField)
    inline.formfield_overrides = {}
    assert not isinstance(inline.formfield_for_dbfield(Photo._meta.get_field("id"), request), DirectFileField)


def test_the_admin_has_it_in_an_editable_list(ann: Browser, north: Client) -> None:
    class Admin(DirectUploadMixin, ModelAdmin):
        list_display = ["id", "file"]
        list_editable = ["file"]

    form = Admin(Contract, site).get_changelist_formset(ann.request()).form()
    with tenant_bucket_context(north):
        assert "data-minio-router" in str(form["file"])


@pytest.mark.parametrize(
    "label", ["no.Model.file", "docs.Contract.no", "docs.Contract", "x", "docs.Contract.id"]
)
def test_a_field_that_is_not_there_is_an_error(label: str) -> None:
    with pytest.raises(ConfigurationError):
        DirectFileField(field=label)
