"""Libraries that write a storage down, or look where its links begin. nox -s packages has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sites import Site

SETTINGS = """
    SECRET_KEY = "only for tests"
    INSTALLED_APPS = ["django.contrib.staticfiles", "django_minio_router", "photos"]
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    MINIO_ENDPOINT = "memory:"
    MINIO_STATIC_FILES_BUCKET = "css"
    ROUTER = "django_minio_router.MinioRouter"
    PHOTOS = {"BACKEND": "django_minio_router.strategies.FixedBucket", "OPTIONS": {"name": "photos"}}
    STATIC = {"BACKEND": "django_minio_router.MinioBackendStatic"}
    STORAGES = {
        "default": {"BACKEND": ROUTER, "OPTIONS": {"strategy": PHOTOS}},
        "staticfiles": STATIC,
        "compressor": STATIC,
    }
"""
MODELS = """
from django.db import models

class Photo(models.Model):
    file = models.FileField()
"""


def make_site(folder: Path, settings: str) -> Site:
    (folder / "photos" / "static").mkdir(parents=True)
    (folder / "photos" / "__init__.py").touch()
    (folder / "photos" / "models.py").write_text(MODELS)
    return Site(folder, SETTINGS, settings)


def test_sorl_thumbnail_finds_a_storage_with_options_again(tmp_path: Path) -> None:
    pytest.importorskip("sorl.thumbnail")
    site = make_site(tmp_path, "INSTALLED_APPS += ['sorl.thumbnail']")
    run = site.python(
        """
        import io
        from django.core.files.base import ContentFile
        from django.core.management import call_command
        from PIL import Image
        from photos.models import Photo
        from sorl.thumbnail import get_thumbnail
        from sorl.thumbnail.images import ImageFile, deserialize_image_file

        call_command("migrate", run_syncdb=True, verbosity=0)
        picture = io.BytesIO()
        Image.new("RGB", (40, 40)).save(picture, "PNG")
        photo = Photo.objects.create(file=ContentFile(picture.getvalue(), "a.png"))
        thumbnail = get_thumbnail(photo.file, "10x10")
        source = ImageFile(photo.file)
        source.set_size((40, 40))
        again = deserialize_image_file(source.serialize())
        print(source.serialize_storage(), again.storage.backend.bucket, again.exists(), thumbnail.exists())
        call_command("thumbnail", "cleanup", verbosity=0)
        print(get_thumbnail(photo.file, "10x10").name == thumbnail.name)
        """
    )
    assert run.stdout.splitlines() == ["default photos True True", "True"], run.stderr


def test_django_compressor_stores_beside_the_static_files(tmp_path: Path) -> None:
    pytest.importorskip("compressor")
    site = make_site(
        tmp_path,
        "INSTALLED_APPS += ['compressor']\nSTATIC_URL = '/minio-memory/memory/css/'\nCOMPRESS_ROOT = '.'\n"
        "COMPRESS_ENABLED = True\nSTATICFILES_FINDERS = ['compressor.finders.CompressorFinder', "
        "'django.contrib.staticfiles.finders.AppDirectoriesFinder']",
    )
    (tmp_path / "photos" / "static" / "a.css").write_text("body { color : red }")
    run = site.python(
        """
        from django.template import Context, Template
        from django_minio_router.testing import stored_files

        page = "{% load compress static %}{% compress css %}<link rel=stylesheet href='{% static 'a.css' %}'>"
        print(Template(page + "{% endcompress %}").render(Context()))
        [(name, content)] = stored_files()["css"].items()
        print(name, content.decode())
        """
    )
    link, stored = run.stdout.strip().splitlines() or ["", ""]
    name, _, content = stored.partition(" ")
    assert f'href="/minio-memory/memory/css/{name}"' in link, run.stderr
    assert content == "body{color:red}"
