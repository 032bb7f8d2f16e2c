"""Migrations: none for a changed server or key, no secret in any, and those of the original load."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from importlib import import_module
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.test import override_settings
from django.test.utils import isolate_apps
from django.utils.deconstruct import deconstructible
from django.utils.module_loading import import_string
from minio.credentials import StaticProvider
from minio.sse import SseCustomerKey
from urllib3 import PoolManager

import django_minio_router
from django_minio_router import (
    MinioBackend,
    MinioBackendStatic,
    MinioRouter,
    get_iso_date,
    iso_date_prefix,
)
from django_minio_router.models import MinioBackend as MovedBackend
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import FixedBucket, PerModel, PerTenant, PerTenantPrefix
from tests.apps.docs.models import Invoice, Note
from tests.support.quick_python import quick_python
from tests.support.storages import set_storage

ROOT = Path(__file__).parents[2]
ROUTED = {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": PerModel(default="media")}}
SECRETS = {
    "MINIO_ACCESS_KEY": "an-access-key",
    "MINIO_SECRET_KEY": "a-secret-key",
    "MINIO_ENDPOINT": "storage.example.com",
    "MINIO_REGION": "a-region",
    "MINIO_CREDENTIALS": StaticProvider("provided-key", "provided-secret"),
    "MINIO_EXTERNAL_ENDPOINT": "files.example.com",
}
LIVE_OBJECTS = {
    "http_client": PoolManager(),
    "sse": SseCustomerKey(b"a-customer-key-of-32-characters!"),
    "progress": SimpleNamespace(set_meta=print, update=print),
}


@deconstructible
class Mine(MinioRouter):
    """As a project writes it: with the decorator, which defines ``deconstruct()`` anew."""


def written(value: Any) -> str:
    return MigrationWriter.serialize(value)[0]


@pytest.mark.django_db
class TestMakemigrations:
    def nothing_to_do(self) -> bool:
        out = StringIO()
        try:
            call_command("makemigrations", "docs", check=True, dry_run=True, stdout=out)
        except SystemExit:
            pytest.fail(out.getvalue())
        return True

    def test_finds_nothing_in_all_the_ways_to_use_a_router(self) -> None:
        assert self.nothing_to_do()

    @pytest.mark.parametrize(
        "changed",
        [
            {"MINIO_ENDPOINT": "elsewhere:9000", "MINIO_EXTERNAL_ENDPOINT": "files.example.com"},
            {"MINIO_ACCESS_KEY": "another", "MINIO_SECRET_KEY": "another"},
            {"MINIO_REGION": "eu-central-1", "MINIO_USE_HTTPS": True},
            {"STORAGES": {"default": ROUTED, "staticfiles": settings.STORAGES["staticfiles"]}},
        ],
        ids=["endpoint", "keys", "region", "default storage"],
    )
    def test_finds_nothing_when_the_server_changes(self, changed: dict[str, Any]) -> None:
        with override_settings(**changed):
            assert self.nothing_to_do()

    def test_finds_a_changed_strategy(self) -> None:
        """The check above can fail: where files go is part of the schema's history."""
        state = ProjectState.from_apps(apps)
        before = state.clone()
        field = state.models["docs", "invoice"].fields["file"].clone()
        field.storage = MinioRouter(strategy=FixedBucket("other"))
        state.models["docs", "invoice"].fields["file"] = field
        changes = MigrationAutodetector(before, state)._detect_changes()
        assert [operation.name for operation in changes["docs"][0].operations] == ["file"]


