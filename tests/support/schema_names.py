"""Very many schema names and the buckets that they give, for processes that need no Django."""

from __future__ import annotations

import random
import string
from array import array
from collections.abc import Iterator
from hashlib import blake2b

from django_minio_router.bucket_template import BucketTemplate
from django_minio_router.naming import bucket_name_problem

KINDS = [
    string.ascii_lowercase + string.digits,
    string.ascii_lowercase + "_-",
    "aA1-_.",
    string.ascii_letters + string.digits + "_-. !~@",
    "".join(map(chr, range(0xA1, 0x1000, 17))),
]
EACH = 212_000  # a few come twice


def schema_and_bucket_names(letters: str) -> tuple[array[int], array[int]]:
    """Make bucket names for schema names of these letters, and return both, hashed to take little memory.

    Each bucket name is checked. What is equal has equal hashes.
    """
    template, schemas, buckets = BucketTemplate("{schema_name}"), array("Q"), array("Q")
    for schema_name in legal_names(letters):
        bucket = template.render({"schema_name": schema_name})
        assert bucket_name_problem(bucket) is None, (schema_name, bucket)
        schemas.append(_hashed(schema_name))
        buckets.append(_hashed(bucket))
    return schemas, buckets


def legal_names(letters: str) -> Iterator[str]:
    """Yield names of these letters that django-tenants takes, of 1 to 63 bytes as PostgreSQL has them."""
    chance = random.Random(letters)
    table = {byte: letters[byte % len(letters)] for byte in range(256)}
    longest = 63 // len(letters[-1].encode())
    for _ in range(EACH):
        name = chance.randbytes(chance.randint(1, longest)).decode("latin-1").translate(table)
        if not name.lower().startswith("pg_"):
            yield name


def _hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
