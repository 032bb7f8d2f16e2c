"""Writers, deleters, movers and sweepers of two tenants at once, while a tenth of the answers is lost.

In the end every acknowledged file that nobody deleted is there and whole, and every deleted one is gone.
"""

from __future__ import annotations

import io
import logging
import os
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django_tenants.utils import tenant_context
from minio import Minio

from django_minio_router import MinioBackend, MinioRouter
from django_minio_router.exceptions import ServerError
from django_minio_router.management.commands import clean_orphaned_minio_files, move_objects
from django_minio_router.storage.binding import bind_field
from django_minio_router.strategies import PerTenant
from tests.apps.customers.models import Client
from tests.apps.docs.models import Contract
from tests.support.proxy import Proxy, Request, drop_answer
from tests.support.scale import scale
from tests.support.schemas import make_schema

from .conftest import forget_clients, options_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.full_scale]

logger = logging.getLogger(__name__)
OPERATIONS = scale(200, 10_000)
NAMES = ["a.txt", "b.txt", "d/a.txt"]  # of both tenants and all writers, so that they meet
GRACE = 60  # seconds: a file without a row is an orphan after that


class Acknowledged(NamedTuple):
    tenant: int
    row: int
    content: bytes


@dataclass
class Crowd:
    """What everybody did, and what they were told."""

    tenants: list[Client]
    old: list[MinioBackend]
    left: int = OPERATIONS
    stored: SimpleQueue[Acknowledged] = field(default_factory=SimpleQueue)
    deleted: list[tuple[Acknowledged, str]] = field(default_factory=list)
    in_doubt: list[Acknowledged] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, do: Callable[[random.Random], str], seed: int) -> None:
        """Do it again and again, until enough was done by all."""
        luck = random.Random(seed)
        try:
            while self._takes_one():
                done = do(luck)
                with self.lock:
                    self.counts[done] = self.counts.get(done, 0) + 1
        finally:
            connection.close()

    def _takes_one(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left >= 0

    # What each of them does

    def write(self, luck: random.Random) -> str:
        tenant, content = luck.randrange(2), luck.randbytes(luck.choice([20, 20_000]))
        try:
            with tenant_context(self.tenants[tenant]):
                row = Contract.objects.create(file=ContentFile(content, name=luck.choice(NAMES)))
        except ServerError:
            return "save refused"
        self.stored.put(Acknowledged(tenant, row.pk, content))
        return "saved"

    def write_in_the_old_place(self, luck: random.Random) -> str:
        """As processes do that still have the old code; a name that was moved away is free to them."""
        tenant, content = luck.randrange(2), luck.randbytes(20)
        try:
            name = self.old[tenant].save(f"old/{luck.getrandbits(64):x}.txt", ContentFile(content))
            with tenant_context(self.tenants[tenant]):
                row = Contract.objects.create(file=name)
        except ServerError:
            return "save refused"
        self.stored.put(Acknowledged(tenant, row.pk, content))
        return "saved in the old place"

    def delete(self, luck: random.Random) -> str:
        try:
            file = self.stored.get(timeout=0.2)
        except Empty:
            return "nothing to delete"
        if luck.random() < 0.4:
            self.stored.put(file)
            return self.read(file)
        with tenant_context(self.tenants[file.tenant]):
            row = Contract.objects.get(pk=file.row)
            name = row.file.name
            try:
                row.file.delete(save=False)
            except ServerError:
                self.in_doubt.append(file)
                return "delete in doubt"
            row.delete()
        self.deleted.append((file, name))
        return "deleted"

    def read(self, file: Acknowledged) -> str:
        with tenant_context(self.tenants[file.tenant]):
            try:
                row = Contract.objects.get(pk=file.row)
                with row.file.open() as opened:
                    found = opened.read()
            except ServerError:
                return "read refused"
            except (Contract.DoesNotExist, FileNotFoundError):
                return "read what is being deleted"  # the end tells whether that is true
        if found != file.content:
            self.problems.append(f"{row.file.name} of tenant {file.tenant} has the content of another file")
        return "read"

    def move(self, luck: random.Random) -> str:
        tenant = luck.randrange(2)
        bucket = self.old[tenant].bucket
        which = [f"--from=bucket:{bucket}", f"--tenant={self.tenants[tenant].schema_name}"]
        return command(move_objects, *which, "--model=docs.Contract", "--delete-source", "--no-input")

    def sweep(self, luck: random.Random) -> str:
        which = [f"--tenant={luck.choice(self.tenants).schema_name}", f"--min-age={GRACE / 3600}"]
        return command(clean_orphaned_minio_files, *which, "--max-share=1", "--no-input")


def command(module: Any, *arguments: str) -> str:
    name, said = module.__name__.rpartition(".")[2], io.StringIO()
    try:
        call_command(module.Command(), *arguments, stdout=said, stderr=said)
    except (CommandError, ServerError):
        return f"{name} failed in part"
    return name


@contextmanager
def losing_answers(share: float) -> Iterator[Proxy]:
    luck = random.Random(1)
    lock = threading.Lock()

    def is_lost(request: Request) -> bool:
        with lock:
            return luck.random() < share

    with Proxy(os.environ["MINIO_ENDPOINT"]) as proxy:
        proxy.when(drop_answer, where=is_lost, times=None)
        yield proxy
    forget_clients()


@pytest.fixture
def tenants(transactional_db: None, settings: Any) -> Iterator[list[Client]]:
    settings.MINIO_PROVISION_TENANTS = False
    token = secrets.token_hex(4)
    made = [Client.objects.create(schema_name=label + token, name=label) for label in ("north", "south")]
    for tenant in made:
        make_schema(tenant)
    yield made
    connection.set_schema_to_public()
    for tenant in made:
        tenant.delete(force_drop=True)


def test_what_was_acknowledged_is_there_and_what_was_deleted_is_gone(
    bare: Minio,
    tenants: list[Client],
    settings: Any,
    use: Callable[..., None],
    new_name: Callable[[str], str],
    contents: Callable[[str], dict[str, bytes]],
) -> None:
    new, old = new_name("new"), new_name("old")
    buckets = [f"{new}-{tenant.pk}" for tenant in tenants]
    old_buckets = [f"{old}-{tenant.pk}" for tenant in tenants]
    for bucket in (*buckets, *old_buckets):
        bare.make_bucket(bucket_name=bucket)
    with losing_answers(0.1) as proxy:
        options = options_for(proxy.endpoint, MINIO_CONDITIONAL_WRITES=True)
        for setting, value in options.items():
            setattr(settings, setting, value)
        strategy, fallback = PerTenant(f"{new}-{{id}}"), PerTenant(f"{old}-{{id}}")
        use(Contract, MinioRouter(strategy=strategy, fallback=fallback, **options))
        bind_field(Contract._meta.get_field("file"))
        crowd = Crowd(tenants, [MinioBackend(bucket, public=False, **options) for bucket in old_buckets])
        jobs = [crowd.write] * 4 + [crowd.write_in_the_old_place, crowd.delete, crowd.delete]
        jobs += [crowd.move, crowd.sweep]
        with ThreadPoolExecutor(len(jobs)) as threads:
            for done in [threads.submit(crowd.work, job, number) for number, job in enumerate(jobs)]:
                done.result()
        proxy.forget()  # and lose no more
        assert crowd.problems == []
        logger.info("%s", crowd.counts)
        judge(crowd, [contents(bucket) for bucket in buckets])
    assert crowd.counts.get("saved", 0) > OPERATIONS / 10, crowd.counts
    assert crowd.counts.get("deleted", 0) > OPERATIONS / 50, crowd.counts


def judge(crowd: Crowd, held: list[dict[str, bytes]]) -> None:
    kept = []
    while not crowd.stored.empty():
        kept.append(crowd.stored.get())
    for file in kept:
        with tenant_context(crowd.tenants[file.tenant]):
            row = Contract.objects.get(pk=file.row)
            with row.file.open() as opened:
                assert opened.read() == file.content, (file.row, row.file.name)
    gone = {(file.tenant, file.content): name for file, name in crowd.deleted}
    back = [
        (tenant, name, gone[tenant, content])
        for tenant, files in enumerate(held)
        for name, content in files.items()
        if (tenant, content) in gone
    ]
    assert not back
