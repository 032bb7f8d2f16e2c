"""A field gets a copy of its router that knows the model; everything else stays as it is."""

from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, default_storage, storages
from django.core.signals import setting_changed
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader
from django.test import override_settings
from django.test.utils import isolate_apps
from django.utils.functional import LazyObject, empty
from django.utils.module_loading import import_string
from django_tenants.utils import tenant_context

from django_minio_router import MinioBackend, MinioRouter, ModelRequired, RoutingError
from django_minio_router.storage.binding import bind_models, file_fields, uses_default_storage
from django_minio_router.strategies import FixedBucket, PerModel
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Invoice, Letter, Logo, Note, PaidInvoice, Receipt, Report, shared
from tests.support.quick_python import quick_python

ROOT = Path(__file__).parents[2]
Contents = Callable[[str], dict[str, bytes]]


def default(backend: str, **options: Any) -> override_settings:
    """Make this the default storage."""
    entry = {"BACKEND": backend, "OPTIONS": options}
    return override_settings(STORAGES={**settings.STORAGES, "default": entry})


def routed_by(strategy: Any, **options: Any) -> override_settings:
    return default("django_minio_router.MinioRouter", strategy=strategy, **options)


def storage_of(model: type[models.Model], field: str = "file") -> Any:
    return model._meta.get_field(field).storage


class TestFieldsWithARouter:
    def test_each_field_has_a_copy_of_its_own(self) -> None:
        bound = [storage_of(Invoice), storage_of(Invoice, "scan"), storage_of(Receipt), storage_of(Letter)]
        assert len({id(storage) for storage in [shared, *bound]}) == 5
        assert all(storage.origin is shared and storage.strategy is shared.strategy for storage in bound)

    def test_copies_share_what_is_expensive(self) -> None:
        assert storage_of(Invoice).backend is storage_of(Invoice, "scan").backend
        assert storage_of(Invoice).backend is not storage_of(Receipt).backend

    def test_binding_changes_no_router(self) -> None:
        router = MinioRouter(strategy=PerModel(template="test-{app_label}-{model_name}"))
        before = vars(router).copy()
        first = router.bind(Invoice._meta.get_field("file"))
        second = first.bind(Receipt._meta.get_field("file"))
        assert (first.backend.bucket, second.backend.bucket) == ("test-docs-invoice", "test-docs-receipt")
        assert vars(router) == before
        with pytest.raises(ModelRequired):
            router.url("a.txt")

    def test_an_inherited_field_is_the_parent_s(self) -> None:
        assert [field.name for field in file_fields(PaidInvoice)] == ["proof"]
        assert storage_of(PaidInvoice) is storage_of(Invoice)

    def test_a_field_without_a_router_is_left_alone(self) -> None:
        assert type(storage_of(Logo)) is MinioBackend
        assert storage_of(Note) is default_storage

    def test_a_subclass_of_the_router_is_bound_and_stays_one(self) -> None:
        class Mine(MinioRouter):
            pass

        with isolate_apps("tests.apps.docs"):

            class Made(models.Model):
                file = models.FileField(storage=Mine(strategy=PerModel(template="test-{model_name}")))

                class Meta:
                    app_label = "docs"

        assert type(storage_of(Made)) is Mine
        assert storage_of(Made).backend.bucket == "test-made"


