"""Two organizations, each with a login and a document of the same name."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from .orgs.models import Document, Membership, Organization

PASSWORD = "demo"
FILENAME = "contract.txt"


class Sample(NamedTuple):
    slug: str
    name: str
    user: str

    @property
    def content(self) -> bytes:
        return f"The contract of {self.name}".encode()

    @property
    def bucket(self) -> str:
        return f"orgs-{self.slug}"


SAMPLES = (Sample("harbour", "Harbour Ltd", "ann"), Sample("orchard", "Orchard Inc", "bob"))


def make(sample: Sample) -> bool:
    """Create the organization, its login and its document if missing. Return whether it is new."""
    organization, is_new = Organization.objects.get_or_create(slug=sample.slug, name=sample.name)
    if not User.objects.filter(username=sample.user).exists():
        user = User.objects.create_user(sample.user, password=PASSWORD)
        Membership.objects.create(user=user, organization=organization)
    if not organization.document_set.exists():
        file = ContentFile(sample.content, name=FILENAME)
        Document.objects.create(organization=organization, file=file)
    return is_new
