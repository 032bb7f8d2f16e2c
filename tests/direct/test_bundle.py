"""The script in the package is what its source and the locked packages give."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "django_minio_router" / "direct" / "static" / "django_minio_router"
SOURCE = ROOT / "tools" / "direct_upload"


def test_the_hash_is_that_of_the_script() -> None:
    digest = hashlib.sha256((BUILT / "direct.js").read_bytes()).hexdigest()
    assert (BUILT / "direct.js.sha256").read_text() == f"{digest}  direct.js\n"


def test_every_package_in_it_has_its_licence_beside_it() -> None:
    text = (BUILT / "direct.js.licences.txt").read_text()
    for name in (
        "@uppy/core 5.2.0 (MIT)",
        "@uppy/aws-s3 5.1.0 (MIT)",
        "preact",
        "Permission is hereby granted",
    ):
        assert name in text


@pytest.mark.skipif(
    shutil.which("npm") is None or not os.environ.get("CHECK_BUNDLE"),
    reason="Set CHECK_BUNDLE=1 where npm is: the packages are fetched.",
)
def test_a_build_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "direct_upload"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules"))
    for command in (["npm", "ci", "--ignore-scripts"], ["node", "build.js", str(tmp_path / "built")]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    for built in (tmp_path / "built").iterdir():
        assert built.read_bytes() == (BUILT / built.name).read_bytes(), built.name
