"""A bucket per tenant: on the servers, in threads, in late responses, and under a bare schema name."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.http import FileResponse, StreamingHttpResponse
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import schema_context, tenant_context
from minio import Minio
from PIL import Image

from django_minio_router import (
    ConfigurationError,
    InvalidBucketName,
    MinioRouter,
    RoutingError,
    TenantRequired,
    tenant_bucket_context,
)
from django_minio_router.strategies import BucketStrategy, PerTenant, PerTenantPrefix
from strategies.hash_sharded import HashSharded
from tests.apps.customers.models import Branch, Client
from tests.apps.docs.models import Contract, Invoice, Photo
from tests.support.schemas import make_schema

Contents = Callable[[str], dict[str, bytes]]


def store(tenant: Client, name: str, content: bytes) -> Contract:
    contract = Contract()
    with tenant_context(tenant):
        contract.file.save(name, ContentFile(content), save=False)
    return contract


@pytest.fixture
def public_schema() -> Iterator[None]:
    """Come from a tenant to the public schema, and go back to no tenant."""
    connection.set_schema_to_public()
    yield
    connection.set_schema_to_public()


class TestTwoTenants:
    def test_one_name_in_one_field_is_two_files(
        self, acme: Client, north: Client, contents: Contents
    ) -> None:
        ours, theirs = store(acme, "a.pdf", b"of acme"), store(north, "a.pdf", b"of north")
        assert (ours.file.name, theirs.file.name) == ("a.pdf", "a.pdf")
        assert contents(acme.schema_name) == {"a.pdf": b"of acme"}
        assert contents(north.schema_name) == {"a.pdf": b"of north"}

    def test_every_call_goes_to_the_tenant_of_now(
        self, acme: Client, north: Client, contents: Contents
    ) -> None:
        """On the storage of the field: a row's own file stays its tenant's, see tests/storage/rows."""
        store(acme, "a.pdf", b"of acme")
        storage = Contract._meta.get_field("file").storage
        with tenant_context(north):
            assert not storage.exists("a.pdf")
            assert storage.listdir("") == ([], [])
            for call in (storage.size, storage.open, storage.get_modified_time):
                with pytest.raises(FileNotFoundError):
                    call("a.pdf")
            assert storage.get_available_name("a.pdf") == "a.pdf"
            assert f"/{north.schema_name}/a.pdf" in storage.url("a.pdf")
            storage.delete("a.pdf")
        with tenant_context(acme):
            assert storage.exists("a.pdf")
            assert storage.size("a.pdf") == 7
            assert storage.listdir("") == ([], ["a.pdf"])
            assert storage.open("a.pdf").read() == b"of acme"
            assert storage.get_available_name("a.pdf") != "a.pdf"
            assert f"/{acme.schema_name}/a.pdf" in storage.url("a.pdf")
            storage.delete("a.pdf")
        assert contents(acme.schema_name) == {}

    def test_an_image_knows_its_size(self, acme: Client, contents: Contents) -> None:
        picture = BytesIO()
        Image.new("RGB", (3, 2)).save(picture, "PNG")
        photo = Photo()
        with tenant_context(acme):
            photo.image.save("a.png", ContentFile(picture.getvalue()), save=False)
            for same in (photo, Photo(image="a.png")):
                assert (same.image.width, same.image.height) == (3, 2)
        assert contents(acme.schema_name) == {"a.png": picture.getvalue()}

    @pytest.mark.django_db
    def test_rows_in_schemas_of_their_own(
        self, new_name: Callable[[str], str], bare: Minio, contents: Contents
    ) -> None:
        schema_names = [new_name("acme"), new_name("north")]
        for schema_name in schema_names:
            tenant = Client(schema_name=schema_name, name=schema_name)
            tenant.save()
            make_schema(tenant)
            bare.make_bucket(bucket_name=schema_name)
            with tenant_context(tenant):
                Contract.objects.create(file=ContentFile(schema_name.encode(), name="a.pdf"))
        for schema_name in schema_names:
            with schema_context(schema_name):
                contract = Contract.objects.get()
                assert contract.file.name == "a.pdf"
                assert contract.file.read() == schema_name.encode()
            assert contents(schema_name) == {"a.pdf": schema_name.encode()}

    def test_threads_keep_to_their_tenants(self, make_tenant: Any, contents: Contents) -> None:
        tenants = [make_tenant(f"tenant{number}") for number in range(4)]
        together = threading.Barrier(8)

        def work(number: int) -> None:
            tenant = tenants[number % 4]
            with tenant_context(tenant):
                for turn in range(5):
                    together.wait(timeout=60)
                    contract = Contract()
                    content = f"{tenant.schema_name} {number} {turn}".encode()
                    contract.file.save(f"{number}-{turn}.txt", ContentFile(content), save=False)
                    assert contract.file.storage.open(contract.file.name).read() == content

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
        for index, tenant in enumerate(tenants):
            assert contents(tenant.schema_name) == {
                f"{number}-{turn}.txt": f"{tenant.schema_name} {number} {turn}".encode()
                for number in (index, index + 4)
                for turn in range(5)
            }


class TestNoTenant:
    CALLS = (
        lambda storage: storage.save("a.txt", ContentFile(b"a")),
        lambda storage: storage.open("a.txt"),
        lambda storage: storage.delete("a.txt"),
        lambda storage: storage.exists("a.txt"),
        lambda storage: storage.listdir(""),
        lambda storage: storage.size("a.txt"),
        lambda storage: storage.url("a.txt"),
        lambda storage: storage.get_modified_time("a.txt"),
        lambda storage: storage.get_available_name("a.txt"),
    )

    @pytest.mark.parametrize("call", CALLS)
    def test_on_public_every_call_raises(
        self, call: Callable[[Any], Any], public_schema: None, bare: Minio
    ) -> None:
        with pytest.raises(TenantRequired, match="No tenant is active"):
            call(Contract().file.storage)
        assert not bare.bucket_exists(bucket_name="public")

    def test_the_error_names_the_field_and_what_is_active(self, public_schema: None) -> None:
        storage = Contract().file.storage
        for asked in (storage, copy.copy(storage), pickle.loads(pickle.dumps(storage))):
            with pytest.raises(TenantRequired) as caught:
                asked.url("a.txt")
            assert caught.value.field == "docs.Contract.file"
            assert str(caught.value).startswith("No tenant is active (the schema is 'public'), so ")
            assert str(caught.value).endswith("(The field is docs.Contract.file.)")

    def test_outside_of_fields_no_field_is_named(self, public_schema: None) -> None:
        with pytest.raises(TenantRequired) as caught:
            MinioRouter(strategy=PerTenant()).url("a.txt")
        assert caught.value.field == ""
        assert "field" not in str(caught.value)

    @pytest.mark.parametrize("call", CALLS)
    def test_in_a_new_thread_every_call_raises(
        self, call: Callable[[Any], Any], acme: Client, contents: Contents
    ) -> None:
        """A thread has a database connection of its own, which knows no tenant."""
        with tenant_context(acme), ThreadPoolExecutor(1) as threads:
            routed = threads.submit(call, Contract().file.storage)
            with pytest.raises(TenantRequired):
                routed.result()
        assert contents(acme.schema_name) == {}

    def test_in_an_async_task_the_thread_is_asked(self, acme: Client) -> None:
        async def ask() -> str:
            return await asyncio.to_thread(Contract().file.storage.url, "a.txt")

        with tenant_context(acme), pytest.raises(TenantRequired):
            asyncio.run(ask())

    def test_the_remedy_is_named(self, public_schema: None) -> None:
        with pytest.raises(
            TenantRequired, match=r"Enter tenant_context\(tenant\), or give PerTenant\(public="
        ):
            Contract().file.storage.url("a.txt")

    def test_a_bucket_for_public_takes_public_files(
        self, acme: Client, bucket: str, contents: Contents, public_schema: None
    ) -> None:
        router = MinioRouter(strategy=PerTenant(public=bucket))
        router.save("a.txt", ContentFile(b"of public"))
        with tenant_context(acme):
            router.save("a.txt", ContentFile(b"of acme"))
        assert contents(bucket) == {"a.txt": b"of public"}
        assert contents(acme.schema_name) == {"a.txt": b"of acme"}

    def test_no_tenant_gets_the_bucket_of_public(self, bucket: str, contents: Contents) -> None:
        """Whoever may choose a schema name must not choose another one's bucket with it."""
        router = MinioRouter(strategy=PerTenant(public=bucket))
        intruder = Client(schema_name=bucket)
        with tenant_context(intruder), pytest.raises(RoutingError, match="and to public"):
            router.save("a.txt", ContentFile(b"?"))
        assert contents(bucket) == {}


