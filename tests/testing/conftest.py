"""Two tenants with schemas, and fields that are given a storage for one test."""

from tests.support.schemas import clean, no_other_fields, north, south, tenants, use  # noqa: F401
