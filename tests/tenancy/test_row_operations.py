"""What is done for each tenant, where tenants are rows: buckets, usage, orphans, purging and moving."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import StringIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import transaction
from minio import Minio

from django_minio_router import MinioBackend, tenant_bucket_context
from django_minio_router.files import ledger
from django_minio_router.provisioning import creations
from django_minio_router.storage.signals import object_deleted
from django_minio_router.strategies import PerTenant
from django_minio_router.testing import stored_files
from tests.apps.orgs.models import Document, Note, Organization, Partner, organization

from .conftest import FIELDS

Orgs = tuple[Organization, Organization]
Route = Callable[..., None]


def file(content: bytes, name: str = "a.txt") -> ContentFile:
    return ContentFile(content, name=name)


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


def sweep(*arguments: str) -> str:
    return run(
        "clean_orphaned_minio_files",
        "--all-tenants", "--min-age=0", "--max-share=1", "--no-input", *arguments,
    )  # fmt: skip


# Provisioning


def test_a_new_tenant_gets_its_bucket_after_the_commit(
    orgs: Orgs, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        initech = Organization.objects.create(slug="initech")
        assert "org-initech" not in stored_files()
    assert "org-initech" in stored_files()
    assert callbacks
    with django_capture_on_commit_callbacks(execute=True):
        Partner.objects.create(slug="umbrella")
        initech.slug = "initech-2"
        initech.save()
    assert "org-umbrella" in stored_files()
    assert "org-initech-2" not in stored_files(), "a rename makes no empty bucket"


def test_a_new_tenant_that_is_active_already_gets_its_bucket_too(
    orgs: Orgs, django_capture_on_commit_callbacks: Any
) -> None:
    """As where a sign-up goes on as the new organization in the same transaction."""
    with ExitStack() as stack, django_capture_on_commit_callbacks(execute=True):
        initech = Organization.objects.create(slug="initech")
        stack.enter_context(organization(initech))
        stack.enter_context(tenant_bucket_context(initech))
        assert "org-initech" not in stored_files()
    assert "org-initech" in stored_files()


@pytest.mark.parametrize("rolled_back", [False, True])
def test_a_sign_up_stores_the_first_file_in_the_same_transaction(
    orgs: Orgs,
    rows: Any,
    route: Route,
    bare: Minio,
    new_name: Callable[[str], str],
    transactional_db: None,
    rolled_back: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On a real server, as in memory buckets come by themselves."""
    rows.MINIO_TESTING = "real"
    route(PerTenant(f"{new_name('r')}-{{slug}}"))
    creations.connect()  # as on a site that begins with these settings
    with suppress(LookupError), transaction.atomic():
        initech = Organization.objects.create(slug="initech", charter=file(b"charter"))
        bucket = initech.charter.storage.backend.bucket
        assert bare.bucket_exists(bucket_name=bucket)
        if rolled_back:
            raise LookupError
    assert bare.bucket_exists(bucket_name=bucket) is not rolled_back
    assert caplog.text == ""


