"""Hooks of Django's Storage in a subclass of the router run as they do in any other storage."""

from __future__ import annotations

import json
import ntpath
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files.base import ContentFile, File
from django.db import models
from django.test.utils import isolate_apps
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioRouter
from django_minio_router.storage.binding import bind_fields
from django_minio_router.storage.signals import object_saved
from django_minio_router.strategies import FixedBucket, PerTenant
from tests.apps.customers.models import Client
from tests.support.proxy import Proxy
from tests.support.server import names_in, stored

MakeRouter = Callable[..., MinioRouter]


@pytest.fixture(params=["fixed", "per tenant"])
def routed(request: pytest.FixtureRequest, bucket: str) -> Iterator[MakeRouter]:
    """Make a router of this class on the bucket."""

    def routed(router_class: type[MinioRouter], *, public: bool = False) -> MinioRouter:
        if request.param == "fixed":
            return router_class(strategy=FixedBucket(bucket, public_read=public))
        return router_class(strategy=PerTenant(public_read=public))

    with tenant_context(Client(schema_name=bucket)):
        yield routed


class Stamping(MinioRouter):
    def _save(self, name: str, content: File) -> str:
        return super()._save(f"stamped/{name}", ContentFile(b"stamped " + content.read()))


def test_the_content_may_be_changed_as_it_is_stored(routed: MakeRouter, bare: Minio, bucket: str) -> None:
    assert routed(Stamping).save("x.txt", ContentFile(b"text")) == "stamped/x.txt"
    assert stored(bare, bucket, "stamped/x.txt") == b"stamped text"


class Opening(MinioRouter):
    def _open(self, name: str, mode: str = "rb", **options: Any) -> File:
        return File(ContentFile(super()._open(name, mode).read().upper()), name)


def test_the_content_may_be_changed_as_it_is_opened(routed: MakeRouter) -> None:
    router = routed(Opening)
    router.save("x.txt", ContentFile(b"text"))

    assert router.open("x.txt").read() == b"TEXT"


class Overwriting(MinioRouter):
    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name


class DeletingFirst(MinioRouter):
    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        if self.exists(name):
            self.delete(name)
        return name


class Blind(MinioRouter):
    def exists(self, name: str) -> bool:
        return False


@pytest.mark.parametrize("router_class", [Overwriting, DeletingFirst, Blind])
def test_one_that_insists_on_a_name_overwrites(
    routed: MakeRouter, bare: Minio, bucket: str, router_class: type[MinioRouter]
) -> None:
    router = routed(router_class)
    router.save("x.txt", ContentFile(b"old"))

    assert router.save("x.txt", ContentFile(b"new")) == "x.txt"
    assert names_in(bare, bucket) == ["x.txt"]
    assert stored(bare, bucket, "x.txt") == b"new"


class Counting(MinioRouter):
    def get_alternative_name(self, file_root: str, file_ext: str) -> str:
        number = 1
        while self.exists(f"{file_root}-{number}{file_ext}"):
            number += 1
        return f"{file_root}-{number}{file_ext}"


def test_it_may_count(routed: MakeRouter) -> None:
    router = routed(Counting)

    names = [router.save("x.txt", ContentFile(b"x")) for _ in range(3)]

    assert names == ["x.txt", "x-1.txt", "x-2.txt"]
    assert router.get_available_name("x.txt") == "x-3.txt"


class Plain(MinioRouter):
    def get_valid_name(self, name: str) -> str:
        return super().get_valid_name(name).lower()

    def generate_filename(self, filename: str) -> str:
        return f"made/{super().generate_filename(filename)}"


@isolate_apps("tests.apps.docs")
def test_fields_ask_it_for_names(routed: MakeRouter) -> None:
    class Upload(models.Model):
        file = models.FileField(storage=routed(Plain), upload_to="in")

        class Meta:
            app_label = "docs"

    bind_fields(Upload)
    upload = Upload()
    upload.file.save("My File.TXT", ContentFile(b"x"), save=False)

    assert upload.file.name == "made/in/my_file.txt"


