"""Every operation of a storage that sends a request, with what must come of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile

from django_minio_router import MinioBackend
from django_minio_router.buckets.ensure import PlannedBucket, ensure_bucket
from tests.support.which_server import is_minio

ABSENT = 1 if is_minio() else 2
"""Requests that find an object absent: MinIO says at once that it is not the bucket that is missing."""

PART = 5 * 1024 * 1024
SMALL = secrets.token_bytes(20_000)
LARGE = secrets.token_bytes(PART + 300_000)
OLD = secrets.token_bytes(10_000)
HELD = {"large.bin": LARGE, "old.bin": OLD}
"""What the bucket holds before the operation."""


@dataclass(frozen=True)
class Operation:
    """``run`` may raise; ``is_right`` judges what it returned.

    ``requests`` is how many it sends when all is well, ``writes`` the content that it stores.
    """

    name: str
    run: Callable[[MinioBackend], Any]
    is_right: Callable[[Any], bool]
    requests: int = 1
    writes: bytes | None = None
    replaces: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def changes(self) -> bool:
        return self.writes is not None or self.name in {"delete", "initialize"}


def _save(name: str, content: bytes) -> Callable[[MinioBackend], str]:
    return lambda storage: storage.save(name, ContentFile(content))


def _read(name: str) -> Callable[[MinioBackend], bytes]:
    def run(storage: MinioBackend) -> bytes:
        with storage.open(name) as file:
            return b"".join(file.chunks())

    return run


def _delete(storage: MinioBackend) -> bool:
    storage.delete("old.bin")
    return storage.exists("old.bin")


def _initialize(storage: MinioBackend) -> str:
    planned = PlannedBucket(f"{storage.bucket}-new", storage.config, True, False, "a test")
    return ensure_bucket(planned).state.value


def _is_new(name: str) -> bool:
    return name.startswith("new")


def _is_old(name: str) -> bool:
    return name == "old.bin"


OPERATIONS = [
    Operation("save", _save("new.bin", SMALL), _is_new, writes=SMALL),
    Operation("save_parts", _save("new.bin", LARGE), _is_new, 4 + ABSENT, LARGE),
    Operation("replace", _save("old.bin", SMALL), _is_old, 1, SMALL, replaces=True),
    Operation("replace_by_parts", _save("old.bin", LARGE), _is_old, 4, LARGE, replaces=True),
    Operation("read", _read("old.bin"), lambda data: data == OLD),
    Operation("read_large", _read("large.bin"), lambda data: data == LARGE, 2),
    Operation("exists", lambda storage: storage.exists("old.bin"), lambda found: found is True),
    Operation(
        "exists_not", lambda storage: storage.exists("absent.bin"), lambda found: found is False, ABSENT
    ),
    Operation("size", lambda storage: storage.size("old.bin"), lambda size: size == len(OLD)),
    Operation(
        "modified", lambda storage: storage.get_modified_time("old.bin"), lambda time: time.year > 2000
    ),
    Operation("delete", _delete, lambda found: found is False, 1 + ABSENT),
    Operation("listdir", lambda storage: storage.listdir(), lambda found: found == ([], [*HELD])),
    Operation("initialize", _initialize, lambda state: state in {"created", "changed", "unchanged"}, 4),
]
