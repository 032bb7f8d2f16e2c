"""A storage of ours is used, and the app is not in ``INSTALLED_APPS``."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.sites import SERVER, QuickSite


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    done = QuickSite(folder, SERVER, "INSTALLED_APPS = []").python(code)
    assert done.returncode == 0, done.stderr
    return done


def test_a_router_says_at_first_use_what_is_missing(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
        from django_minio_router import ConfigurationError, MinioRouter
        from django_minio_router.strategies import FixedBucket

        router = MinioRouter(strategy=FixedBucket("papers"))
        for _ in range(2):
            try:
                router.url("a.txt")
            except ConfigurationError as error:
                print(error)
        """,
    )

    line = "FixedBucket('papers') needs the app 'django_minio_router', which is not installed."
    assert done.stdout.splitlines() == [f"{line} Add 'django_minio_router' to INSTALLED_APPS."] * 2


def test_a_single_bucket_works_as_the_original_does_and_warns_once(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        """
        from django_minio_router import MinioBackend, MinioRouter

        print(MinioBackend("papers", public=False).url("a.txt"))
        print(MinioRouter().url("a.txt"))
        """,
    )

    assert done.stdout.count("X-Amz-Signature") == 2
    assert done.stderr.count("Add 'django_minio_router' to INSTALLED_APPS.") == 1


def test_an_installed_app_is_not_mentioned(tmp_path: Path) -> None:
    done = QuickSite(tmp_path, SERVER).python(
        "from django_minio_router import MinioBackend; MinioBackend('papers', public=False).url('a.txt')"
    )

    assert (done.returncode, done.stderr) == (0, "")


MODELS = """
from django.db import models
from django_minio_router import {storage}
from django_minio_router.strategies import FixedBucket


class Paper(models.Model):
    file = models.FileField(storage={storage}({options}))
"""


@pytest.mark.parametrize(
    ("storage", "options"), [("MinioRouter", "strategy=FixedBucket('papers')"), ("MinioBackend", "'papers'")]
)
def test_a_check_says_so_of_the_storage_of_a_field(tmp_path: Path, storage: str, options: str) -> None:
    app = tmp_path / "papers"
    app.mkdir()
    (app / "models.py").write_text(MODELS.format(storage=storage, options=options))
    site = QuickSite(
        tmp_path,
        SERVER,
        "INSTALLED_APPS = ['papers']",
        "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'",
    )

    assert "(minio_router.W008) Storages of 'django_minio_router' are used" in site.manage("check").stderr
