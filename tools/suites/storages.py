"""The storages that a suite may run on: two of Django for comparison, and routers with three strategies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage

from django_minio_router import MinioRouter
from django_minio_router.strategies import BucketStrategy, FixedBucket, PerModel, PerTenant

if TYPE_CHECKING:
    from django.db.models import Model


class OfModels(PerModel):
    """``PerModel`` that notes the models it is asked for."""

    asked: ClassVar[set[str]] = set()

    def bucket_for(self, model: type[Model] | None) -> str:
        if model is not None:
            self.asked.add(model._meta.label)
        return super().bucket_for(model)


def strategy(bucket: str) -> BucketStrategy:
    return {
        "FixedBucket": lambda: FixedBucket(bucket, public_read=True),
        "PerTenant": lambda: PerTenant(f"{bucket}-{{slug}}", public_read=True),
        # Pictures that no model has go to the default.
        "PerModel": lambda: OfModels(
            template=f"{bucket}-{{app_label}}-{{model_name}}", default=bucket, public_read=True
        ),
    }[os.environ["SUITE_STORAGE"]]()


class Routed(MinioRouter):
    """A router as suites make their storages: with files of its own, and links like those on disk."""

    def __init__(self, location: Any = None, base_url: str | None = None, **options: Any) -> None:
        bucket = f"suite-{crc32(str(location).encode()):x}" if location else "suite"
        super().__init__(strategy=strategy(bucket), **options)
        self.folder = location
        self.shown: dict[tuple[str, str], bytes] = {}

    def url(self, name: str | None, **options: Any) -> str:
        _scheme, _, _host, _bucket, key = super().url(name, **options).split("/", 4)
        return f"{settings.MEDIA_URL}{key}"


class BesideDisk(Routed):
    """What a suite does in its folder is done in the bucket before a call, and what is stored is shown there.

    For suites that make their pictures on disk, or look for what was stored there. What was stored in one
    bucket is not taken into another one, though all of them are shown in the same folder.
    """

    stored: ClassVar[dict[str, tuple[str, bytes]]] = {}  # by path: in which bucket, and what

    def path(self, name: str) -> str:
        return str(Path(self.folder or settings.MEDIA_ROOT) / name)

    def take(self, name: str) -> str:
        path = Path(self.path(name))
        content = path.read_bytes() if path.is_file() else None
        backend = self.backend
        bucket, stored = self.stored.get(str(path), (backend.bucket, b""))
        if content == stored and bucket != backend.bucket:
            content = None
        if content != self.shown.get((backend.bucket, name)):
            backend.delete(name)
            if content is not None:
                backend.save(name, ContentFile(content))
            self.remember(name, content)
        return name

    def remember(self, name: str, content: bytes | None) -> None:
        self.shown[self.backend.bucket, name] = content

    def save(self, name: Any, content: Any, max_length: int | None = None) -> str:
        name = super().save(name, content, max_length)
        path = Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.backend.open(name) as stored:
            path.write_bytes(stored.read())
        self.stored[str(path)] = self.backend.bucket, path.read_bytes()
        self.remember(name, path.read_bytes())
        return name

    def delete(self, name: str) -> None:
        super().delete(self.take(name))
        Path(self.path(name)).unlink(missing_ok=True)
        self.remember(name, None)

    def listdir(self, path: str = "") -> Any:
        for bucket, name in list(self.shown):
            if bucket == self.backend.bucket:
                self.take(name)
        return super().listdir(path)

    def open(self, name: str, *args: Any, **options: Any) -> Any:
        return super().open(self.take(name), *args, **options)

    def exists(self, name: str) -> bool:
        return super().exists(self.take(name))

    def size(self, name: str) -> int:
        return super().size(self.take(name))

    def get_modified_time(self, name: str) -> Any:
        return super().get_modified_time(self.take(name))


OF_DJANGO = {"FileSystemStorage": FileSystemStorage, "InMemoryStorage": InMemoryStorage}
OURS = BesideDisk if os.environ.get("SUITE_BESIDE_DISK") else Routed
Chosen = OF_DJANGO.get(os.environ["SUITE_STORAGE"], OURS)
