"""Libraries that write a storage down, or look where its links begin. nox -s packages has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sites import QuickSite

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
from django_minio_router import BucketFileField

class Photo(models.Model):
    file = models.FileField()

class Painting(models.Model):
    file = models.FileField(upload_to="paintings")

class Gallery(models.Model):
    slug = models.SlugField(unique=True)

class Owned(models.Model):
    gallery = models.ForeignKey(Gallery, models.CASCADE)
    file = BucketFileField(owner="gallery")
"""
PICTURES = """
        import io
        from django.core.files.base import ContentFile
        from django.core.management import call_command
        from PIL import Image
        from photos.models import *
        from sorl.thumbnail import get_thumbnail
        from sorl.thumbnail.images import ImageFile, deserialize_image_file, source_cache

        def picture(colour, name="a.png"):
            file = io.BytesIO()
            Image.new("RGB", (40, 40), colour).save(file, "PNG")
            return ContentFile(file.getvalue(), name)

        def is_red(image):
            red, _, blue = Image.open(io.BytesIO(image.read())).convert("RGB").getpixel((5, 5))
            return red > blue

        call_command("migrate", run_syncdb=True, verbosity=0)
"""


def make_site(folder: Path, settings: str) -> QuickSite:
    (folder / "photos" / "static").mkdir(parents=True)
    (folder / "photos" / "__init__.py").touch()
    (folder / "photos" / "models.py").write_text(MODELS)
    return QuickSite(folder, SETTINGS, settings)


def test_sorl_thumbnail_finds_a_storage_with_options_again(tmp_path: Path) -> None:
    pytest.importorskip("sorl.thumbnail")
    site = make_site(tmp_path, "INSTALLED_APPS += ['sorl.thumbnail']")
    run = site.python(
        PICTURES
        + """
        photo = Photo.objects.create(file=picture("red"))
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


def test_sorl_thumbnail_tells_models_apart_by_the_names_of_their_pictures(tmp_path: Path) -> None:
    pytest.importorskip("sorl.thumbnail")
    site = make_site(
        tmp_path,
        """
        INSTALLED_APPS += ["sorl.thumbnail"]
        OPTIONS = {"template": "of-{model_name}", "default": "thumbnails"}
        BY_MODEL = {"BACKEND": "django_minio_router.strategies.PerModel", "OPTIONS": OPTIONS}
        STORAGES["default"] = {"BACKEND": ROUTER, "OPTIONS": {"strategy": BY_MODEL}}
        """,
    )
    run = site.python(
        PICTURES
        + """
        rows = [Photo.objects.create(file=picture("red")), Painting.objects.create(file=picture("blue"))]
        print(*(is_red(get_thumbnail(row.file, "10x10")) for row in rows))
        call_command("thumbnail", "cleanup", verbosity=0)
        print(*(is_red(get_thumbnail(row.file, "10x10")) for row in rows))
        print(*(row.file.storage.exists(row.file.name) for row in rows))
        """
    )
    assert run.stdout.splitlines() == ["True False", "True False", "True True"], run.stderr


def test_sorl_thumbnail_keeps_a_picture_in_a_request_for_the_tenant_whose_row_it_is(tmp_path: Path) -> None:
    pytest.importorskip("sorl.thumbnail")
    site = make_site(
        tmp_path,
        """
        INSTALLED_APPS += ["sorl.thumbnail"]
        MINIO_TENANCY = {
            "BACKEND": "django_minio_router.tenancy.RowTenancy",
            "OPTIONS": {"model": "photos.Gallery", "key": "slug"},
        }
        STORAGES["default"] = {
            "BACKEND": ROUTER,
            "OPTIONS": {"strategy": "django_minio_router.strategies.PerTenant"},
        }
        """,
    )
    run = site.python(
        PICTURES
        + """
        from django_minio_router import tenant_bucket_context

        rows, plain = [], []
        for slug, colour in ("north", "red"), ("south", "blue"):
            gallery = Gallery.objects.create(slug=slug)
            rows.append(Owned.objects.create(gallery=gallery, file=picture(colour)))
            with tenant_bucket_context(gallery):
                plain.append(Photo.objects.create(file=picture(colour, "b.png")))
        with source_cache():
            print(len({row.file.name for row in rows}), *(is_red(ImageFile(row.file)) for row in rows))
        with source_cache():
            print(len({row.file.name for row in plain}), *(is_red(ImageFile(row.file)) for row in plain))
        """
    )
    assert run.stdout.splitlines() == ["1 True False", "1 True False"], run.stderr


def test_django_compressor_stores_beside_the_static_files(tmp_path: Path) -> None:
    pytest.importorskip("compressor")
    site = make_site(
        tmp_path,
        "INSTALLED_APPS += ['compressor']\nSTATIC_URL = '/static/'\nCOMPRESS_ROOT = '.'\n"
        "CSS_FILTERS = ['css_default.CssRelativeFilter', 'cssmin.rCSSMinFilter']\n"
        "COMPRESS_FILTERS = {'css': [f'compressor.filters.{name}' for name in CSS_FILTERS]}\n"
        "COMPRESS_ENABLED = True\nSTATICFILES_FINDERS = ['compressor.finders.CompressorFinder', "
        "'django.contrib.staticfiles.finders.AppDirectoriesFinder']",
    )
    (tmp_path / "photos" / "static" / "a.css").write_text("body { background : url(b.png) }")
    (tmp_path / "photos" / "static" / "b.png").touch()
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
    assert content == "body{background:url(../../b.png)}"
