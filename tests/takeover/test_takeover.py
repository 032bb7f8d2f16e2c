"""A project on the original moves here by one word, with its database, its migrations and its files."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from tests.identity.environments import FIVE, FOUR, Original, Unavailable
from tests.takeover.projects import Project, in_the_guide, replace_in

TEMPLATE = Path(__file__).with_name("project")
SETTINGS = {FIVE.version: "website.settings_3", FOUR.version: "website.settings_4"}
PREPARED = [
    ("manage", "migrate"),
    ("manage", "initialize_buckets"),
    ("manage", "collectstatic", "--no-input"),
]
DATE = r"\d{4}-\d{1,2}-\d{1,2}"


@pytest.fixture(params=[FIVE, FOUR], ids=lambda original: original.version)
def original(request: pytest.FixtureRequest) -> Original:
    return request.param


@pytest.fixture
def project(original: Original, tmp_path: Path) -> Project:
    """The project as it was written, on neither package yet."""
    folder = tmp_path / "project"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    token = f"takeover-{secrets.token_hex(4)}"
    replace_in(folder, "takeover", token)
    return Project(folder, Path("no python"), SETTINGS[original.version], token, folder / "journey.py")


@pytest.fixture
def old(project: Project, original: Original) -> Project:
    """The project on the original."""
    try:
        return replace(project, python=original.python())
    except Unavailable as reason:
        pytest.skip(f"No {original.version} to move from: {reason}.")


@pytest.fixture
def moved(project: Project) -> Project:
    """The project on this package, with an empty database."""
    return project.move()


def test_a_project_with_files_moves_by_one_word(old: Project) -> None:
    *_, before = old.journey(*PREPARED, ("upload", "first"))
    new = old.move()
    guided = [command.split()[2:] for command in in_the_guide("python manage.py ")]
    assert [command[0] for command in guided] == ["check", "makemigrations", "initialize_buckets"]

    migrated, checked, made, buckets, static, available, after, clean, uploaded = new.journey(
        ("manage", "migrate"),
        *(("manage", *command) for command in guided),
        ("manage", "collectstatic", "--no-input"),
        ("manage", "is_minio_available"),
        ("look", "first"),
        ("manage", "clean_orphaned_minio_files", "--check-missing", "--min-age=0", "--dry-run"),
        ("upload", "second"),
    )
    replace_in(new.folder, "django_minio_router", "django_minio_backend")
    (back,) = old.journey(("look", "second"))

    assert back == uploaded, "the original reads what was stored here"
    assert "No migrations to apply" in migrated
    assert made == "No changes detected\n"
    assert checked == "System check identified no issues (0 silenced).\n"
    assert buckets == "4 unchanged.\n"
    assert "0 static files copied, 1 unmodified" in static
    assert "is available" in available
    assert after == before
    assert "0 rows refer to a missing object" in clean
    assert "0 orphans" in clean


def test_the_same_journey_ends_the_same(old: Project) -> None:
    journey = [("upload", "row"), ("replace", "row"), ("clear", "row")]
    before = old.journey(*PREPARED, *journey)
    new = old.move()
    after = new.journey(("manage", "flush", "--no-input"), *journey)

    assert list(map(comparable, before[3:])) == list(map(comparable, after[1:]))


def comparable(seen: dict[str, Any]) -> str:
    """Leave out what differs from one run to the next, and the date that 3.5.3 writes without zeros."""
    text = re.sub(DATE, "DATE", json.dumps(seen))
    return re.sub(r"_[A-Za-z0-9]{7}(?=\.txt)", "", text)


def test_the_admin_uploads_replaces_and_clears(moved: Project, bare: Minio) -> None:
    *_, uploaded, replaced, cleared = moved.journey(
        *PREPARED, ("upload", "one"), ("replace", "one"), ("clear", "one")
    )

    assert re.fullmatch(r"\d{4}-\d\d-\d\d/public\.txt", uploaded["public"]["name"])
    assert uploaded["public"]["link"] == [200, "text/plain", True]
    assert uploaded["public"]["plain link"] == 200
    assert not uploaded["public"]["signed"]
    for field in ("private", "lazy", "plain"):
        assert uploaded[field]["link"] == [200, "text/plain", True], field
        assert uploaded[field]["plain link"] == 403, field
        assert uploaded[field]["signed"], field
    assert uploaded["image"]["link"] == [200, "image/png", True]
    assert uploaded["size"] == [30, 20]
    assert all(uploaded[field]["on the page"] for field in uploaded if field != "size")

    assert replaced["private"]["content"] == "private replace"
    assert replaced["private"]["name"] != uploaded["private"]["name"]
    assert replaced["image"]["name"] == uploaded["image"]["name"] == "images/image.png"
    assert replaced["size"] == [8, 4]

    files = dict.fromkeys(["public", "private", "lazy", "image", "plain"])
    assert cleared == {**files, "size": [None, None]}
    assert names(bare, moved, "public") == {"DATE/public.txt", "images/image.png"}
    assert names(bare, moved, "private") == {"DATE/private.txt", "lazy/lazy.txt"}
    assert names(bare, moved, "media") == {"plain/plain.txt"}
    assert names(bare, moved, "static") == {"site.css"}


def names(bare: Minio, project: Project, label: str) -> set[str]:
    """Return the names in a bucket, as they are without the parts that differ from run to run."""
    listed = bare.list_objects(bucket_name=f"{project.token}-{label}", recursive=True)
    return {
        re.sub(r"_[A-Za-z0-9]{7}(?=\.txt)", "", re.sub(DATE, "DATE", entry.object_name)) for entry in listed
    }


def test_migrations_need_no_server_and_no_new_ones_are_made(moved: Project, monkeypatch) -> None:
    monkeypatch.setenv("MINIO_ENDPOINT", "127.0.0.1:9")
    monkeypatch.setenv("MINIO_SECRET_KEY", "another-secret-key")

    moved.run("manage.py", "migrate")
    assert "No changes detected" in moved.run("manage.py", "makemigrations", "--check", "--dry-run")


def test_replaced_files_are_orphans_of_a_project_without_tenants(moved: Project, bare: Minio) -> None:
    clean = ("manage", "clean_orphaned_minio_files", "--no-input")

    *_, kept, young, cleaned, after = moved.journey(
        *PREPARED,
        ("upload", "one"),
        ("replace", "one"),
        clean,
        (*clean, "--min-age=0"),
        ("look", "one"),
    )

    assert "0 orphans" in young
    assert f"orphan: {moved.token}-private/lazy/lazy.txt\n" in cleaned
    assert "4 deleted, 0 spared, 0 failed." in cleaned
    assert after == kept
    assert names(bare, moved, "static") == {"site.css"}


@pytest.mark.parametrize("original", [FOUR], indirect=True, ids=[FOUR.version])
def test_the_same_orphans_are_found(old: Project) -> None:
    clean = ("manage", "clean_orphaned_minio_files", "--dry-run")
    *_, theirs = old.journey(*PREPARED, ("upload", "one"), ("replace", "one"), clean)
    (ours,) = old.move().journey((*clean, "--min-age=0"))

    found = set(re.findall(r"^orphan: (\S+)", ours, re.MULTILINE))
    assert found == set(re.findall(r"orphaned file: (\S+)", theirs))
    assert len(found) == 4