class TestTheDefaultStorage:
    def test_it_routes_by_model(self, bucket: str, contents: Contents) -> None:
        with routed_by(PerModel({"docs.Note": bucket})):
            note = Note()
            note.file.save("a.txt", ContentFile(b"noted"), save=False)
            assert contents(bucket) == {note.file.name: b"noted"}
            assert note.file.read() == b"noted"
            with pytest.raises(ModelRequired):
                default_storage.save("a.txt", ContentFile(b"?"))

    def test_it_routes_by_tenant_and_to_one_bucket(
        self, bucket: str, contents: Contents, acme: Client
    ) -> None:
        with routed_by("django_minio_router.strategies.PerTenant"), tenant_context(acme):
            note = Note()
            note.file.save("a.txt", ContentFile(b"of acme"), save=False)
            assert contents(acme.schema_name) == {note.file.name: b"of acme"}
        with routed_by(FixedBucket(bucket, public_read=False)):
            default_storage.save("a.txt", ContentFile(b"a"))
            assert Note(file="a.txt").file.read() == b"a"
        assert contents(bucket) == {"a.txt": b"a"}

    def test_fields_follow_when_it_changes_and_changes_back(self, new_name: Callable[[str], str]) -> None:
        names = [new_name("first"), new_name("second")]
        for name in names:
            with routed_by(PerModel({"docs.Note": name})):
                assert f"/{name}/a.txt" in Note(file="a.txt").file.url
                assert storage_of(Note).backend.bucket == name
                assert uses_default_storage(Note._meta.get_field("file"))
        assert storage_of(Note) is default_storage
        with default("django.core.files.storage.InMemoryStorage"):
            assert storage_of(Note) is default_storage
            assert isinstance(storage_of(Note), InMemoryStorage)

    def test_fields_follow_a_storage_that_is_put_into_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        router, memory = MinioRouter(strategy=PerModel({"docs.Note": "other"})), InMemoryStorage()
        with routed_by(PerModel({"docs.Note": "routed"})):
            assert storage_of(Note).backend.bucket == "routed"
            with monkeypatch.context() as patch:
                patch.setattr(default_storage, "_wrapped", router)
                assert "/other/a.txt" in Note(file="a.txt").file.url
                patch.setattr(default_storage, "_wrapped", memory)
                Note().file.save("a.txt", ContentFile(b"noted"), save=False)
                assert memory.listdir("")[1] or memory.listdir("")[0]
            assert storage_of(Note).backend.bucket == "routed"

    def test_a_task_that_is_given_its_storage_has_the_model(self) -> None:
        with routed_by(PerModel({"docs.Note": "notes"}, default="others"), server="default"):
            for storage in (storage_of(Note), pickle.loads(pickle.dumps(storage_of(Note)))):
                path, args, options = json.loads(json.dumps(storage.deconstruct()))
                assert import_string(path)(*args, **options) is storage_of(Note)

    def test_no_task_can_be_given_an_owner_who_is_not_a_tenant(self) -> None:
        with pytest.raises(RoutingError, match=r"docs\.Invoice\.file acts for .* which is not a tenant"):
            storage_of(Invoice).on_behalf_of(Note()).deconstruct()

    def test_nested_changes(self) -> None:
        with routed_by(PerModel({"docs.Note": "outer"})):
            with routed_by(PerModel({"docs.Note": "inner"})):
                assert storage_of(Note).backend.bucket == "inner"
            assert storage_of(Note).backend.bucket == "outer"

    def test_nothing_is_set_up_before_its_first_use(self) -> None:
        with routed_by("there.is.no.such.Strategy"):
            assert storage_of(Note) is not default_storage
            assert repr(Note._meta.get_field("file"))
            with pytest.raises(Exception, match=r"there\.is\.no\.such"):
                storage_of(Note).url("a.txt")

    @pytest.mark.parametrize("backend", ["", "there.is.no.such.Storage", "django_minio_router.nothing"])
    def test_a_wrong_one_is_reported_by_django(self, backend: str) -> None:
        with default(backend):
            assert storage_of(Note) is default_storage

    def test_a_callable_that_returns_it_is_bound(self) -> None:
        with routed_by(PerModel({"docs.Made": "made"})), isolate_apps("tests.apps.docs"):

            class Made(models.Model):
                file = models.FileField(storage=lambda: default_storage)

                class Meta:
                    app_label = "docs"

            assert storage_of(Made).backend.bucket == "made"

    def test_it_is_what_it_stands_for(self) -> None:
        with routed_by(PerModel({"docs.Note": "notes"})):
            storage = storage_of(Note)
            assert isinstance(storage, MinioRouter)
            assert storage.origin is storages["default"]
            for same in (copy.copy(storage), copy.deepcopy(storage)):
                assert same.backend.bucket == "notes"
        with routed_by(PerModel({"docs.Note": "notes"})):
            for same in (copy.copy(storage_of(Note)), copy.deepcopy(storage_of(Note))):
                assert same.backend.bucket == "notes"

    def test_below_is_the_storage_that_its_alias_names(self) -> None:
        """sorl-thumbnail writes down the alias whose storage it is."""
        with routed_by(PerModel({"docs.Note": "notes"})):
            storage = storage_of(Note)
            for same in (storage, pickle.loads(pickle.dumps(storage))):
                assert same.backend.bucket == "notes", "what is called knows the model"
            assert storage._wrapped is storages["default"]
            with pytest.raises(ModelRequired):
                storages["default"].backend  # noqa: B018

    @isolate_apps("tests.apps.docs")
    def test_what_is_kept_by_storage_and_name_is_kept_for_each_model(self) -> None:
        """As sorl-thumbnail keeps the last picture that it read."""
        with routed_by(PerModel(template="of-{model_name}")):

            class Shelf(models.Model):
                file = models.FileField()

                class Meta:
                    app_label = "docs"

            kept = {(storage_of(model), "a.png"): model for model in (Note, Shelf)}
            assert [kept[storage_of(model), "a.png"] for model in (Note, Shelf)] == [Note, Shelf]

    def test_what_is_set_on_it_is_set_on_the_copy(self) -> None:
        with routed_by(FixedBucket("notes")):
            storage = storage_of(Note)
            storage.note = "mine"
            assert storage.note == "mine"
            assert not hasattr(storages["default"], "note")


