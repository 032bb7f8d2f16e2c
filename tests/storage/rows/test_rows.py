"""A row's file stays with the tenant whose row it is: two tenants store under one name, and nobody's file is
read, linked or deleted in the other's place."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import connections, models, transaction
from django.db.migrations.state import ProjectState
from django.db.models import Model
from django.template import Context, Template
from django.test.utils import isolate_apps
from django.utils.module_loading import import_string
from django_tenants.utils import schema_context, tenant_context
from minio import Minio
from PIL import Image

from django_minio_router import MinioRouter, RoutingError, TenantRequired, tenant_bucket_context
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import PerTenant
from django_minio_router.tenancy import current_key
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Invoice, InvoiceProxy, Letter, PaidInvoice, Photo
from tests.apps.everywhere.models import Paper
from tests.apps.in_public.models import Notice
from tests.support.storages import set_storage

pytestmark = pytest.mark.django_db

Read = Callable[[type[Model], Any], Any]


@pytest.fixture
def strategy(bare: Minio, new_name: Callable[[str], str], north: Client, south: Client) -> PerTenant:
    """A bucket for each tenant and for public, named by the row, so that the row must be read."""
    strategy = PerTenant(new_name("rows") + "-{id}", public=new_name("rows-public"))
    for tenant in (north, south):
        with tenant_context(tenant):
            bare.make_bucket(bucket_name=MinioRouter(strategy=strategy).backend.bucket)
    bare.make_bucket(bucket_name=strategy.public)
    return strategy


@pytest.fixture(autouse=True)
def fields(strategy: PerTenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the models store by the strategy, bound as a project's fields are."""
    for model in (Contract, Letter, Notice, Paper, Invoice, PaidInvoice, Photo):
        for field in model._meta.local_fields:
            if isinstance(field, models.FileField):
                set_storage(monkeypatch, field, MinioRouter(strategy=strategy))
                bind_field(field)
    yield
    connections["default"].set_schema_to_public()


def store(tenant: Client, model: Any = Contract, **values: Any) -> Any:
    with tenant_context(tenant):
        return model.objects.create(file=ContentFile(tenant.name.encode(), name="a.txt"), **values)


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (3, 2)).save(content, "PNG")
    return content.getvalue()


def content_of(row: Any) -> bytes:
    with row.file.storage.open(row.file.name) as file:
        return bytes(file.read())


READINGS: dict[str, Read] = {
    "made": lambda model, row: row,
    "read": lambda model, row: model.objects.get(pk=row.pk),
    "only": lambda model, row: model.objects.only("file").get(pk=row.pk),
    "copied": lambda model, row: copy.copy(model.objects.get(pk=row.pk)),
    "pickled": lambda model, row: pickle.loads(pickle.dumps(model.objects.get(pk=row.pk))),
    "with its file pickled": lambda model, row: pickle.loads(pickle.dumps(_touched(model, row))),
    "bulk_create": lambda model, row: model.objects.bulk_create([model(file=row.file.name)])[0],
    "refreshed": lambda model, row: _refreshed(model.objects.get(pk=row.pk)),
}


def _touched(model: Any, row: Any) -> Any:
    found = model.objects.get(pk=row.pk)
    assert found.file.name
    return found


def _refreshed(row: Any) -> Any:
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("how", list(READINGS))
@pytest.mark.parametrize("model", [Contract, Letter, Paper, Invoice, PaidInvoice])
def test_rows_of_a_loop_keep_their_files(north: Client, south: Client, model: Any, how: str) -> None:
    if (model, how) == (PaidInvoice, "bulk_create"):
        pytest.skip("Django makes no rows of several tables at once")
    rows = {}
    for tenant in (north, south):
        row = store(tenant, model)
        with tenant_context(tenant):
            rows[tenant.name] = READINGS[how](model, row)

    for active in (north, south):
        with tenant_context(active):
            assert {name: content_of(row) for name, row in rows.items()} == {
                "north": b"north",
                "south": b"south",
            }
    assert rows["north"].file.url != rows["south"].file.url

    with tenant_context(south):
        rows["north"].file.delete(save=False)
    assert content_of(rows["south"]) == b"south"


def test_a_file_that_is_deleted_after_the_commit_is_the_rows_own(
    north: Client, south: Client, django_capture_on_commit_callbacks: Any
) -> None:
    other, row = store(south), store(north)
    with tenant_context(south), django_capture_on_commit_callbacks(execute=True):
        transaction.on_commit(lambda: row.file.delete(save=False))

    assert content_of(other) == b"south"
    with pytest.raises(FileNotFoundError):
        row.file.storage.open("a.txt")


