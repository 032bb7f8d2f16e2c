"""A project in a process of its own: Django without a database, and a storage that has been used already.

Whatever forks after this was imported inherits open connections.
"""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.core.files.base import ContentFile

if not settings.configured:
    settings.configure(
        SECRET_KEY="only for tests",
        INSTALLED_APPS=["django_minio_router"],
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="tests.reliability.site",
        USE_TZ=True,
        **{name: os.environ[name] for name in ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")},
        MINIO_PRIVATE_BUCKETS=[os.environ["BUCKET"]],
    )
    django.setup()

from django_minio_router import MinioBackend

storage = MinioBackend(os.environ["BUCKET"])
KNOWN = {f"known/{number}.bin": bytes([number]) * (1000 + number * 5000) for number in range(20)}


def fill() -> None:
    """Store the objects that everybody reads. Many connections stay open, and idle."""
    for name, content in KNOWN.items():
        storage.save(name, ContentFile(content))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(save_and_read, range(64)))


def save_and_read(number: int) -> None:
    """Two operations: read what all know, store what nobody else has. Fail on any other byte."""
    name = f"known/{number % len(KNOWN)}.bin"
    with storage.open(name) as file:
        assert file.read() == KNOWN[name], f"{name} holds other bytes"
    content = secrets.token_bytes(500 + number % 7 * 3000)
    saved = storage.save("own/x.bin", ContentFile(content))
    with storage.open(saved) as file:
        assert file.read() == content, f"{saved} holds other bytes"