class TestLazyStorages:
    """A project's own lazy object, which Django's documentation shows for storages that tests override."""

    @pytest.fixture
    def lazy(self) -> Iterator[LazyObject]:
        class Lazy(LazyObject):
            def _setup(self) -> None:
                self._wrapped = storages["default"]

        lazy = Lazy()

        def forget(*, setting: str, **kwargs: Any) -> None:
            if setting == "STORAGES":
                lazy._wrapped = empty

        setting_changed.connect(forget)
        yield lazy
        setting_changed.disconnect(forget)

    @pytest.fixture
    def made(self, lazy: LazyObject) -> Iterator[type[models.Model]]:
        with isolate_apps("tests.apps.docs"):

            class Made(models.Model):
                file = models.FileField(storage=lazy)

                class Meta:
                    app_label = "docs"

            yield Made

    def test_are_bound_when_they_turn_out_to_route(self, made: type[models.Model]) -> None:
        assert isinstance(storage_of(made), FileSystemStorage)
        with routed_by(PerModel({"docs.Made": "made"})):
            models.signals.class_prepared.send(made)  # isolated models are not among all models
            assert storage_of(made).backend.bucket == "made"

    def test_are_written_as_they_were_given(self, made: type[models.Model], lazy: LazyObject) -> None:
        *_, kwargs = made._meta.get_field("file").deconstruct()
        assert kwargs["storage"] is lazy


class TestHistoricalModels:
    """In a data migration the models come from migration files, not from the project."""

    @pytest.fixture
    def historical(self, db: None) -> Any:
        return MigrationLoader(connection).project_state(("docs", "0001_initial")).apps

    def test_route_as_their_models_do(self, historical: Any, acme: Client, contents: Contents) -> None:
        old_contract = historical.get_model("docs", "Contract")
        assert old_contract is not Contract
        with tenant_context(acme):
            contract = old_contract()
            contract.file.save("a.txt", ContentFile(b"migrated"), save=False)
            assert Contract(file="a.txt").file.read() == b"migrated"
        assert contents(acme.schema_name) == {"a.txt": b"migrated"}

    @pytest.mark.parametrize("model", [Invoice, Receipt, Letter, PaidInvoice, Report])
    def test_have_the_buckets_of_their_models(self, historical: Any, model: type[models.Model]) -> None:
        old = historical.get_model("docs", model.__name__)
        for field in old._meta.get_fields():
            if isinstance(field, models.FileField):
                assert field.storage.backend.bucket == storage_of(model, field.name).backend.bucket

    def test_have_the_default_storage(self, db: None) -> None:
        with routed_by(PerModel({"docs.Note": "notes"})):
            state = MigrationLoader(connection).project_state(("docs", "0001_initial"))
            assert storage_of(state.apps.get_model("docs", "Note")).backend.bucket == "notes"