def test_a_wrong_setting_keeps_no_tenant_from_being_created(
    orgs: Orgs, rows: Any, django_capture_on_commit_callbacks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows.MINIO_PUBLIC_BUCKETS = [PerTenant("org-{slug}")]  # which is private for the fields
    with django_capture_on_commit_callbacks(execute=True):
        Organization.objects.create(slug="initech")
    assert "may not be ready" in caplog.text
    assert Organization.objects.filter(slug="initech").exists()


def test_initialize_buckets_knows_the_tenants(orgs: Orgs) -> None:
    assert "org-acme: created" in run("initialize_buckets", "--tenant", "acme")
    assert "org-globex" not in stored_files()
    assert "1 created, 1 unchanged" in run("initialize_buckets", "--all-tenants")
    with organization("acme"):
        assert "org-acme: unchanged" in run("initialize_buckets", "--verbosity=2")
    assert "no tenant is active" in run("initialize_buckets")


# Usage


def test_usage_is_counted_for_each_tenant(orgs: Orgs) -> None:
    for org in orgs:
        Document.objects.create(organization=org, file=file(org.slug.encode()))
    with organization("acme"):
        Note.objects.create(file=file(b"note", "note.txt"))

    printed = run("bucket_usage", "--all-tenants", "--format=csv")
    assert "acme,org-acme,,orgs.Document,1,4" in printed
    assert "acme,org-acme,,orgs.Note,1,4" in printed
    assert "globex,org-globex,,orgs.Document,1,6" in printed


# Orphans


def test_an_object_that_stored_its_file_stays_with_the_tenant_of_then(orgs: Orgs) -> None:
    """Read again, a row without an owner does not say whose it is, and the active tenant counts."""
    acme, globex = orgs
    with organization(acme):
        note = Note.objects.create(file=file(b"of acme"))
    with organization(globex):
        assert Note._meta.get_field("file").storage.save("a.txt", file(b"of globex")) == "a.txt"
        assert note.file.read() == b"of acme"
        assert Note.objects.get(pk=note.pk).file.read() == b"of globex"


def test_commands_that_delete_send_no_signal(orgs: Orgs) -> None:
    acme, _ = orgs
    Document.objects.create(organization=acme, file=file(b"gone"))
    Document.objects.all().delete()
    heard: list[str] = []

    def hear(*, name: str, **kwargs: Any) -> None:
        heard.append(name)

    object_deleted.connect(hear)
    try:
        assert "orphan: org-acme/a.txt" in sweep()
        run("purge_tenant", "acme", "--no-input")
    finally:
        object_deleted.disconnect(hear)

    assert "org-acme" not in stored_files()
    assert heard == []


def test_an_orphan_is_found_though_another_tenants_row_has_its_name(orgs: Orgs) -> None:
    acme, globex = orgs
    gone = Document.objects.create(organization=acme, file=file(b"gone"))
    Document.objects.create(organization=globex, file=file(b"kept"))
    gone.delete()

    assert "orphan: org-acme/a.txt" in sweep()
    assert stored_files()["org-globex"] == {"a.txt": b"kept"}
    assert stored_files()["org-acme"] == {}


def test_a_row_that_does_not_say_whose_it_is_keeps_its_name_for_all(orgs: Orgs) -> None:
    _, globex = orgs
    for org in orgs:
        Document.objects.create(organization=org, file=file(b"of a document"))
    Document.objects.all().delete()
    with organization(globex):
        Note.objects.create(file=file(b"a note", "note.txt"))
    Note.objects.create(file="a.txt")

    printed = sweep()
    assert "0 orphans" in printed
    assert "The rows of orgs.Note.file do not show their tenant" in printed
    assert stored_files()["org-acme"] == {"a.txt": b"of a document"}


def test_rows_of_which_a_callable_tells_the_owner_keep_their_names(orgs: Orgs) -> None:
    acme, _ = orgs
    Document.objects.create(organization=acme, file=file(b"file"), scan=file(b"scan", "scan.txt"))
    assert "0 orphans" in sweep()


def test_missing_files_are_those_of_the_rows_owner(orgs: Orgs) -> None:
    acme, globex = orgs
    Document.objects.create(organization=acme, file=file(b"kept"))
    lost = Document.objects.create(organization=globex, file="a.txt")
    with organization(acme):
        Note.objects.create(file=file(b"note", "note.txt"))

    printed = sweep("--check-missing", "--dry-run")
    assert f"missing: org-globex/a.txt, which orgs.Document.file of the row {lost.pk} refers to" in printed
    assert "1 rows refer to a missing object" in printed


# Purging


def test_a_bucket_of_the_same_name_on_another_server_is_taken_for_the_same(orgs: Orgs, rows: Any) -> None:
    acme, _ = orgs
    Document.objects.create(organization=acme, file=file(b"content"))
    Document.objects.all().delete()
    other = {"MINIO_ENDPOINT": "other.example.com", "MINIO_ACCESS_KEY": "k", "MINIO_SECRET_KEY": "s"}
    rows.MINIO_SERVERS = {"other": {**other, "MINIO_PRIVATE_BUCKETS": ["org-acme"]}}

    with pytest.raises(CommandError, match=r"org-acme: .* uses it for all tenants"):
        run("purge_tenant", "acme", "--no-input")
    assert stored_files()["org-acme"] == {"a.txt": b"content"}


def test_a_tenant_is_purged_also_when_its_row_is_gone(orgs: Orgs) -> None:
    acme, _ = orgs
    for org in orgs:
        Document.objects.create(organization=org, file=file(b"content"))
    Document.objects.all().delete()
    acme.delete()

    assert "The tenant 'acme' does not exist" in run("purge_tenant", "acme", "--no-input")
    run("purge_tenant", "globex", "--no-input")
    assert not any(stored_files().values())


def test_a_deleted_tenant_is_purged_after_the_commit_if_that_is_set(
    orgs: Orgs, rows: Any, django_capture_on_commit_callbacks: Any
) -> None:
    acme, _ = orgs
    for org in orgs:
        org.charter.save("charter.txt", file(b"charter"))
    rows.MINIO_PURGE_DELETED_TENANTS = True
    with django_capture_on_commit_callbacks(execute=True):
        acme.delete()
        assert stored_files()["org-acme"]
    assert not stored_files().get("org-acme")
    assert stored_files()["org-globex"] == {"charter.txt": b"charter"}


# Moving


@pytest.fixture(autouse=True)
def their_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of the other test models are those of schemas, which this project does not have."""
    fields = [model._meta.get_field(name) for model, name in FIELDS]
    monkeypatch.setattr(ledger, "all_file_fields", lambda: iter(fields))


def test_files_move_from_one_bucket_to_one_for_each_tenant(orgs: Orgs, route: Route) -> None:
    shared = MinioBackend("shared", public=False)
    for org in orgs:
        shared.save(f"{org.slug}.txt", file(org.slug.encode()))
        Document.objects.create(organization=org, file=f"{org.slug}.txt")
    shared.save("note.txt", file(b"note"))
    Note.objects.create(file="note.txt")
    route(PerTenant("org-{slug}"), fallback="shared")
    run("initialize_buckets", "--all-tenants")

    rows = Document.objects.order_by("pk")
    assert [row.file.read() for row in rows] == [b"acme", b"globex"], "the site is up"
    printed = run("move_objects", "--from=bucket:shared", "--all-tenants", "--delete-source", "--no-input")

    assert [row.file.read() for row in rows.all()] == [b"acme", b"globex"]
    assert stored_files()["org-acme"] == {"acme.txt": b"acme"}
    assert stored_files()["org-globex"] == {"globex.txt": b"globex"}
    assert stored_files()["shared"] == {"note.txt": b"note"}, "nobody knows whose this is"
    assert "No tenant is active" in printed


@pytest.mark.parametrize("how", ["update", "update_fields"])
def test_an_owner_that_changes_without_the_file_copies_nothing(orgs: Orgs, how: str) -> None:
    acme, globex = orgs
    row = Document.objects.create(organization=acme, file=file(b"content"))
    if how == "update":
        Document.objects.update(organization=globex)
    else:
        row.organization = globex
        row.save(update_fields=["organization"])

    with pytest.raises(FileNotFoundError):
        Document.objects.get().file.read()
    assert stored_files()["org-acme"] == {"a.txt": b"content"}


def test_after_a_rename_the_files_are_moved(orgs: Orgs) -> None:
    acme, _ = orgs
    Document.objects.create(organization=acme, file=file(b"content"))
    acme.slug = "acme-2"
    acme.save()
    run("initialize_buckets", "--tenant=acme-2")
    run("move_objects", "--from=bucket:org-acme", "--tenant=acme-2", "--model=orgs.Document")

    assert Document.objects.get().file.read() == b"content"
    assert stored_files()["org-acme-2"] == {"a.txt": b"content"}


def test_a_file_that_a_row_of_nobody_names_stays_in_the_old_place(
    orgs: Orgs, route: Route, rows: Any
) -> None:
    """The old place is each tenant's own, so it cannot be told which of them has that row."""
    acme, _ = orgs
    route(PerTenant("old-{slug}"))
    run("initialize_buckets", "--all-tenants")
    Document.objects.create(organization=acme, file=file(b"content"))
    Note.objects.create(file="a.txt")
    route(PerTenant("org-{slug}"))
    run("initialize_buckets", "--all-tenants")
    old = {"BACKEND": "django_minio_router.strategies.PerTenant", "OPTIONS": {"template": "old-{slug}"}}
    rows.STORAGES = {
        **rows.STORAGES,
        "old": {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": old}},
    }
    how = ["--all-tenants", "--model=orgs.Document", "--delete-source", "--no-input"]
    printed = run("move_objects", "--from=old", *how)
    assert stored_files()["org-acme"] == {"a.txt": b"content"}
    assert stored_files()["old-acme"] == {"a.txt": b"content"}, printed


def test_buckets_that_schemas_left_stay_where_they_are(orgs: Orgs, route: Route) -> None:
    """A project that moves its rows out of schemas keeps the names of the buckets in a field."""
    acme, _ = orgs
    MinioBackend("media-acme-schema", public=False).save("a.txt", file(b"of the schema"))
    acme.name = "media-acme-schema"
    acme.save()
    route(PerTenant(field="name"))

    assert Document(organization=acme, file="a.txt").file.read() == b"of the schema"
