"""Images: their dimensions and thumbnails must not download them again and again."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pytest
from django.core.files.base import ContentFile
from django.db.models.fields.files import ImageFieldFile
from django_tenants.utils import tenant_context
from easy_thumbnails.files import ThumbnailFile, get_thumbnailer
from PIL import Image

from tests.apps.customers.models import Client
from tests.apps.docs.models import Photo
from tests.support.proxy import Proxy


@pytest.fixture
def tenant(bucket: str, wire: Proxy) -> Iterator[None]:
    with tenant_context(Client(schema_name=bucket)):
        yield


def picture(width: int, height: int) -> ContentFile[bytes]:
    """Return an image that takes about three bytes a pixel, as noise cannot be made smaller."""
    content = BytesIO()
    Image.effect_noise((width, height), 100).convert("RGB").save(content, "PNG", compress_level=0)
    return ContentFile(content.getvalue(), name="picture.png")


@pytest.fixture
def photo(tenant: None, wire: Proxy) -> Photo:
    """A photo of 3 MB that is stored, with its dimensions, as a row that was read from the database."""
    stored = Photo()
    stored.image.save("photo.png", picture(1000, 1000), save=False)
    wire.forget()
    return Photo(image=stored.image.name, width=1000, height=1000)


def test_saving_an_image_takes_its_dimensions_from_the_upload(tenant: None, wire: Proxy) -> None:
    Photo().image.save("before.png", picture(10, 10), save=False)
    wire.forget()
    photo = Photo()
    photo.image.save("photo.png", picture(1000, 1000), save=False)
    assert (photo.width, photo.height) == (1000, 1000)
    if hasattr(ImageFieldFile, "_set_instance_attribute"):
        assert wire.methods == ["PUT"]
    else:  # an older Django opens what it has just stored; no more than the beginning comes
        assert wire.methods == ["PUT", "GET"]
        assert wire.sent <= 260_000


def test_a_row_with_dimensions_asks_nothing(photo: Photo, wire: Proxy) -> None:
    assert (photo.width, photo.height) == (1000, 1000)
    assert wire.requests == []


def test_dimensions_that_no_column_holds_are_read_once_from_the_beginning(photo: Photo, wire: Proxy) -> None:
    assert (photo.image.width, photo.image.height) == (1000, 1000)
    assert wire.methods == ["GET"]
    assert wire.sent <= 260_000


def test_a_thumbnail_downloads_its_image_once(photo: Photo, wire: Proxy, db: None) -> None:
    size = photo.image.size
    wire.forget()
    make_thumbnail(photo)
    assert wire.sent == size
    # easy-thumbnails makes room for the name first. The image comes in two answers, as it is large.
    assert wire.methods == ["GET", "GET", "DELETE", "PUT"]


def test_a_thumbnail_that_is_there_costs_nothing(photo: Photo, wire: Proxy, db: None) -> None:
    make_thumbnail(photo)
    wire.forget()
    assert "X-Amz-Signature" in make_thumbnail(photo).url
    assert wire.requests == []


def make_thumbnail(photo: Photo) -> ThumbnailFile:
    """Return the thumbnail as easy-thumbnails' template tag would, beside the image."""
    thumbnailer = get_thumbnailer(photo.image)
    thumbnailer.thumbnail_storage = photo.image.storage
    return thumbnailer.get_thumbnail({"size": (100, 100)})