def test_a_task_that_is_given_the_storage_of_a_file_deletes_the_rows_own(
    north: Client, south: Client
) -> None:
    """As Wagtail does: what ``deconstruct()`` gave makes the storage again in a worker."""
    mine, other = store(north), store(south)
    with tenant_context(north):
        given = json.dumps(Contract.objects.get(pk=mine.pk).file.storage.deconstruct())

    with tenant_context(south):
        path, args, options = json.loads(given)
        import_string(path)(*args, **options).delete(mine.file.name)

    assert not mine.file.storage.exists(mine.file.name)
    assert other.file.read() == b"south"


def test_a_template_that_is_rendered_late_links_the_rows_own_file(north: Client, south: Client) -> None:
    row = store(north)
    with tenant_context(north):
        expected = row.file.url
        rows = list(Contract.objects.all())
    with tenant_context(south):
        text = Template(
            "{% autoescape off %}{% for row in rows %}{{ row.file.url }}{% endfor %}{% endautoescape %}"
        )
        assert text.render(Context({"rows": rows})) == expected


@pytest.mark.parametrize("write", ["save", "bulk_create"])
def test_a_row_that_is_copied_to_another_tenant_takes_its_file_along(
    north: Client, south: Client, write: str
) -> None:
    store(south)
    row = store(north)
    with tenant_context(north):
        row = Contract.objects.get(pk=row.pk)

    row.pk = None
    with tenant_context(south):
        row.save(force_insert=True) if write == "save" else Contract.objects.bulk_create([row])
        assert content_of(Contract.objects.latest("pk")) == b"north"
    assert row.file.name != "a.txt"  # which is south's own
    with tenant_context(north):
        assert content_of(Contract.objects.get()) == b"north"


def test_a_storage_that_is_set_on_a_file_is_used(north: Client) -> None:
    """As projects do that choose a storage for each row."""
    row = store(north)
    other = InMemoryStorage()
    other.save("a.txt", ContentFile(b"other"))

    with mock.patch.object(row.file, "storage", other):
        assert row.file.open().read() == b"other"
    row.file.close()
    assert content_of(row) == b"north"
    stored = row.file.storage
    row.file.storage = other
    row.file.delete(save=False)
    assert not other.exists("a.txt")
    assert stored.exists("a.txt")


def test_a_row_read_again_in_another_tenant_is_that_tenants(north: Client, south: Client) -> None:
    row, other = store(north), store(south)
    row.pk = other.pk
    with tenant_context(south):
        row.refresh_from_db()
    assert content_of(row) == b"south"


def test_images_with_sizes_are_opened_as_the_rows_own(north: Client, south: Client) -> None:
    with tenant_context(north):
        made = Photo.objects.create(image=ContentFile(png(), name="p.png"))
        Photo.objects.update(width=0, height=0)
        row = Photo.objects.get(pk=made.pk)
    with tenant_context(south):
        assert row.image.width > 0
        row.pk = None
        row.save(force_insert=True)
        assert Photo.objects.get().image.read() == png()


def test_a_shared_row_is_publics_wherever_it_is_shown(north: Client, strategy: PerTenant) -> None:
    """A user's avatar, shown or removed on a tenant's site, is not the tenant's document of that name."""
    contract = store(north)
    notice = Notice.objects.create(file=ContentFile(b"public", name="a.txt"))

    with tenant_context(north):
        for row in (notice, Notice.objects.get(pk=notice.pk)):
            assert content_of(row) == b"public"
        Notice.objects.get(pk=notice.pk).file.delete(save=False)
        assert content_of(contract) == b"north"
        new = Notice.objects.create(file=ContentFile(b"new", name="b.txt"))
        assert new.file.storage.backend.bucket == strategy.public


