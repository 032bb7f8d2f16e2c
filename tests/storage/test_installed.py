"""A storage of ours is used, and the app is not in ``INSTALLED_APPS``."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.sites import SERVER, Site


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    done = Site(folder, SERVER, "INSTALLED_APPS = []").python(code)
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

    line = "FixedBucket('papers') routes, and 'django_minio_router' is not installed."
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
    done = Site(tmp_path, SERVER).python(
        "from django_minio_router import MinioBackend; MinioBackend('papers', public=False).url('a.txt')"
    )

    assert (done.returncode, done.stderr) == (0, "")