class TestWhatIsWritten:
    @pytest.mark.parametrize(
        "make",
        [
            lambda **options: MinioBackend("media", **options),
            lambda **options: MinioRouter(strategy=FixedBucket("media"), **options),
            lambda **options: Mine(strategy=FixedBucket("media"), **options),
            lambda **options: MinioRouter(**options),
            lambda **options: MinioBackendStatic("media", **options),
        ],
        ids=["backend", "router", "subclass", "no strategy", "static"],
    )
    def test_no_server_no_key_and_no_live_object(self, make: Callable[..., Any]) -> None:
        storage = make(**SECRETS, **LIVE_OBJECTS, replace_existing=True)
        text = written(storage)
        assert "replace_existing=True" in text
        for name, value in {**SECRETS, **LIVE_OBJECTS}.items():
            assert name not in text
            assert str(value) not in text
        assert "example.com" not in repr(storage.deconstruct())

    def test_no_name_of_a_server(self) -> None:
        for storage in (
            MinioBackend("media", server="frankfurt", storage_name="archive"),
            MinioRouter(strategy=FixedBucket("media"), server="frankfurt", storage_name="archive"),
        ):
            assert "frankfurt" not in written(storage)
            assert "archive" not in written(storage)

    def test_the_strategy_is(self) -> None:
        router = MinioRouter(strategy=PerModel({"docs.Invoice": "invoices"}))
        assert written(router) == (
            "django_minio_router.models.MinioRouter("
            "strategy={'BACKEND': 'django_minio_router.strategies.PerModel', "
            "'OPTIONS': {'buckets': {'docs.Invoice': 'invoices'}}})"
        )

    @pytest.mark.parametrize(
        "strategy",
        [
            FixedBucket("media", public_read=True),
            PerModel({"docs.Invoice": "invoices"}, default="other"),
            PerTenant(),
            PerTenant("media-{schema_name}"),
            PerTenantPrefix("media", public="shared"),
            "django_minio_router.strategies.PerTenant",
        ],
        ids=repr,
    )
    def test_any_format_holds_it_and_makes_an_equal_storage(self, strategy: Any) -> None:
        router = MinioRouter(strategy=strategy, replace_existing=True)
        path, args, options = router.deconstruct()
        path, args, options = json.loads(json.dumps([path, args, options]))
        again = import_string(path)(*args, **options)
        assert (again.strategy, again.replace_existing) == (router.strategy, True)
        assert again.deconstruct() == router.deconstruct() == pickle.loads(pickle.dumps(router)).deconstruct()
        assert pickle.loads(pickle.dumps(router.deconstruct())) == router.deconstruct()

    def test_a_migration_that_holds_the_strategy_itself_needs_no_change(self) -> None:
        """As they were written before: the strategy as a call of its class."""
        text = (
            "django_minio_router.models.MinioRouter("
            "strategy=django_minio_router.strategies.PerModel({'docs.Invoice': 'invoices'}))"
        )
        old = eval(text, {"django_minio_router": django_minio_router})
        assert old.deconstruct() == MinioRouter(strategy=PerModel({"docs.Invoice": "invoices"})).deconstruct()

    def test_a_strategy_of_no_module_stays_as_it_is(self) -> None:
        class Local(FixedBucket):
            pass

        router = MinioRouter(strategy=Local("media"))
        assert router.deconstruct()[2]["strategy"] is router.strategy

    def test_a_dotted_path_stays_one(self) -> None:
        path = "django_minio_router.strategies.PerTenant"
        assert written(MinioRouter(strategy=path)) == (
            f"django_minio_router.models.MinioRouter(strategy='{path}')"
        )

    def test_names_are_those_of_the_models_module(self) -> None:
        assert written(MinioBackend("media")) == "django_minio_router.models.MinioBackend('media')"
        assert MinioBackend is MovedBackend

    def test_a_bound_router_is_written_as_the_router(self) -> None:
        field = Invoice._meta.get_field("file")
        assert field.deconstruct()[3]["storage"] is field.storage.origin

    def test_a_router_that_takes_the_place_of_another_is_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        field, other = Invoice._meta.get_field("file"), MinioRouter(strategy=FixedBucket("others"))
        set_storage(monkeypatch, field, other)
        bind_field(field)
        assert field.deconstruct()[3]["storage"] is other
        monkeypatch.setattr(field, "storage", newer := MinioRouter(strategy=FixedBucket("newer")))
        bind_field(field)
        assert field.deconstruct()[3]["storage"] is newer

    def test_the_default_storage_is_left_out(self) -> None:
        with override_settings(STORAGES={**settings.STORAGES, "default": ROUTED}):
            assert isinstance(Note._meta.get_field("file").storage, MinioRouter)
            assert "storage" not in Note._meta.get_field("file").deconstruct()[3]

    def test_no_migration_of_the_project_holds_a_secret(self) -> None:
        for path in (ROOT / "tests" / "apps").glob("*/migrations/*.py"):
            text = path.read_text()
            for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_ENDPOINT"):
                assert name not in text
                assert getattr(settings, name) not in text