class TestCopiesOfRows:
    """Rows are pickled for caches and task queues, and copied; keys and connections stay behind."""

    SECRETS = ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ENDPOINT")

    @pytest.fixture(params=[False, True], ids=["by name", "opened"])
    def contract(self, acme: Client, request: pytest.FixtureRequest) -> Iterator[Contract]:
        with tenant_context(acme):
            contract = Contract()
            contract.file.save("a.txt", ContentFile(b"of acme"), save=False)
            contract = Contract(file="a.txt")
            if request.param:
                assert contract.file.read() == b"of acme"
            yield contract

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_work(self, contract: Contract, duplicate: Callable[[Any], Any]) -> None:
        assert duplicate(contract).file.storage.open("a.txt").read() == b"of acme"
        assert duplicate(contract.file).storage is storage_of(Contract)
        assert duplicate(contract.file).name == "a.txt"

    def test_hold_no_secret(self, contract: Contract) -> None:
        for pickled in (pickle.dumps(contract), pickle.dumps(contract.file)):
            assert b"a.txt" in pickled
            for name in self.SECRETS:
                assert getattr(settings, name).encode() not in pickled

    def test_work_with_the_default_storage(self) -> None:
        with routed_by(PerModel({"docs.Note": "notes"}), MINIO_SECRET_KEY="not to be seen"):
            note = Note(file="a.txt")
            for same in (copy.deepcopy(note), pickle.loads(pickle.dumps(note))):
                assert same.file.storage.backend.bucket == "notes"
            assert b"not to be seen" not in pickle.dumps(note)


def test_binding_all_again_changes_nothing() -> None:
    before = {model: storage_of(model).backend.bucket for model in (Invoice, Receipt, Letter, Report)}
    bind_models()
    assert {model: storage_of(model).backend.bucket for model in before} == before
    assert storage_of(Note) is default_storage


@pytest.mark.parametrize("own", [True, False], ids=["a router of its own", "the default storage"])
@isolate_apps("tests.apps.docs")
def test_a_field_that_comes_when_the_apps_are_ready_is_bound_by_itself(own: bool) -> None:
    by_model = PerModel({"docs.Shelf": "shelves"}, default="media")
    with default("django_minio_router.MinioRouter", strategy=by_model):

        class Shelf(models.Model):
            class Meta:
                app_label = "docs"

        given = {"storage": MinioRouter(strategy=by_model)} if own else {}
        late = models.FileField(**given)
        Shelf.add_to_class("late", late)
        assert Shelf().late.storage.backend.bucket == "shelves"
        assert ("storage" in late.deconstruct()[3]) == own


def test_the_module_of_the_default_storage_may_use_models(tmp_path: Path) -> None:
    """It is imported when all models are loaded, as without this package."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "models.py").write_text(
        "from django.db import models\n"
        "class Item(models.Model):\n"
        "    file = models.FileField()\n"
        "class Kind(models.Model):\n"
        "    pass\n"
    )
    (shop / "storage.py").write_text(
        "from django.apps import apps\n"
        "from django_minio_router import MinioRouter\n"
        "Kind = apps.get_model('shop', 'Kind')\n"
        "class Mine(MinioRouter):\n"
        "    pass\n"
    )
    (tmp_path / "config.py").write_text(
        "INSTALLED_APPS = ['django_minio_router', 'shop']\n"
        "MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY = '127.0.0.1:1', 'a', 'b'\n"
        "STORAGES = {'default': {'BACKEND': 'shop.storage.Mine', 'OPTIONS': {'strategy': {\n"
        "    'BACKEND': 'django_minio_router.strategies.PerModel',\n"
        "    'OPTIONS': {'buckets': {'shop.Item': 'items'}}}}}}\n"
    )
    code = (
        "import django; django.setup()\n"
        "from shop.models import Item\n"
        "print(Item._meta.get_field('file').storage.backend.bucket)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = quick_python().run("-c", code, folder=tmp_path, environment=environment)
    assert (done.returncode, done.stdout) == (0, "items\n"), done.stderr
