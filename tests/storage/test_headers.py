"""What files are stored with: metadata of each file, and types that are the same on every machine."""

from __future__ import annotations

import mimetypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.db.migrations.writer import MigrationWriter

from django_minio_router import ConfigurationError, MinioBackend, MinioRouter
from django_minio_router.storage.content_types import guess_type
from django_minio_router.strategies import FixedBucket


def described(name: str, content: File[Any]) -> dict[str, str]:
    return {"Cache-Control": f"max-age={content.size}", "name": name, "start": content.read(2).decode()}


def typed(name: str, content: File[Any]) -> dict[str, str]:
    return {"Content-Type": "text/x-own"}


@pytest.fixture(autouse=True)
def in_memory(settings: Any) -> None:
    settings.MINIO_ENDPOINT = "memory:"


def stored(name: str, content: bytes = b"12345", **options: Any) -> dict[str, str]:
    storage = MinioRouter(strategy=FixedBucket(f"described-{token_hex(6)}"), **options)
    found = storage.backend.stat(storage.save(name, ContentFile(content))).metadata
    return {key.lower(): value for key, value in found.items()}


@pytest.mark.parametrize("metadata", [described, f"{__name__}.described"])
def test_metadata_may_be_a_function_of_name_and_content(metadata: Any) -> None:
    found = stored("a.txt", metadata=metadata)

    assert (found["cache-control"], found["content-type"]) == ("max-age=5", "text/plain")
    assert (found["x-amz-meta-name"], found["x-amz-meta-start"]) == ("a.txt", "12")


def test_of_a_file_that_is_written_the_function_sees_no_content_yet() -> None:
    storage = MinioBackend(f"described-{token_hex(6)}", public=False, metadata=described)

    with storage.open("a.txt", "wb") as file:
        file.write(b"some")

    found = {key.lower(): value for key, value in storage.stat("a.txt").metadata.items()}
    assert (found["x-amz-meta-name"], found["cache-control"]) == ("a.txt", "max-age=0")


def test_what_the_function_reads_is_stored_all_the_same() -> None:
    storage = MinioBackend("described", public=False, metadata=described)
    with storage.open(storage.save("a.txt", ContentFile(b"12345"))) as file:
        assert file.read() == b"12345"


def test_the_function_may_say_the_type_and_active_content_is_downloaded_still() -> None:
    found = stored("a.png", metadata=typed, MINIO_ACTIVE_CONTENT="download")

    assert (found["content-type"], found["content-disposition"]) == ("text/x-own", "attachment")


def test_a_function_that_returns_none_describes_nothing() -> None:
    assert "cache-control" not in stored("a.txt", metadata=lambda name, content: None)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (lambda name, content: ["a"], r"returned \['a'\] for 'a.txt'"),
        ("nowhere.at_all", "names 'nowhere.at_all', which cannot be imported"),
    ],
)
def test_what_describes_no_file_is_named(metadata: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        stored("a.txt", metadata=metadata)


def test_a_migration_names_the_function() -> None:
    written, imports = MigrationWriter.serialize(MinioBackend("described", metadata=described))

    assert f"metadata={__name__}.described" in written
    assert f"import {__name__}" in imports


TYPES = {
    "a.webp": "image/webp",
    "a.woff2": "font/woff2",
    "a.docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "a.AVIF": "image/avif",
    "a.js": "text/javascript",
    "a.mjs": "text/javascript",
    "a.webmanifest": "application/manifest+json",
    "a.svg": "image/svg+xml",
    "report.csv": "text/csv",
    "report.csv.gz": "application/gzip",
    "report.tgz": "application/gzip",
    "a.tar.bz2": "application/x-bzip",
    "a.json.br": "application/x-brotli",
    "a:b.pdf": "application/pdf",
    "a.no-such-ending": None,
    "a.on-this-machine": None,
    "none": None,
}


@pytest.mark.parametrize("name", TYPES)
def test_the_name_tells_the_type(name: str) -> None:
    assert guess_type(name) == TYPES[name]


def test_the_machine_has_no_say(tmp_path: Path) -> None:
    """In a process of its own, whose mime.types calls all of it something else."""
    path = tmp_path / "mime.types"
    path.write_text("x/x webp woff2 docx avif js mjs webmanifest svg csv pdf on-this-machine\n")
    code = (
        f"import mimetypes; mimetypes.knownfiles[:] = [{str(path)!r}]\n"
        "from django_minio_router.storage.content_types import guess_type\n"
        f"print([guess_type(name) for name in {list(TYPES)!r}])\n"
        "print(mimetypes.guess_type('a.webp')[0])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines() == [str(list(TYPES.values())), "x/x"]


@pytest.fixture
def added_type() -> Iterator[None]:
    before = mimetypes.guess_type("a.js")[0]
    mimetypes.add_type("text/x-ours", ".js")
    yield
    mimetypes.add_type(before or "text/javascript", ".js")


def test_a_type_that_the_project_adds_comes_first(added_type: None) -> None:
    assert guess_type("a.js") == "text/x-ours"


def test_a_packed_file_is_stored_as_what_it_is() -> None:
    assert stored("report.csv.gz")["content-type"] == "application/gzip"
