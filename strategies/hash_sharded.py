"""Share a fixed number of buckets among all tenants."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256

from django.core.checks import CheckMessage
from django.db.models import Model

from django_minio_router.strategies import BucketStrategy, FixedBucket, Location, PerTenant


class HashSharded(BucketStrategy):
    """Put each tenant into a folder of its own, in one of ``shards`` buckets: ``media-000``, ``media-001``, …

    For servers and accounts that allow fewer buckets than there are tenants. No call leaves the tenant's
    folder, so tenants stay apart as long as files are reached through Django; a key that may read the
    bucket may read all its folders. Folder and shard follow from the bucket name that ``tenants`` would
    give, the schema name unless you say otherwise.

    Choose the number of shards once: with another number most tenants' files would have to move.
    """

    def __init__(
        self,
        prefix: str,
        *,
        shards: int = 16,
        tenants: PerTenant | None = None,
        public_read: bool = False,
    ) -> None:
        self.prefix = prefix
        self.shards = shards
        self.tenants = tenants or PerTenant()
        self.public_read = public_read

    def bucket_for(self, model: type[Model] | None) -> Location:
        folder = self.tenants.bucket_for(model)  # raises TenantRequired
        number = int.from_bytes(sha256(folder.encode()).digest()[:8], "big") % self.shards
        return Location(self._bucket(number), prefix=f"{folder}/")

    def buckets_for(self, models: Collection[type[Model]]) -> Iterable[Location]:
        return [Location(self._bucket(number)) for number in range(self.shards)]

    def _bucket(self, number: int) -> str:
        return f"{self.prefix}-{number:03}"

    def check(self, models: Collection[type[Model]]) -> Iterable[CheckMessage]:
        yield from self.tenants.check(models)
        yield from FixedBucket(self._bucket(0)).check(models)
