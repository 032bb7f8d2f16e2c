"""Files of rows on the public schema go to the tenant that owns the row."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from types import SimpleNamespace

import django
import pytest
from django.contrib.admin import AdminSite, ModelAdmin
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.db import connection, transaction
from django.forms import modelform_factory
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context
from PIL import Image

from django_minio_router import TenantRequired
from django_minio_router.exceptions import BucketNotFound
from tests.apps.brands.models import Brand, Font, Seal
from tests.apps.customers.models import Client

Contents = Callable[[str], dict[str, bytes]]


def png(width: int, height: int) -> ContentFile:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return ContentFile(buffer.getvalue(), name="logo.png")


def bucket_of(tenant: Client) -> str:
    return f"test-brands-{tenant.schema_name}"


def test_each_rows_file_goes_to_its_owner_on_the_public_schema(
    north: Client, south: Client, contents: Contents
) -> None:
    assert connection.schema_name == "public"
    Brand.objects.create(company=north, logo=png(2, 1))
    Brand.objects.create(company=south, logo=png(4, 3))

    assert list(contents(bucket_of(north))) == ["logo.png"]
    assert list(contents(bucket_of(south))) == ["logo.png"]
    sizes = Brand.objects.order_by("pk").values_list("width", "height")
    assert list(sizes) == [(2, 1), (4, 3)]


def test_the_active_tenant_does_not_matter(north: Client, south: Client, contents: Contents) -> None:
    with tenant_context(south):
        Brand.objects.create(company=north, logo=png(1, 1))

    assert list(contents(bucket_of(north))) == ["logo.png"]
    assert contents(bucket_of(south)) == {}


@pytest.mark.skipif(django.VERSION < (5, 1), reason="Django reads the dimensions with the field's storage.")
def test_a_storage_that_is_set_on_a_file_is_used(north: Client, contents: Contents) -> None:
    brand = Brand.objects.create(company=north, logo=png(1, 1))
    other = InMemoryStorage()
    brand.logo.storage = other
    brand.logo.save("other.png", png(2, 2), save=False)

    assert other.exists("other.png")
    assert list(contents(bucket_of(north))) == ["logo.png"]
    del brand.logo.storage
    assert brand.logo.storage.exists("logo.png")


def test_a_list_with_select_related_links_to_each_owner_without_a_query(
    north: Client, south: Client, django_assert_num_queries
) -> None:
    Brand.objects.create(company=north, logo=png(1, 1))
    Brand.objects.create(company=south, logo=png(1, 1))
    brands = list(Brand.objects.select_related("company").order_by("pk"))
    with django_assert_num_queries(0):
        links = [brand.logo.url for brand in brands]

    assert [bucket_of(north) in links[0], bucket_of(south) in links[1]] == [True, True]


def test_the_owner_may_be_a_dotted_path_or_a_callable(north: Client, contents: Contents) -> None:
    brand = Brand.objects.create(company=north)
    font = Font(brand=brand)
    font.file.save("a.woff", ContentFile(b"path"), save=False)
    font.licence.save("b.txt", ContentFile(b"callable"), save=False)

    assert contents(bucket_of(north)) == {"a.woff": b"path", "b.txt": b"callable"}


def test_a_file_whose_row_is_taken_away_still_belongs_to_its_owner(
    north: Client, south: Client, contents: Contents
) -> None:
    """As django-cleanup does, which deletes the old file of a row without touching the row."""
    brand = Brand.objects.create(company=north, logo=png(1, 1))
    Seal.objects.create(schema_name=north.schema_name, file=ContentFile(b"seal", name="seal.txt"))
    Brand.objects.create(company=south, logo=png(1, 1))
    for file in Brand.objects.get(pk=brand.pk).logo, Seal.objects.get().file:
        file.instance = SimpleNamespace()
        file.delete(save=False)

    assert contents(bucket_of(north)) == {}
    assert list(contents(bucket_of(south))) == ["logo.png"]


def read_brand(brand: Brand) -> Brand:
    return Brand.objects.get(pk=brand.pk)


def again(brand: Brand) -> Brand:
    return brand


@pytest.mark.parametrize("how", [read_brand, again])
def test_a_file_whose_row_gets_another_owner_is_copied_to_it_when_that_is_saved(
    north: Client, south: Client, contents: Contents, how: Callable[[Brand], Brand]
) -> None:
    Brand.objects.create(company=south, logo=png(2, 1))
    brand = how(Brand.objects.create(company=north, logo=png(4, 3)))

    brand.company = south
    with brand.logo.open() as file:
        assert Image.open(file).size == (4, 3)
    assert bucket_of(north) in brand.logo.url
    brand.save()

    assert brand.logo.name != "logo.png"  # which is south's own
    for row in (brand, Brand.objects.get(pk=brand.pk)):
        assert (row.width, row.height) == (4, 3)
        assert bucket_of(south) in row.logo.url
        with row.logo.open() as file:
            assert Image.open(file).size == (4, 3)
    assert (len(contents(bucket_of(north))), len(contents(bucket_of(south)))) == (1, 2)


def test_the_page_that_is_shown_again_links_no_file_of_the_new_owner(north: Client, south: Client) -> None:
    Brand.objects.create(company=south, logo=png(2, 1))
    brand = Brand.objects.create(company=north, logo=png(4, 3))
    form_class = modelform_factory(Brand, fields=["company", "logo"])
    for company, errors in ((south.pk, {"logo"}), ("", {"logo"}), (-1, {"company"})):
        shown = Brand.objects.get(pk=brand.pk)
        form = form_class({"company": company}, {"logo": ContentFile(b"no image", "x.png")}, instance=shown)
        assert errors <= set(form.errors)
        page = form.as_p()
        assert bucket_of(north) in page
        assert bucket_of(south) not in page


def test_a_new_file_is_stored_for_the_new_owner_and_the_old_one_keeps_his(
    north: Client, south: Client, contents: Contents
) -> None:
    brand = read_brand(Brand.objects.create(company=north, logo=png(4, 3)))
    brand.company = south
    brand.logo = png(2, 1)
    brand.save()

    assert list(contents(bucket_of(south))) == list(contents(bucket_of(north))) == ["logo.png"]
    assert Image.open(read_brand(brand).logo).size == (2, 1)


def test_a_row_that_is_read_again_has_the_owner_that_it_says(north: Client, south: Client) -> None:
    brand = read_brand(Brand.objects.create(company=north, logo=png(4, 3)))
    other = read_brand(brand)
    other.company = south
    other.save()

    brand.refresh_from_db()

    assert bucket_of(south) in brand.logo.url


def test_another_owner_of_a_callable_is_followed_too(
    north: Client, south: Client, contents: Contents
) -> None:
    one, other = Brand.objects.create(company=north), Brand.objects.create(company=south)
    made = Font.objects.create(
        brand=one, file=ContentFile(b"a", name="a.woff"), licence=ContentFile(b"b", name="b.txt")
    )
    font = Font.objects.defer("licence").get(pk=made.pk)
    font.brand = other
    font.licence  # noqa: B018  which reads the row once more
    font.save()

    assert contents(bucket_of(south)) == {"a.woff": b"a", "b.txt": b"b"}


def test_a_row_whose_owner_stays_is_saved_without_a_query_for_it(north: Client) -> None:
    brand = read_brand(Brand.objects.create(company=north, logo=png(1, 1)))
    with CaptureQueriesContext(connection) as sent:
        brand.save()
    assert not any("customers_client" in query["sql"] for query in sent)


def test_if_a_file_cannot_be_copied_the_row_is_not_saved(
    north: Client, south: Client, bare, settings
) -> None:
    settings.MINIO_PROVISION_TENANTS = False  # else the bucket of a new tenant is made now
    brand = read_brand(Brand.objects.create(company=north, logo=png(1, 1)))
    bare.remove_bucket(bucket_name=bucket_of(south))
    brand.company = south
    with pytest.raises(BucketNotFound), transaction.atomic():
        brand.save()

    assert bucket_of(north) in brand.logo.url
    assert read_brand(brand).company == north


def test_a_row_may_own_its_file_itself(north: Client, contents: Contents) -> None:
    Seal.objects.create(schema_name=north.schema_name, file=ContentFile(b"seal", name="seal.txt"))

    assert contents(bucket_of(north)) == {"seal.txt": b"seal"}


def test_an_unsaved_row_is_enough(north: Client, contents: Contents) -> None:
    brand = Brand(company=north)
    brand.logo.save("new.png", png(1, 1), save=False)

    assert list(contents(bucket_of(north))) == ["new.png"]


@pytest.mark.parametrize("row", [Brand, lambda: Font(brand=Brand()), Font])
def test_a_missing_owner_is_named(db, row: Callable[[], Brand | Font]) -> None:
    instance = row()
    file = instance.logo if isinstance(instance, Brand) else instance.file
    with pytest.raises(TenantRequired, match="has none"):
        file.save("x.png", png(1, 1), save=False)


def test_a_form_stores_for_the_owner_that_it_sets(north: Client, contents: Contents) -> None:
    form = modelform_factory(Brand, fields=["logo", "company"])({"company": north.pk}, {"logo": png(1, 1)})
    assert form.is_valid(), form.errors
    form.save()

    assert list(contents(bucket_of(north))) == ["logo.png"]


@pytest.mark.parametrize("quota", [None, lambda tenant: 10])
def test_a_form_without_an_owner_says_so(db, settings, quota: object) -> None:
    settings.MINIO_QUOTA = quota
    form = modelform_factory(Brand, fields=["company", "logo"])({"company": ""}, {"logo": png(1, 1)})

    assert form.errors["logo"] == ["Choose whose file this is."]
    assert "logo" in form.as_p()  # the page that is shown again


def test_the_admin_on_public_stores_links_and_replaces_for_the_owner(
    rf: RequestFactory, north: Client, contents: Contents
) -> None:
    admin, request = ModelAdmin(Brand, AdminSite()), rf.post("/")
    form_class = admin.get_form(request)

    def submit(brand: Brand | None, *arguments: dict) -> Brand:
        form = form_class(*arguments, instance=brand)
        assert form.is_valid(), form.errors
        saved = admin.save_form(request, form, change=brand is not None)
        admin.save_model(request, saved, form, change=brand is not None)
        return saved

    brand = submit(None, {"company": north.pk}, {"logo": png(1, 1)})
    assert list(contents(bucket_of(north))) == ["logo.png"]
    assert f"{bucket_of(north)}/logo.png" in form_class(instance=brand)["logo"].initial.url

    changed = submit(brand, {"company": north.pk}, {"logo": png(2, 1)})
    assert (changed.width, len(contents(bucket_of(north)))) == (2, 2)


def test_a_file_that_was_pickled_with_its_row_still_knows_the_owner(north: Client) -> None:
    brand = Brand.objects.create(company=north, logo=png(1, 1))
    again = pickle.loads(pickle.dumps(brand))

    assert bucket_of(north) in again.logo.url
    again.logo.delete(save=False)


def test_migrations_name_the_owner_and_stay_clean(db) -> None:
    call_command("makemigrations", "brands", "--check", "--dry-run", verbosity=0)
    assert Brand._meta.get_field("logo").clone().deconstruct()[3]["owner"] == "company"