class Sided(MinioRouter):
    """Never stores beside a file that has the same name and another ending."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        other = name.replace(".txt", ".bak")
        return super().get_available_name(f"beside-{name}" if self.exists(other) else name, max_length)


def test_of_another_name_it_hears_the_truth(routed: MakeRouter) -> None:
    router = routed(Sided)
    router.save("x.bak", ContentFile(b"old"))

    assert router.save("x.txt", ContentFile(b"new")) == "beside-x.txt"
    assert router.save("y.txt", ContentFile(b"new")) == "y.txt"


class Moving(MinioRouter):
    """Puts the old file away, under a name that it asks for."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        number = 1
        while self.exists(f"{name}.{number}"):
            number += 1
        if self.exists(name):
            self._save(f"{name}.{number}", self.open(name))
            self.delete(name)
        return name


def test_old_files_that_are_put_away_are_not_lost(routed: MakeRouter, bare: Minio, bucket: str) -> None:
    router = routed(Moving)

    for text in (b"1", b"2", b"3"):
        assert router.save("x.txt", ContentFile(text)) == "x.txt"

    kept = {name: stored(bare, bucket, name) for name in names_in(bare, bucket)}
    assert kept == {"x.txt": b"3", "x.txt.1": b"1", "x.txt.2": b"2"}


def test_the_primitives_can_be_called_from_outside(routed: MakeRouter, bare: Minio, bucket: str) -> None:
    router = routed(MinioRouter)
    heard: list[str] = []

    def hear(*, name: str, **kwargs: Any) -> None:
        heard.append(name)

    object_saved.connect(hear)
    try:
        assert router._save("x.txt", ContentFile(b"text")) == "x.txt"
    finally:
        object_saved.disconnect(hear)

    assert heard == ["x.txt"]
    assert router._open("x.txt", "rb").read() == b"text"
    with pytest.raises(FileExistsError):
        router._save("x.txt", ContentFile(b"more"))


class Hashed(ManifestFilesMixin, MinioRouter):
    pass


def test_names_with_hashes_on_a_router(
    routed: MakeRouter, bare: Minio, bucket: str, settings: Any, tmp_path: Path
) -> None:
    settings.DEBUG = False
    router = routed(Hashed, public=True)
    for name, text in {"a.css": b'body { background: url("b.png") }', "b.png": b"picture"}.items():
        router.save(name, ContentFile(text))

    done = list(router.post_process({name: (router, name) for name in ("a.css", "b.png")}))

    assert [processed for _, _, processed in done] == [True, True]
    manifest = json.loads(stored(bare, bucket, "staticfiles.json"))["paths"]
    assert manifest["b.png"] in stored(bare, bucket, manifest["a.css"]).decode()
    assert manifest["a.css"] in routed(Hashed, public=True).url("a.css")


@pytest.mark.parametrize("router_class", [MinioRouter, Stamping, Overwriting])
def test_a_save_takes_the_same_requests(settings: Any, bucket: str, router_class: type[MinioRouter]) -> None:
    with Proxy(settings.MINIO_ENDPOINT) as proxy:
        settings.MINIO_ENDPOINT = proxy.endpoint
        settings.MINIO_CONDITIONAL_WRITES = True
        router = router_class(strategy=FixedBucket(bucket, public_read=False))
        router.save("first.txt", ContentFile(b"x"))
        proxy.forget()

        router.save("x.txt", ContentFile(b"x"))
        router.save("x.txt", ContentFile(b"x"))

        assert proxy.methods == ["PUT"] * 3


def test_on_windows_names_have_slashes_too(routed: MakeRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django joins with ``os.path`` there, so that a taken name in a folder had a backslash."""
    router = routed(MinioRouter)
    monkeypatch.setattr("django.core.files.storage.base.os", SimpleNamespace(path=ntpath))

    names = [router.save("a/b/x.txt", ContentFile(b"x")) for _ in range(3)]

    assert all(name.startswith("a/b/x") for name in names)
    assert router.get_available_name("a/b/x.txt").startswith("a/b/x_")
    assert router.generate_filename("a/b/my file.txt") == "a/b/my_file.txt"
    assert router.generate_filename("a\\b\\x.txt") == "a/b/x.txt"
