"""The letters of both tenants: stored in one bucket at first, and read while they are moved."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.core.files.base import ContentFile
from django.db import models
from django.urls import reverse
from django.utils.crypto import get_random_string
from django_tenants.utils import tenant_context

from django_minio_router import MinioBackend

from .customers.models import Client
from .library.models import Letter, archive, moving_files
from .visitors import in_bucket, request

COUNT = 25
EVERY_LETTER = "every letter"
LABEL = "library.Letter"
URLS = "examples.multi_tenant.library.urls"


@dataclass(frozen=True)
class Letters:
    """A tenant's letters: URL on the site, name on the server, and content."""

    owner: Client
    bucket: str
    contents: dict[str, tuple[str, bytes]]

    def in_own_bucket(self) -> str:
        return self._in(self.bucket)

    def in_archive(self) -> str:
        return self._in(archive.name)

    def _in(self, bucket: str) -> str:
        """Count the letters that the bare SDK finds there."""
        return _count(in_bucket(bucket, name) == content for name, content in self.contents.values())

    def on_page(self, port: int) -> str:
        page = request(self.owner, reverse("letters", URLS), port)[1].decode()
        return _count(address in page for address in self.contents)


def put_into_archive(client: Client) -> Letters:
    """Store the tenant's letters in the archive only, as before the move."""
    shared, run, contents = MinioBackend(archive.name, public=False), get_random_string(8), {}
    with tenant_context(client):
        own = moving_files.without_fallback().backend
        for letter in Letter.objects.all():  # of an earlier start
            own.delete(letter.file.name)
            models.Model.delete(letter)
        for number in range(1, COUNT + 1):
            content = f"{client}, letter {number}\n".encode()
            name = shared.save(f"letters/{client.schema_name}-{run}-{number:02}.txt", ContentFile(content))
            letter = Letter.objects.create(title=f"Letter {number}", file=name)
            contents[reverse("download-letter", URLS, [letter.pk])] = name, content
    return Letters(client, own.bucket, contents)


def _count(found: Iterable[bool]) -> str:
    return f"{sum(found)} letters"


@dataclass
class Readers:
    """Visitors who read all letters of their tenant over HTTP, again and again."""

    letters: list[Letters]
    port: int
    over: threading.Event = field(default_factory=threading.Event)
    rounds: list[Letters] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def read(self, letters: Letters) -> None:
        while not self.over.is_set() or letters not in self.rounds:
            for address, (name, content) in letters.contents.items():
                status, got = request(letters.owner, address, self.port)
                if (status, got) != (200, content):
                    self.wrong.append(f"{name} was {status} with {got[:200]!r}")
            self.rounds.append(letters)

    def said(self) -> str:
        if self.wrong:
            return f"{len(self.wrong)} times another answer; first {self.wrong[0]}"
        return EVERY_LETTER


@contextmanager
def readers(letters: list[Letters], port: int) -> Iterator[Readers]:
    """Run a visitor of each tenant during the block."""
    started = Readers(letters, port)
    with ThreadPoolExecutor(len(letters)) as threads:
        reading = [threads.submit(started.read, each) for each in letters]
        try:
            yield started
        finally:
            started.over.set()
        for reader in reading:
            reader.result()
