"""Share a fixed number of buckets among all tenants."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256

from django.core.checks import CheckMessage
from django.db.models import Model

from django_minio_router.strategies import BucketStrategy, FixedBucket, Location, PerTenant


class HashSharded(BucketStrategy):
    """Give each tenant a folder in one of ``shards`` buckets: ``media-000``, ``media-001``, …

    Use it if your server or account allows fewer buckets than you have tenants. No call leaves the tenant's
    folder, so Django keeps tenants apart; a key that can read the bucket can read all its folders. Folder
    and shard are derived from the bucket name that ``tenants`` would give, by default the schema name.

    Choose the number of shards once: if you change it, most tenants' files have to move.
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