class TestMigrationsOfTheOriginal:
    """As ``django-minio-backend`` writes them, with the name of the package replaced."""

    def test_load_and_need_no_change(self) -> None:
        migration = import_module("tests.storage.original_0001_initial").Migration("0001_initial", "shop")
        state = migration.mutate_state(ProjectState())
        with isolate_apps("tests.storage"):

            class Attachment(models.Model):
                file = models.FileField(
                    storage=MovedBackend(bucket_name="django-backend-dev-private"), upload_to=iso_date_prefix
                )
                image = models.ImageField(
                    storage=MovedBackend(bucket_name="images", replace_existing=True),
                    upload_to=iso_date_prefix,
                )

                class Meta:
                    app_label = "shop"

        now = ProjectState()
        now.add_model(ModelState.from_model(Attachment))
        assert MigrationAutodetector(state, now)._detect_changes() == {}

    def test_build_models_that_store(self) -> None:
        migration = import_module("tests.storage.original_0001_initial").Migration("0001_initial", "shop")
        old = migration.mutate_state(ProjectState()).apps.get_model("shop", "Attachment")
        field = old._meta.get_field("file")
        assert (type(field.storage), field.storage.bucket) == (MinioBackend, "django-backend-dev-private")
        assert field.generate_filename(old(), "a.txt") == f"{get_iso_date()}/a.txt"


def test_models_of_a_migration_route_by_their_model() -> None:
    then = ProjectState.from_apps(apps).apps.get_model("docs", "Invoice")
    assert then is not Invoice
    assert then().file.storage.backend.bucket == "test-docs-invoices"


def test_makemigrations_writes_a_file_that_loads(tmp_path: Path) -> None:
    """From the command line, in a project of its own, with keys in the options of a field."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "models.py").write_text(
        "from django.db import models\n"
        "from django_minio_router import MinioRouter\n"
        "from django_minio_router.strategies import PerModel\n"
        "class Item(models.Model):\n"
        "    file = models.FileField(storage=MinioRouter(strategy=PerModel(default='media'),\n"
        f"        **{json.dumps({name: SECRETS[name] for name in list(SECRETS)[:4]})}))\n"
        "    other = models.FileField()\n"
    )
    (tmp_path / "config.py").write_text(
        "SECRET_KEY = 'x'\n"
        "INSTALLED_APPS = ['django_minio_router', 'shop']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db'}}\n"
        "STORAGES = {'default': {'BACKEND': 'django_minio_router.MinioRouter', 'OPTIONS':\n"
        "    {'strategy': 'django_minio_router.strategies.PerTenant', 'MINIO_SECRET_KEY': 'a-secret-key'}}}\n"
        "MINIO_ENDPOINT = '127.0.0.1:1'\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    for command in (["makemigrations", "shop"], ["migrate"], ["makemigrations", "--check"]):
        arguments = ["-m", "django", *command, "--skip-checks"]
        done = quick_python().run(*arguments, folder=tmp_path, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "shop" / "migrations" / "0001_initial.py").read_text()
    assert "'OPTIONS': {'default': 'media'}" in text
    assert "MINIO" not in text
    assert not any(str(value) in text for value in SECRETS.values())