def test_a_shared_row_has_no_bucket_if_public_has_none(
    north: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Notice._meta.get_field("file")
    set_storage(monkeypatch, field, MinioRouter(strategy=PerTenant()))
    bind_field(field)

    with tenant_context(north), pytest.raises(TenantRequired):
        Notice.objects.create(file=ContentFile(b"x", name="a.txt"))


def test_a_tenant_that_is_entered_within_a_bucket_context_comes_first(north: Client, south: Client) -> None:
    with tenant_bucket_context(north), tenant_context(south):
        row = Contract.objects.create(file=ContentFile(b"south", name="a.txt"))
    with tenant_context(south):
        assert content_of(Contract.objects.get(pk=row.pk)) == b"south"


def test_a_row_and_its_file_never_part(north: Client, south: Client) -> None:
    with (
        tenant_context(north),
        tenant_bucket_context(south),
        pytest.raises(RoutingError, match="Enter tenant_context"),
        transaction.atomic(),
    ):
        Contract.objects.create(file=ContentFile(b"x", name="a.txt"))

    with (
        tenant_bucket_context(south),
        pytest.raises(RoutingError, match="would be saved for 'public'"),
        transaction.atomic(),
    ):
        Paper.objects.create(file=ContentFile(b"x", name="a.txt"))  # which has a table on public too

    assert Paper.objects.count() == 0
    with tenant_context(south):
        assert MinioRouter(strategy=Contract._meta.get_field("file").storage.strategy).listdir("") == ([], [])


@pytest.mark.parametrize("limit", [False, True])
@pytest.mark.parametrize("atomic", [False, True])
def test_the_first_row_of_a_schema_is_written_to_that_schema(
    north: Client, settings: Any, limit: bool, atomic: bool
) -> None:
    """The tenant's row is read in the middle of the INSERT, whose cursor is open already."""
    settings.TENANT_LIMIT_SET_CALLS = limit
    with schema_context(north.schema_name):
        if atomic:
            with transaction.atomic(), transaction.atomic():
                Paper.objects.create(file=ContentFile(b"north", name="a.txt"))
        else:
            Paper.objects.create(file=ContentFile(b"north", name="a.txt"))
        assert Paper.objects.count() == 1
    assert Paper.objects.count() == 0


class Asking(PerTenant):
    """Sends a query where no tenant is active."""

    def bucket_for(self, model: type[Model] | None) -> str:
        assert current_key() or Client.objects.exists()
        return super().bucket_for(model)


def test_whoever_sends_a_query_on_public_for_a_quota_the_row_goes_to_its_schema(
    north: Client, strategy: PerTenant, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Paper._meta.get_field("file")
    set_storage(monkeypatch, field, MinioRouter(strategy=Asking(strategy.template)))
    bind_field(field)
    settings.MINIO_QUOTA = lambda tenant: 10_000

    with tenant_context(north):
        Paper.objects.create(file=ContentFile(b"north", name="a.txt"))
        assert Paper.objects.count() == 1
    assert Paper.objects.count() == 0


def test_the_rows_own_connection_decides(north: Client, south: Client, primary: str) -> None:
    connections[primary].set_tenant(south)
    made = Paper.objects.using(primary).create(file="a.txt")
    try:
        store(south)
        with tenant_context(north):
            assert content_of(Paper.objects.using(primary).get(pk=made.pk)) == b"south"
    finally:
        made.delete()


def test_the_connection_that_a_row_is_saved_to_decides(north: Client, south: Client, primary: str) -> None:
    connections[primary].set_tenant(south)
    rows = Contract.objects.using(primary)
    made = rows.create(file=ContentFile(b"south", name="a.txt"))
    try:
        assert content_of(made) == content_of(rows.get()) == b"south"
        with pytest.raises(RoutingError, match="its file stored for None"):
            rows.bulk_create([Contract(file=ContentFile(b"public", name="a.txt"))])
        with tenant_context(north):
            for write in (lambda row: row.save(using=primary), lambda row: rows.bulk_create([row])):
                with pytest.raises(RoutingError, match=f"for {south.schema_name!r}, but its file stored for"):
                    write(Contract(file=ContentFile(b"north", name="a.txt")))
        assert rows.count() == 1
    finally:
        made.delete()


def test_proxies_know_it_too(north: Client, south: Client) -> None:
    row = store(north, Invoice)
    with tenant_context(north):
        proxy = InvoiceProxy.objects.get(pk=row.pk)
    with tenant_context(south):
        assert content_of(proxy) == b"north"


def test_a_proxy_that_makes_its_rows_itself_knows_it_too(north: Client, south: Client) -> None:
    """As Django's documentation shows it for ``from_db``, without ``super()``."""
    with isolate_apps("tests.apps.docs"):

        class Own(Contract):
            class Meta:
                proxy = True
                app_label = "docs"

            @classmethod
            def from_db(cls, db: Any, field_names: Any, values: Any, **options: Any) -> Own:
                row = cls(*values)
                row._state.adding, row._state.db = False, db
                return row

    row, _ = store(north), store(south)
    with tenant_context(north):
        proxy = Own.objects.get(pk=row.pk)
    with tenant_context(south):
        assert content_of(proxy) == b"north"


@pytest.mark.skipif(not hasattr(models, "FETCH_PEERS"), reason="Django 6.1 added fetch modes")
def test_rows_fetch_what_they_lack_as_their_query_says(north: Client) -> None:
    row = store(north)
    with tenant_context(north):
        found = Contract.objects.fetch_mode(models.FETCH_PEERS).get(pk=row.pk)  # type: ignore[attr-defined]
        assert found._state.fetch_mode is models.FETCH_PEERS  # type: ignore[attr-defined]


def test_a_proxy_in_an_app_of_the_tenants_stays_publics(north: Client, strategy: PerTenant) -> None:
    """Such as the employees of a tenant, who are users: their table is on public."""
    with isolate_apps("tests.apps.docs"):

        class Shown(Notice):
            class Meta:
                proxy = True
                app_label = "docs"

    with tenant_context(north):
        made = Shown.objects.create(file=ContentFile(b"public", name="a.txt"))
        assert made.file.storage.backend.bucket == strategy.public
        for model in (Shown, Notice):
            assert content_of(model.objects.get(pk=made.pk)) == b"public"


@pytest.mark.parametrize("query", ["rows", "raw", "joined"])
def test_rows_of_a_query_that_goes_on_in_another_tenant_keep_their_files(
    north: Client, south: Client, query: str
) -> None:
    """As with two exports that are read in turns."""

    def read() -> Any:
        if query == "raw":
            return Contract.objects.raw("SELECT * FROM docs_contract").iterator()
        if query == "joined":
            return (row.invoice_ptr for row in PaidInvoice.objects.select_related("invoice_ptr").iterator())
        return Contract.objects.iterator()

    model, values = (PaidInvoice, {"proof": "x"}) if query == "joined" else (Contract, {})
    exports = []
    for tenant in (north, south):
        for _ in range(3):
            store(tenant, model, **values)
        with tenant_context(tenant):
            rows = read()
            next(rows)  # which sends the query
            exports.append(rows)

    for tenant, rows, other in zip((north, south), exports, (south, north), strict=True):
        with tenant_context(other):
            assert [content_of(row) for row in rows] == [tenant.name.encode()] * 2


@pytest.mark.parametrize("how", ["update", "bulk_update"])
def test_a_query_gives_no_row_the_file_of_another_tenant(north: Client, south: Client, how: str) -> None:
    made, other = store(north), store(south)
    with tenant_context(north):
        row = Contract.objects.get(pk=made.pk)

    def assign() -> None:
        if how == "update":
            Contract.objects.filter(pk=other.pk).update(file=row.file)
        else:
            Contract.objects.bulk_update([row], ["file"])

    with (
        tenant_context(south),
        pytest.raises(RoutingError, match=r"Only save\(\) copies a file"),
        transaction.atomic(),
    ):
        assign()
    with tenant_context(north):
        assign()


def test_a_file_is_not_deleted_if_another_tenants_row_would_lose_its_name(
    north: Client, south: Client
) -> None:
    """``file.delete()`` saves the row, by its primary key: to the table of the tenant that is active."""
    row, other = store(north), store(south)
    with tenant_context(north):
        row = Contract.objects.get(pk=row.pk)
    other_pk, row.pk = row.pk, other.pk  # as it happens in schemas, whose keys all begin with 1

    with tenant_context(south):
        with pytest.raises(RoutingError, match="Enter tenant_context"):
            row.file.delete()
        assert content_of(Contract.objects.get(pk=other.pk)) == b"south"
    row.pk = other_pk
    assert content_of(row) == b"north"
    with tenant_context(north):
        row.file.delete()
        assert not Contract.objects.get(pk=row.pk).file


def test_a_field_that_is_copied_into_another_kind_keeps_nothing_of_a_file() -> None:
    """As django-simple-history makes its fields, whose rows are saved again for a reason of change."""
    text = copy.copy(Contract._meta.get_field("file"))
    text.__class__ = models.TextField
    row = Contract()
    vars(row)["file"] = "a.txt"
    with mock.patch.object(Contract, "file", "a.txt"):
        assert text.pre_save(row, add=False) == "a.txt"
    assert text.get_db_prep_save("a.txt", connections["default"]) == "a.txt"


def test_rows_of_a_data_migration_know_it(north: Client, south: Client, strategy: PerTenant) -> None:
    row, other = store(north), store(south)
    then = ProjectState.from_apps(apps).apps.get_model("docs", "Contract")
    field = then._meta.get_field("file")
    field.storage = MinioRouter(strategy=strategy)
    bind_field(field)
    with tenant_context(north):
        old = then.objects.get(pk=row.pk)
    with tenant_context(south):
        assert content_of(old) == b"north"
        old.file.delete(save=False)
        assert content_of(other) == b"south"


def test_a_call_leaves_each_connection_on_its_schema(
    north: Client, strategy: PerTenant, primary: str, settings: Any
) -> None:
    """Also the one that tenants are told by, although their rows are on public."""
    settings.TENANT_DB_ALIAS = primary
    for alias in ("default", primary):
        connections[alias].set_schema(north.schema_name)
        assert Paper.objects.using(alias).count() == 0

    MinioRouter(strategy=strategy).url("a.txt")

    for alias in ("default", primary):
        with connections[alias].connection.cursor() as raw:  # which does not set it first
            assert raw.execute("SHOW search_path").fetchone()[0].startswith(north.schema_name)


def test_of_an_upload_that_fails_the_old_file_stays_the_rows(north: Client, south: Client) -> None:
    row = store(north)
    with tenant_context(south), pytest.raises(AttributeError):
        row.file.save("b.txt", object())
    assert content_of(row) == b"north"
