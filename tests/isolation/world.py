"""Tenants and the fields in which they store: where each file must be, and what the server holds there."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.db.models import Model
from django.db.models.fields.files import FieldFile
from django_tenants.utils import schema_context, schema_rename
from minio import Minio

from django_minio_router import MinioRouter, tenant_bucket_context
from django_minio_router.provisioning.new_tenant import provision
from django_minio_router.s3 import memory
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import BucketStrategy, Location, PerModel, PerTenant, PerTenantPrefix
from django_minio_router.tenancy.row_cache import clear_cached_rows
from strategies.tenant_and_model import TenantAndModel
from tests.apps.brands.models import Brand, Font
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract, Invoice, Letter, Receipt, Report
from tests.apps.in_public.models import Notice
from tests.support.schemas import make_schema

Route = Callable[[BucketStrategy], BucketStrategy]

ALL = -1  # whose files are everybody's
REPLICA = "replica"  # the alias of a second connection to the database


@dataclass(frozen=True)
class Kind:
    """A field that stores files: ``owned`` by the tenant of its row, or ``shared`` by all tenants.

    Rows ``on_public`` are in one table, whose files belong to no tenant. Files of a kind that ``moves`` are
    in a bucket that is named after the schema.
    """

    model: type[Model]
    strategy: BucketStrategy
    owned: bool = False
    shared: bool = False
    on_public: bool = False
    moves: bool = False

    def file(self, name: str, owner: Client | None = None) -> FieldFile:
        """Return the file of a row that is not saved."""
        row = self.model(file=name)
        if self.owned:
            row.brand = Brand(company=owner)
        return row.file

    def where(self, tenant: Client) -> Location:
        """Return where files of the tenant must be, by a strategy that nothing was asked of before."""
        with tenant_bucket_context("public" if self.on_public else tenant):
            return Location.of(self.strategy.bucket_for(self.model))


def kinds(token: str) -> dict[str, Kind]:
    return {
        "contracts": Kind(Contract, PerTenant(f"{token}c-{{schema_name}}"), moves=True),
        "letters": Kind(Letter, PerTenant(f"{token}l-{{id}}")),
        "reports": Kind(Report, PerTenantPrefix(f"{token}-reports", "t-{id}")),
        "receipts": Kind(Receipt, TenantAndModel({"docs.Receipt": f"{token}r"}), moves=True),
        "invoices": Kind(Invoice, PerModel({"docs.Invoice": f"{token}-invoices"}), shared=True),
        "fonts": Kind(Font, PerTenant(f"{token}f-{{id}}"), owned=True),
        "notices": Kind(
            Notice, PerTenant(f"{token}n-{{id}}", public=f"{token}-public"), shared=True, on_public=True
        ),
    }


@dataclass
class World:
    """Three tenants whose names are easily taken for each other's, and a plain dictionary for each."""

    bare: Minio
    token: str = field(default_factory=lambda: "i" + secrets.token_hex(4))
    tenants: list[Client] = field(default_factory=list)
    files: dict[tuple[str, int], dict[str, bytes]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    folders: dict[Location, set[str]] = field(default_factory=dict)
    steps: int = 0
    said: list[str] = field(default_factory=list)
    """What commands printed in this example."""

    def __post_init__(self) -> None:
        self.kinds = kinds(self.token)
        self.names = [f"{self.token}{end}" for end in ("_a", "-a", "--a", ".A", "a", "é")]

    def owners(self, kind: Kind) -> list[int]:
        return [ALL] if kind.shared else list(range(len(self.tenants)))

    def place(self, kind: Kind, owner: int) -> Location:
        return kind.where(self.tenants[max(owner, 0)])

    def create(self) -> None:
        for schema_name in self.names[:3]:
            self.tenants.append(Client(schema_name=schema_name, name=schema_name))
        Client.objects.bulk_create(self.tenants)  # sends no signal
        for tenant in self.tenants:
            make_schema(tenant)
        connections[REPLICA] = connection.copy(REPLICA)
        for bucket in self._buckets():
            self.bare.make_bucket(bucket_name=bucket)

    def destroy(self) -> None:
        connections[REPLICA].close()
        del connections[REPLICA]
        for tenant in self.tenants:
            tenant.delete(force_drop=True)

    def empty(self) -> None:
        """Begin anew: with the first names, and without a file; nothing is known of a tenant's row."""
        clear_cached_rows()
        for tenant in self.tenants:
            tenant.refresh_from_db()
        used = self._buckets()  # also those of the names that the last example ended with
        if [tenant.schema_name for tenant in self.tenants] != self.names[:3]:
            for number, tenant in enumerate(self.tenants):  # as they may have swapped their names
                schema_rename(tenant, f"{self.token}waits{number}")
            for schema_name, tenant in zip(self.names, self.tenants, strict=False):
                schema_rename(tenant, schema_name)
        for bucket in self._buckets() | used:
            for name in self.held(bucket):
                self.bare.remove_object(bucket_name=bucket, object_name=name)
        self.left, self.said = set(), []
        self.files = {(name, owner): {} for name, kind in self.kinds.items() for owner in self.owners(kind)}

    def _buckets(self) -> set[str]:
        places = {self.place(kind, owner) for kind in self.kinds.values() for owner in self.owners(kind)}
        return {place.bucket for place in places} | self.left

    def held(self, bucket: str) -> dict[str, str]:
        """Return names and MD5 sums of what the server holds there, as the SDK alone finds it."""
        if settings.MINIO_ENDPOINT == "memory:":  # in memory, which is no server to list
            held = memory.contents("memory")[bucket]
            return {name: hashlib.md5(content).hexdigest() for name, content in held.items()}
        entries = self.bare.list_objects(bucket_name=bucket, recursive=True)
        return {entry.object_name: entry.etag.strip('"') for entry in entries}

    def note_folder(self, kind: str, owner: int | None, name: str) -> None:
        if "/" in name:
            self.folders_ever(kind, owner).add(name.partition("/")[0])

    def folders_ever(self, kind: str, owner: int | None) -> set[str]:
        """Return the folders that there are or were in the place."""
        return self.folders.setdefault(self.place(self.kinds[kind], owner or 0), set())

    def check(self) -> None:
        """Compare everything: each file is where it must be, and nothing is anywhere else."""
        expected: dict[str, dict[str, str]] = {bucket: {} for bucket in self._buckets()}
        for (name, owner), files in self.files.items():
            place = self.place(self.kinds[name], owner)
            for file, content in files.items():
                expected[place.bucket][place.prefix + file] = hashlib.md5(content).hexdigest()
        assert {bucket: self.held(bucket) for bucket in expected} == expected, self.said

    def rename(self, number: int, schema_name: str) -> None:
        """Rename the schema as a project does, and move what is named after it."""
        moving = {name: kind for name, kind in self.kinds.items() if kind.moves}
        before = {name: self.place(kind, number).bucket for name, kind in moving.items()}
        tenant = self.tenants[number]
        old_name = tenant.schema_name
        call_command("rename_schema", rename_from=old_name, rename_to=schema_name)
        tenant.refresh_from_db()
        assert tenant.schema_name == schema_name
        provision(tenant)
        for name, kind in moving.items():
            self._forget_rows()  # since what any row names stays in the old place, also one of another model
            with schema_context(schema_name):
                kind.model._base_manager.bulk_create(kind.model(file=f) for f in self.files[name, number])
            self._move(kind, before[name], schema_name)
        self.left |= set(before.values())

    def _forget_rows(self) -> None:
        for tenant in self.tenants:
            with tenant:
                for kind in self.kinds.values():
                    kind.model._base_manager.all().delete()

    def _move(self, kind: Kind, bucket: str, schema_name: str) -> None:
        label = kind.model._meta.label
        which = [f"--from=bucket:{bucket}", f"--tenant={schema_name}", f"--model={label}"]
        said = io.StringIO()
        call_command("move_objects", *which, "--delete-source", "--no-input", stdout=said, stderr=said)
        self.said.append(said.getvalue())


@contextmanager
def world(bare: Minio, use: Callable[..., None], route: Route = lambda own: own) -> Iterator[World]:
    """Make the world on the servers; ``route`` may put another strategy in the place of a field's own."""
    made = World(bare)
    for kind in made.kinds.values():
        use(kind.model, MinioRouter(strategy=route(kind.strategy)))
        bind_field(kind.model._meta.get_field("file"))  # of all models, also those that do not route else
    try:
        made.create()
        yield made
    finally:
        connection.set_schema_to_public()
        made.destroy()
