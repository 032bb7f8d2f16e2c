"""Rows of all organizations in one table: the owner of each says where its file is, whoever is active."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.forms import modelform_factory
from django.test import RequestFactory
from PIL import Image

from django_minio_router import RoutingError, TenantRequired
from django_minio_router.strategies import BucketStrategy, PerTenant
from django_minio_router.tenancy import current_owner, tenant_bucket_context
from django_minio_router.testing import stored_files
from tests.apps.orgs.models import Document, Note, Organization, Page, organization

from .conftest import queries

Orgs = tuple[Organization, Organization]


def file(content: bytes, name: str = "a.txt") -> ContentFile:
    return ContentFile(content, name=name)


def picture() -> ContentFile:
    buffer = BytesIO()
    Image.new("RGB", (2, 1)).save(buffer, "PNG")
    return file(buffer.getvalue(), "a.png")


@pytest.fixture
def documents(orgs: Orgs) -> list[Document]:
    """One of each organization, with files of the same name, stored while nobody is active."""
    return [Document.objects.create(organization=org, file=file(org.slug.encode())) for org in orgs]


def test_each_file_is_in_the_bucket_of_its_owner(documents: list[Document]) -> None:
    assert stored_files() == {"org-acme": {"a.txt": b"acme"}, "org-globex": {"a.txt": b"globex"}}


@pytest.mark.parametrize("active", [None, "acme", "globex"])
def test_rows_of_two_tenants_in_one_query_read_and_link_their_own(
    documents: list[Document], active: str | None
) -> None:
    with organization(active):
        rows = list(Document.objects.order_by("pk"))
        assert [row.file.read() for row in rows] == [b"acme", b"globex"]
        assert [link.split("/")[3] for link in (row.file.url for row in rows)] == ["org-acme", "org-globex"]


def test_lists_cost_no_query_for_each_row(documents: list[Document]) -> None:
    related = Document.objects.select_related("organization").order_by("pk")
    Page.objects.bulk_create(Page(document=document, image="a.png") for document in documents)
    pages = Page.objects.select_related("document__organization")
    with queries(2):
        assert all(row.file.url for row in related)
        assert all(page.image.url for page in pages)
    with queries(2):
        assert all(row.file.url for row in Document.objects.prefetch_related("organization"))
    with queries(1):
        assert all(row.file.url for row in related.only("file", "organization__slug"))


def test_deferred_fields_cost_what_django_needs_to_read_them(documents: list[Document]) -> None:
    with queries(3):  # the rows, and the owner of each
        assert all(row.file.url for row in Document.objects.all())
    with queries(1 + 2):  # the row, the name of the file, and the owner
        assert Document.objects.defer("file").get(title="", organization__slug="acme").file.url


def test_bulk_create_stores_for_each_owner(orgs: Orgs) -> None:
    with queries(1):
        Document.objects.bulk_create(
            [Document(organization=org, file=file(org.slug.encode())) for org in orgs]
        )
    assert stored_files() == {"org-acme": {"a.txt": b"acme"}, "org-globex": {"a.txt": b"globex"}}


def test_paths_callables_and_the_tenants_own_row(orgs: Orgs) -> None:
    acme, _ = orgs
    with organization("globex"):
        document = Document.objects.create(
            organization=acme, file=file(b"file"), scan=file(b"scan", "scan.txt")
        )
        Page.objects.create(document=document, image=picture())
        acme.charter.save("charter.txt", file(b"charter"))

    assert sorted(stored_files()["org-acme"]) == ["a.png", "a.txt", "charter.txt", "scan.txt"]
    assert "org-globex" not in {bucket for bucket, files in stored_files().items() if files}


def test_admin_forms_and_pickles_keep_to_the_owner(documents: list[Document], rf: RequestFactory) -> None:
    admin = ModelAdmin(Document, AdminSite())
    with organization("globex"):
        form_class = admin.get_form(rf.get("/"), fields=["file", "organization"])
        links = [form_class(instance=row)["file"].initial.url for row in documents]
        again = pickle.loads(pickle.dumps(documents[0]))
        assert again.file.read() == b"acme"
    assert ["/org-acme/" in links[0], "/org-globex/" in links[1]] == [True, True]


def test_a_form_stores_for_the_owner_that_was_chosen(orgs: Orgs) -> None:
    acme, _ = orgs
    form_class = modelform_factory(Document, fields=["file", "organization"])
    with organization("globex"):
        assert form_class({"organization": ""}, {"file": file(b"?")}).errors["file"] == [
            "Choose whose file this is."
        ]
        form = form_class({"organization": acme.pk}, {"file": file(b"chosen")})
        assert form.is_valid()
        form.save()
    assert stored_files()["org-acme"] == {"a.txt": b"chosen"}


def test_without_an_owner_nothing_is_stored(orgs: Orgs) -> None:
    with organization("acme"), pytest.raises(TenantRequired, match="has none"):
        Document.objects.create(file=file(b"?"))
    assert not any(stored_files().values())


def test_a_row_without_an_owner_goes_to_the_active_tenant(orgs: Orgs) -> None:
    with organization("acme"):
        note = Note.objects.create(file=file(b"note"))
    with tenant_bucket_context("globex"):
        assert note.file.read() == b"note", "it was stored by this object, which knows for whom"
        with pytest.raises(FileNotFoundError):
            Note.objects.get().file.open()
    with pytest.raises(TenantRequired):
        Note.objects.get().file.open()


# Owners that are not tenants


class PerUploader(BucketStrategy):
    """The bucket of whoever uploaded a file."""

    def bucket_for(self, model: Any) -> str:
        return f"user-{current_owner().username}"

    def buckets_for(self, models: Any) -> list[str]:
        return []


def test_an_owner_may_be_anything_that_the_strategy_knows(
    orgs: Orgs, route: Callable[[BucketStrategy], None], rows: Any
) -> None:
    route(PerUploader(), fallback="old-receipts")
    rows.MINIO_QUOTA = lambda tenant: 0  # for tenants
    user = get_user_model().objects.create(username="ann")
    with organization("acme"):
        document = Document(uploaded_by=user)
        document.receipt.save("receipt.txt", file(b"receipt"), save=False)
        assert document.receipt.read() == b"receipt"
    assert stored_files()["user-ann"] == {"receipt.txt": b"receipt"}


def test_a_file_follows_its_row_to_another_owner(orgs: Orgs) -> None:
    acme, globex = orgs
    made = Document.objects.create(organization=acme, file=file(b"file"), scan=file(b"scan"))
    before = stored_files()["org-acme"]
    for document in (made, Document.objects.get()):
        document.organization = globex
        assert (document.file.read(), document.scan.read()) == (b"file", b"scan")
    document.save()
    assert stored_files()["org-acme"] == before
    assert sorted(stored_files()["org-globex"].values()) == [b"file", b"scan"]
    document = Document.objects.get()
    assert (document.file.read(), document.scan.read()) == (b"file", b"scan")


def test_a_file_follows_its_row_to_an_owner_that_is_not_a_tenant(
    orgs: Orgs, route: Callable[[BucketStrategy], None]
) -> None:
    route(PerUploader())
    ann, bob = (get_user_model().objects.create(username=name) for name in ("ann", "bob"))
    document = Document(uploaded_by=ann)
    document.receipt.save("receipt.txt", file(b"receipt"), save=False)
    document.uploaded_by = bob
    assert document.receipt.read() == b"receipt"
    document.receipt.close()
    document.save()
    stored = {"receipt.txt": b"receipt"}
    assert stored_files() == {"user-ann": stored, "user-bob": stored}
    assert Document.objects.get().receipt.read() == b"receipt"


def test_an_owner_that_is_not_a_tenant_has_no_bucket_of_a_tenant(orgs: Orgs) -> None:
    user = get_user_model().objects.create(username="acme")
    with organization("acme"), pytest.raises(TenantRequired, match="is not a tenant"):
        Document(uploaded_by=user).receipt.save("receipt.txt", file(b"?"), save=False)


def test_the_current_owner_is_the_active_tenant_outside_of_owned_fields(orgs: Orgs) -> None:
    acme, globex = orgs
    with organization(acme):
        assert current_owner() == acme
        with tenant_bucket_context(globex.slug):
            assert current_owner() == globex
    with pytest.raises(RoutingError):
        current_owner()


# Quotas


def test_of_two_files_that_fit_alone_the_second_is_refused_as_it_is_saved(orgs: Orgs, rows: Any) -> None:
    acme, _ = orgs
    rows.MINIO_QUOTA = lambda tenant: 8
    form_class = modelform_factory(Document, fields=["organization", "file", "scan"])
    files = {"file": file(b"five!"), "scan": file(b"four", "b.txt")}
    form = form_class({"organization": acme.pk}, files)

    assert form.is_valid(), form.errors
    with pytest.raises(ValidationError, match="are left"):
        form.save()
    assert stored_files()["org-acme"] == {"a.txt": b"five!"}


def test_a_quota_counts_for_the_owner(orgs: Orgs, rows: Any) -> None:
    acme, _ = orgs
    rows.MINIO_QUOTA = lambda tenant: 5 if tenant.slug == "acme" else None
    with organization("globex"), pytest.raises(ValidationError, match="are left"):
        Document(organization=acme).file.save("a.txt", file(b"more than five"), save=False)
    with organization("acme"):
        Document.objects.create(organization=orgs[1], file=file(b"more than five"))
        Document.objects.create(organization=acme, file=file(b"five!"))
    assert stored_files()["org-acme"] == {"a.txt": b"five!"}


@pytest.mark.parametrize("strategy", [PerTenant("org-{slug}"), PerTenant("o-{pk}-{slug}")])
def test_the_same_rows_and_other_templates(
    orgs: Orgs, route: Callable[[BucketStrategy], None], strategy: BucketStrategy
) -> None:
    route(strategy)
    for org in orgs:
        Document.objects.create(organization=org, file=file(org.slug.encode()))
    assert [row.file.read() for row in Document.objects.order_by("pk")] == [b"acme", b"globex"]
