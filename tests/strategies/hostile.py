"""Tenants whose names meet where a mapping to bucket names is careless."""

from __future__ import annotations

from tests.apps.customers.models import Client

# Schema names that PostgreSQL takes, chosen to meet where a mapping is careless.
HOSTILE = [
    "acme",
    "Acme",
    "acme_a",
    "acme-a",
    "acme--a",
    "acme.a",
    "acme__a",
    "acme-",
    "a",
    "a-b",
    "b-c",
    "shared",
    "xn--acme",
    "über/acme",
    "x" * 63,
    "x" * 62 + "y",
]


def tenants() -> list[Client]:
    return [
        Client(pk=number, schema_name=name, name=f"n-{number}") for number, name in enumerate(HOSTILE, 100)
    ]
