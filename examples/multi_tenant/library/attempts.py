"""Attempts of a tenant to read another tenant's file, with real requests."""

from __future__ import annotations

from typing import NamedTuple

from django_tenants.utils import tenant_context

from ..customers.models import Client
from ..visitors import Visitors, browser, bucket_of
from .models import Document, tenant_files


class Attempt(NamedTuple):
    how: str
    asked: str
    got: str
    allowed: bool = False


def attempts(owner: Client, other: Client, port: int) -> list[Attempt]:
    """Return what `other` gets for the smallest document of `owner`; None if there is none."""
    with tenant_context(owner):
        stored = Document.objects.order_by("size").first()
        if stored is None:
            return []
        with stored.file.open() as file:
            content = file.read()
    ask = Visitors(owner, other, stored, content, port)
    plain, forged = ask.link.partition("?")[0], _forged(owner, other, stored.file.name)
    here, there = (f"http://{tenant.schema_name}.localhost:{port}{ask.page}" for tenant in (other, owner))
    return [
        Attempt("From this site, at the file’s address", here, ask.on_site_of(other)),
        Attempt("From the S3 server, without a signature", plain, ask.anonymous()),
        Attempt(
            f"With a link signed for {other}, and the other bucket put in",
            f"{plain}?X-Amz-Signature=…",
            browser(forged, content),
        ),
        Attempt(
            "In code, while no tenant is active",
            f"storage.open({stored.file.name!r})",
            ask.code_without_tenant(),
        ),
        Attempt(f"From {owner}’s own site, to compare", there, ask.on_site_of(owner), allowed=True),
    ]


def _forged(owner: Client, other: Client, name: str) -> str:
    with tenant_context(other):
        link = tenant_files.url(name)
    return link.replace(f"/{bucket_of(other)}/", f"/{bucket_of(owner)}/")
