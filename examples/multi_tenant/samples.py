"""The two tenants of the demo and their files. Existing ones are reused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django_tenants.utils import tenant_context

from . import pictures
from .customers.models import Client, Domain
from .library.models import Document, Photo, StoredFile

LOGIN = "demo"  # the name and the password
OPENING_HOURS = "opening-hours.txt"  # both tenants have a file of this name


@dataclass(frozen=True)
class Sample:
    schema_name: str
    name: str
    hue: int
    logo: Callable[[], bytes]
    photo: Callable[[], bytes]
    photo_title: str
    photo_filename: str
    opening_hours: str


class Kept(NamedTuple):
    """A file in the bucket, and whether this run stored it."""

    stored: StoredFile
    content: bytes
    is_new: bool


SAMPLES = [
    Sample(
        schema_name="harbour",
        name="Harbour Museum",
        hue=207,
        logo=pictures.sail,
        photo=pictures.lighthouse,
        photo_title="The lighthouse at sunset",
        photo_filename="lighthouse.jpg",
        opening_hours="Harbour Museum\nTuesday to Sunday, 10:00 to 18:00\nThe lighthouse: until sunset\n",
    ),
    Sample(
        schema_name="orchard",
        name="Orchard School",
        hue=92,
        logo=pictures.apple,
        photo=pictures.apple_trees,
        photo_title="Apple trees in September",
        photo_filename="apple-trees.jpg",
        opening_hours="Orchard School\nMonday to Friday, 8:00 to 15:30\nFarm shop: Saturday, 9:00 to 12:00\n",
    ),
]


def make_tenant(sample: Sample) -> tuple[Client, bool]:
    """Return the tenant, created with its schema if missing, and whether it is new."""
    client = Client.objects.filter(schema_name=sample.schema_name).first()
    is_new = client is None
    if client is None:
        client = Client(schema_name=sample.schema_name, name=sample.name, hue=sample.hue)
        client.save(verbosity=0)
    client.create_schema(check_if_exists=True, verbosity=0)  # a start may have been cut short before it
    Domain.objects.get_or_create(domain=f"{sample.schema_name}.localhost", tenant=client)
    return client, is_new


def make_login() -> None:
    """Create an admin user; the site is on loopback only."""
    user, _ = get_user_model().objects.get_or_create(username=LOGIN)
    user.is_staff = user.is_superuser = True
    user.set_password(LOGIN)
    user.save()


def store_files(client: Client, sample: Sample) -> list[Kept]:
    """Return the tenant's two files: a document with the same name for both tenants, and a photo."""
    with tenant_context(client):
        return [
            _kept(Document, "Opening hours", OPENING_HOURS, sample.opening_hours.encode()),
            _kept(Photo, sample.photo_title, sample.photo_filename, sample.photo()),
        ]


def _kept(model: type[StoredFile], title: str, filename: str, content: bytes) -> Kept:
    found = model.objects.filter(filename=filename).first()
    if found is not None and found.file.storage.exists(found.file.name):
        with found.file.open() as file:
            return Kept(found, file.read(), is_new=False)
    if found is not None:
        found.delete()  # its object is gone, with its bucket or without
    stored = model(title=title, file=ContentFile(content, filename))
    stored.save()
    return Kept(stored, content, is_new=True)


def store_logo(client: Client, sample: Sample) -> tuple[bytes, bool]:
    """Give the tenant its emblem, unless it has one. Return its bytes, and whether it is new."""
    if client.logo and client.logo.storage.exists(client.logo.name):
        with client.logo.open() as logo:
            return logo.read(), False
    content = sample.logo()
    client.logo.save(f"{client.schema_name}.png", ContentFile(content))
    return content, True
