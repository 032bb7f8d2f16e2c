"""The example project that 3.5.3 brings along moves here by one word, with its rows and its files."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import django
import pytest
from minio import Minio

from tests.identity.environments import FIVE, Unavailable
from tests.takeover.projects import Project, replace_in

PACKAGES = ("DjangoExampleProject", "DjangoExampleApplication")
SETTINGS = """
from DjangoExampleProject.settings import *
STATICFILES_DIRS = [BASE_DIR + "/assets"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
"""
# Django 5.1 and later take no other; see docs/moving.md.
STORAGES = """
STORAGES = {
    "default": {"BACKEND": "django_minio_backend.models.MinioBackend"},
    "staticfiles": {"BACKEND": "django_minio_backend.models.MinioBackendStatic"},
}
"""
# The example reads its environment with a module that Python 3.12 no longer has.
STRTOBOOL = "def strtobool(text):\n    return text.lower() in {'1', 'true'}\n"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The example as it was published, on the original, with buckets of its own."""
    try:
        python = FIVE.python()
    except Unavailable as reason:
        pytest.skip(f"No example of {FIVE.version}: {reason}.")
    (published,) = (python.parents[1] / "lib").glob(f"*/site-packages/{PACKAGES[0]}")
    for package in PACKAGES:
        shutil.copytree(published.with_name(package), tmp_path / package)
    token = f"example-{secrets.token_hex(4)}"
    for name in ("django-backend-dev-", "my-"):
        replace_in(tmp_path, f'"{name}', f'"{token}-{name}')
    write(tmp_path / "settings_of_today.py", SETTINGS + (STORAGES if django.VERSION >= (5, 1) else ""))
    write(tmp_path / "assets" / "site.css", "body { }")
    if sys.version_info >= (3, 12):
        write(tmp_path / "distutils" / "__init__.py", "")
        write(tmp_path / "distutils" / "util.py", STRTOBOOL)
    monkeypatch.setenv("MINIO_EXTERNAL_ENDPOINT", os.environ["MINIO_ENDPOINT"])
    monkeypatch.setenv("MINIO_EXTERNAL_ENDPOINT_USE_HTTPS", "0")
    return Project(tmp_path, python, "settings_of_today", token, Path(__file__).with_name("example.py"))


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


@pytest.fixture
def stored(example: Project, bare: Minio) -> Callable[[str], set[str]]:
    """Return a function that reads the names in one of the project's buckets."""

    def stored(label: str) -> set[str]:
        listed = bare.list_objects(bucket_name=f"{example.token}-{label}", recursive=True)
        return {re.sub(r"\d{4}-\d\d?-\d\d?", "DATE", entry.object_name) for entry in listed}

    return stored


def test_it_moves_with_its_rows_and_files(example: Project, stored: Callable[[str], set[str]]) -> None:
    *_, before, changes = example.journey(
        "migrate", "collectstatic --no-input", "fill", "look", "makemigrations --check --dry-run"
    )
    assert len(before) == 4

    moved = example.move()
    checked, migrated, static, after, changes_here = moved.journey(
        "check",
        "migrate",
        "collectstatic --no-input",
        "look",
        "makemigrations --check --dry-run",
    )

    assert checked == "System check identified no issues (0 silenced).\n"
    assert "No migrations to apply" in migrated
    assert "0 static files copied, 1 unmodified" in static
    assert changes_here == changes
    assert after == before
    assert dict(map(signed, after)) == {
        "image": False,
        "publicattachment": False,
        "privateattachment": True,
        "genericattachment": True,
    }

    _, both, left = moved.journey("fill", "look", "delete")

    assert len(both) == 8
    assert all(row["a visitor gets"] == ["image/png", True] and row["on its page"] for row in both)
    assert left == [0, 0, 0, 0]
    for label in ("django-backend-dev-public", "django-backend-dev-private", "my-media-files-bucket"):
        assert stored(label) == set(), "the example deletes files with their rows"
    assert stored("my-static-files-bucket") == {"site.css"}


def signed(seen: dict) -> tuple[str, bool]:
    return seen["row"][0], seen["signed"]


def test_it_starts_from_nothing(example: Project, stored: Callable[[str], set[str]]) -> None:
    *_, seen = example.move().journey("migrate", "collectstatic --no-input", "fill", "look")

    assert all(row["a visitor gets"] == ["image/png", True] for row in seen)
    assert stored("django-backend-dev-public") == {"DATE/image.png", "DATE/publicattachment.png"}
    assert len(stored("django-backend-dev-private")) == 1
    assert stored("my-media-files-bucket") == {"genericattachment.png"}