class TestLateResponses:
    """A response streams after the view, when the middleware may have gone on to another tenant."""

    def test_a_file_response(self, acme: Client, north: Client) -> None:
        size = 1024 * 1024
        contract = store(acme, "a.bin", b"a" * size)
        store(north, "a.bin", b"n" * size)
        with tenant_context(acme):
            response = FileResponse(contract.file.open(), as_attachment=True)
        with tenant_context(north):
            assert response.getvalue() == b"a" * size
        assert response.headers["Content-Length"] == str(size)

    def test_a_streaming_response(self, acme: Client, north: Client) -> None:
        size = 1024 * 1024
        contract = store(acme, "a.bin", b"a" * size)
        store(north, "a.bin", b"n" * size)
        with tenant_context(acme):
            response = StreamingHttpResponse(contract.file.open().chunks())
        parts = iter(response)
        received = []
        for tenant in (north, acme, north):
            with tenant_context(tenant):
                received.append(next(parts))
        connection.set_schema_to_public()
        received.extend(parts)
        assert b"".join(received) == b"a" * size

    def test_a_file_that_is_opened_again(self, acme: Client, north: Client) -> None:
        contract = store(acme, "a.txt", b"of acme")
        store(north, "a.txt", b"of north")
        with tenant_context(acme):
            opened = contract.file.storage.open("a.txt")
        opened.close()
        with tenant_context(north):
            assert opened.open().read() == b"of acme"

    def test_a_file_that_is_opened_late_belongs_to_the_tenant_of_then(self, acme: Client) -> None:
        """The limit of it: what is not opened yet has no bucket yet. Without a tenant it fails closed."""
        contract = store(acme, "a.txt", b"of acme")
        late = Contract(file=contract.file.name).file.chunks()
        connection.set_schema_to_public()
        with pytest.raises(TenantRequired):
            next(late)


@pytest.mark.django_db
class TestSchemaContext:
    """``schema_context("acme")`` gives the connection a schema name, and no row to take fields from."""

    @pytest.fixture
    def tenant(
        self, new_name: Callable[[str], str], django_capture_on_commit_callbacks: Callable[..., Any]
    ) -> Client:
        tenant = Client(schema_name=new_name("acme"), name=new_name("bucket"))
        with django_capture_on_commit_callbacks(execute=True):
            tenant.save()
        return tenant

    def bucket_of(self, **options: Any) -> str:
        return MinioRouter(strategy=PerTenant(**options)).backend.bucket

    @contextmanager
    def reads(self, number: int) -> Iterator[None]:
        """Expect so many queries for tenant rows. django-tenants adds one of its own to set the path."""
        with CaptureQueriesContext(connection) as captured:
            yield
        found = [query["sql"] for query in captured if "SET search_path" not in query["sql"]]
        assert len(found) == number, found

    def test_the_schema_name_alone_needs_no_query(
        self, tenant: Client, django_assert_num_queries: Any
    ) -> None:
        with schema_context(tenant.schema_name), django_assert_num_queries(0):
            assert self.bucket_of() == tenant.schema_name
            assert self.bucket_of(template="a-{schema_name}") == f"a-{tenant.schema_name}"

    @pytest.mark.parametrize(
        "options",
        [{"template": "media-{id}"}, {"field": "name"}, {"function": lambda row: f"media-{row.id}"}],
    )
    def test_other_fields_take_one_query(
        self, tenant: Client, options: dict[str, Any], django_assert_num_queries: Any
    ) -> None:
        expected = tenant.name if "field" in options else f"media-{tenant.id}"
        with schema_context(tenant.schema_name):
            with self.reads(1):
                assert self.bucket_of(**options) == expected
            with django_assert_num_queries(0):
                for _ in range(3):
                    assert self.bucket_of(**options) == expected
            assert connection.schema_name == tenant.schema_name

    def test_a_row_on_the_connection_needs_none(self, tenant: Client, django_assert_num_queries: Any) -> None:
        with tenant_context(tenant), django_assert_num_queries(0):
            assert self.bucket_of(field="name") == tenant.name
            tenant.name = "not-saved-yet"
            assert self.bucket_of(field="name") == "not-saved-yet"

    def test_a_changed_row_is_read_again(self, tenant: Client, new_name: Callable[[str], str]) -> None:
        with schema_context(tenant.schema_name):
            assert self.bucket_of(field="name") == tenant.name
        tenant.name = new_name("renamed")
        tenant.save()
        with schema_context(tenant.schema_name), self.reads(1):
            assert self.bucket_of(field="name") == tenant.name

    def test_a_change_that_is_rolled_back_leaves_nothing(
        self, tenant: Client, new_name: Callable[[str], str]
    ) -> None:
        """Files would go where the row never said, until the row is read again."""
        before, changed = tenant.name, new_name("changed")
        with transaction.atomic():
            tenant.name = changed
            tenant.save()
            with schema_context(tenant.schema_name):
                assert self.bucket_of(field="name") == changed
            transaction.set_rollback(True)
        with schema_context(tenant.schema_name):
            assert self.bucket_of(field="name") == before

    def test_a_deleted_row_is_forgotten(self, tenant: Client) -> None:
        schema_name = tenant.schema_name
        with schema_context(schema_name):
            assert self.bucket_of(field="name") == tenant.name
        tenant.delete(force_drop=False)
        with schema_context(schema_name), pytest.raises(TenantRequired, match=schema_name):
            self.bucket_of(field="name")

    def test_a_row_that_is_changed_or_deleted_as_a_proxy_is_forgotten_too(
        self, tenant: Client, new_name: Callable[[str], str]
    ) -> None:
        branch = Branch.objects.get(pk=tenant.pk)
        with schema_context(branch.schema_name):
            assert self.bucket_of(field="name") == tenant.name
        branch.name = new_name("renamed")
        branch.save()
        with schema_context(branch.schema_name):
            assert self.bucket_of(field="name") == branch.name
        Branch.objects.filter(pk=branch.pk).delete()
        with schema_context(tenant.schema_name), pytest.raises(TenantRequired, match="no tenant has it"):
            self.bucket_of(field="name")

    def test_a_name_that_a_tenant_gave_up_is_forgotten(
        self, tenant: Client, new_name: Callable[[str], str]
    ) -> None:
        given_up = tenant.schema_name
        with schema_context(given_up):
            assert self.bucket_of(template="media-{id}") == f"media-{tenant.id}"
        tenant.schema_name = new_name("renamed")
        tenant.save()
        with schema_context(given_up), pytest.raises(TenantRequired, match="no tenant has it"):
            self.bucket_of(template="media-{id}")

    @pytest.mark.django_db(transaction=True)
    def test_a_row_that_another_thread_reads_before_the_commit_is_read_again_after_it(
        self, tenant: Client, new_name: Callable[[str], str]
    ) -> None:
        def read() -> str:
            with closing(connection), schema_context(tenant.schema_name):
                return self.bucket_of(field="name")

        before, tenant.name = tenant.name, new_name("renamed")
        with ThreadPoolExecutor(1) as threads:
            with transaction.atomic():
                tenant.save()
                assert threads.submit(read).result() == before
            assert threads.submit(read).result() == tenant.name

    @pytest.mark.django_db(transaction=True)
    def test_a_row_that_another_thread_saves_while_it_is_read_is_read_again(
        self, tenant: Client, new_name: Callable[[str], str]
    ) -> None:
        before, tenant.name = tenant.name, new_name("renamed")

        def save() -> None:
            with closing(connection):
                tenant.save()

        def save_after(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
            result = execute(sql, *args)
            if Client._meta.db_table in sql:
                threads.submit(save).result()
            return result

        with ThreadPoolExecutor(1) as threads, schema_context(tenant.schema_name):
            with connection.execute_wrapper(save_after):
                assert self.bucket_of(field="name") == before
            assert self.bucket_of(field="name") == tenant.name

    @pytest.mark.django_db(transaction=True)
    def test_a_row_that_another_alias_saves_is_read_again_after_its_commit(
        self, tenant: Client, primary: str, new_name: Callable[[str], str]
    ) -> None:
        before, tenant.name = tenant.name, new_name("renamed")
        with schema_context(tenant.schema_name):
            with transaction.atomic(using=primary):
                tenant.save(using=primary)
                assert self.bucket_of(field="name") == before
            assert self.bucket_of(field="name") == tenant.name

    def test_a_schema_without_a_tenant_has_no_bucket(self, new_name: Callable[[str], str]) -> None:
        with schema_context(new_name("nobody")), pytest.raises(TenantRequired, match="no tenant has it"):
            self.bucket_of(field="name")

    def test_files_stay_where_they_are_when_a_schema_is_renamed(
        self, tenant: Client, bare: Minio, contents: Contents, new_name: Callable[[str], str]
    ) -> None:
        template = new_name("media") + "-{id}"
        bucket = template.format(id=tenant.id)
        bare.make_bucket(bucket_name=bucket)
        router = MinioRouter(strategy=PerTenant(template))
        with schema_context(tenant.schema_name):
            router.save("a.txt", ContentFile(b"kept"))
        tenant.schema_name = new_name("renamed")
        tenant.save()
        with schema_context(tenant.schema_name):
            assert router.open("a.txt").read() == b"kept"
        assert contents(bucket) == {"a.txt": b"kept"}


class TestWhatATenantLacks:
    @pytest.mark.parametrize("value", [None, ""])
    @pytest.mark.parametrize("options", [{"template": "media-{name}"}, {"field": "name"}])
    def test_an_empty_field_names_no_bucket(self, value: str | None, options: dict[str, Any]) -> None:
        router = MinioRouter(strategy=PerTenant(**options))
        nameless = Client(schema_name="acme", name=value)
        empty = pytest.raises(RoutingError, match="'name', which is empty for the tenant 'acme'")
        with tenant_context(nameless), empty:
            router.url("a.txt")

    def test_a_key_that_the_insert_gives_is_not_there_before(
        self, db: None, bucket: str, contents: Contents
    ) -> None:
        """Django stores files before it inserts the row."""
        strategy = PerTenant(function=lambda tenant: bucket if tenant.pk else PerTenant("n-{id}")._name())
        files = MinioRouter(strategy=strategy)
        tenant = Client(schema_name="t-without-a-key", name="x")
        with pytest.raises(RoutingError, match=r"'id', which is empty .* save it before its file"):
            files.on_behalf_of(tenant).save("logo.png", ContentFile(b"x"))

        tenant.save()
        files.on_behalf_of(tenant).save("logo.png", ContentFile(b"x"))
        assert contents(bucket) == {"logo.png": b"x"}

    @pytest.mark.parametrize("options", [{"template": "media-{nope}"}, {"field": "nope"}])
    def test_an_unknown_field_is_named(self, options: dict[str, Any]) -> None:
        router = MinioRouter(strategy=PerTenant(**options))
        unknown = pytest.raises(ConfigurationError, match="'nope', which Client does not have")
        with tenant_context(Client(schema_name="acme")), unknown:
            router.url("a.txt")

    @pytest.mark.parametrize("name", ["domains", "save", "head_office"])
    def test_what_is_no_value_names_no_bucket(self, name: str) -> None:
        """The text of a relation or of another row may be the same for many tenants."""
        router = MinioRouter(strategy=PerTenant(f"media-{{{name}}}"))
        acme = Client(pk=1, schema_name="acme")
        acme.head_office = Client(name="Hamburg")  # type: ignore[attr-defined]
        with tenant_context(acme), pytest.raises(ConfigurationError, match=f"'{name}' of the tenant, a "):
            router.url("a.txt")

    @pytest.mark.parametrize("name", ["Not_Valid", "ab", "a..b", "minio"])
    def test_a_stored_name_that_s3_refuses_is_named_with_the_strategy(self, name: str) -> None:
        router = MinioRouter(strategy=PerTenant(field="name"))
        refused = pytest.raises(InvalidBucketName, match=rf"PerTenant\(field='name'\) .* {name!r}")
        with tenant_context(Client(schema_name="acme", name=name)), refused:
            router.url("a.txt")

    @pytest.mark.parametrize("answer", [None, 7, b"media", "", ["media"], "a/b"])
    def test_a_function_must_give_a_name(self, answer: Any) -> None:
        router = MinioRouter(strategy=PerTenant(function=lambda tenant: answer))
        with tenant_context(Client(schema_name="acme")), pytest.raises(InvalidBucketName) as caught:
            router.url("a.txt")
        assert repr(answer) in str(caught.value)

    @pytest.mark.parametrize("strategy", [PerTenant, partial(PerTenantPrefix, "customers")])
    @pytest.mark.parametrize("public", [7, ""])
    def test_public_needs_a_name_as_well(self, strategy: Any, public: Any, public_schema: None) -> None:
        with pytest.raises(InvalidBucketName, match=f"gave the name {public!r} for the tenant 'public'"):
            MinioRouter(strategy=strategy(public=public)).url("a.txt")

    @pytest.mark.parametrize("name", ["acme/north", "acme/", "/", "../acme"])
    def test_a_folder_within_another_tenant_s_is_refused(self, name: str, bucket: str) -> None:
        router = MinioRouter(strategy=PerTenantPrefix(bucket, field="name"))
        refused = pytest.raises(RoutingError, match=f"the folder {name!r}")
        with tenant_context(Client(schema_name="acme", name=name)), refused:
            router.save("a.txt", ContentFile(b"?"))


class TestArguments:
    @pytest.mark.parametrize(
        "options",
        [
            {"template": "{schema_name}", "field": "name"},
            {"template": "{schema_name}", "function": str},
            {"field": "name", "function": str},
        ],
    )
    def test_only_one_source_is_taken(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="several of template, field and function"):
            PerTenant(**options)

    @pytest.mark.parametrize("template", ["", "media", "Media-{schema_name}", "{schema_name"])
    def test_a_malformed_template_is_refused_at_once(self, template: str) -> None:
        with pytest.raises(ConfigurationError, match="bucket template"):
            PerTenant(template)

    def test_a_function_must_be_callable(self) -> None:
        with pytest.raises(ConfigurationError, match="not callable"):
            PerTenant(function="dotted.path")

    def test_mistakes_are_reported_by_check(self) -> None:
        def ids(strategy: PerTenant) -> list[str | None]:
            return [message.id for message in strategy.check([])]

        assert ids(PerTenant()) == []
        assert ids(PerTenant("media-{id}")) == []
        assert ids(PerTenant("{name}-{schema_name}")) == []
        assert ids(PerTenant(function=str)) == []
        assert ids(PerTenant(field="pk")) == []
        assert ids(PerTenant("media-{nope}")) == ["minio_router.E014"]
        assert ids(PerTenant(field="nope")) == ["minio_router.E014"]
        assert ids(PerTenant("media-{domains}")) == ["minio_router.E014"]
        assert ids(PerTenant("media-{save}")) == ["minio_router.E014"]
        assert ids(PerTenant(field="name")) == ["minio_router.W003"]
        assert ids(PerTenant("media-{auto_create_schema}")) == ["minio_router.W003"]
        assert ids(PerTenant("media-{name}")) == ["minio_router.W003"]
        assert ids(PerTenant(public="Not_Valid")) == ["minio_router.E006"]


@pytest.mark.parametrize("setting", ["MINIO_PRIVATE_BUCKETS", "MINIO_PUBLIC_BUCKETS"])
def test_a_tenant_named_like_a_declared_bucket_gets_no_bucket(db: None, settings: Any, setting: str) -> None:
    setattr(settings, setting, ["backups"])
    router = MinioRouter(strategy=PerTenant())

    for call in (router.exists, router.url, router.open):
        with (
            tenant_bucket_context("backups"),
            pytest.raises(RoutingError, match=f"for the files of {setting}"),
        ):
            call("dump.sql")


def test_a_tenant_named_like_the_static_bucket_gets_no_bucket(db: None) -> None:
    router = MinioRouter(strategy=PerTenant())

    with tenant_bucket_context("auto-generated-bucket-static-files"), pytest.raises(RoutingError):
        router.url("app.css")


def test_a_tenant_named_like_the_bucket_of_a_model_gets_no_bucket(db: None) -> None:
    router = MinioRouter(strategy=PerTenant())

    with (
        tenant_bucket_context("test-docs-invoices"),
        pytest.raises(RoutingError, match="for the files of PerModel"),
    ):
        router.save("a.txt", ContentFile(b"mine"))


@pytest.mark.parametrize(
    ("strategy", "bucket"),
    [
        (PerTenantPrefix("customers"), "customers"),
        (PerTenant("other-{schema_name}", public="commons"), "commons"),
        (HashSharded("shards"), "shards-000"),
    ],
    ids=["folders", "public", "own"],
)
@pytest.mark.parametrize("how", ["field", "fallback", "setting"])
def test_a_tenant_gets_no_bucket_that_another_strategy_has_without_a_tenant(
    use: Callable[..., None], settings: Any, how: str, strategy: BucketStrategy, bucket: str
) -> None:
    router = MinioRouter(strategy=PerTenant(), fallback=strategy if how == "fallback" else None)
    use(Contract, router)
    if how == "field":
        use(Invoice, MinioRouter(strategy=strategy))
    elif how == "setting":
        settings.MINIO_PRIVATE_BUCKETS = [strategy]

    with (
        tenant_bucket_context(bucket),
        pytest.raises(RoutingError, match=f"for the files of {type(strategy).__name__}"),
    ):
        router.listdir()
