"""Run suites: ``python -m tools.suites [PACKAGE ...] [--server NAME] [--storage NAME ...]``.

The tests come from the source distribution of the version that is installed. Prints how many passed under
each storage, how many of these had a file of a model's field, and the names of those that fail though they
pass on disk. What pytest printed stays in .cache/suites.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from PIL import Image

from tools import servers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "suites"
STORAGES = ["FixedBucket", "PerTenant", "PerModel"]


SLOW = ("admin_views", "chooser", "image_operations")  # pages of its admin, and pixels


class Suite(NamedTuple):
    settings: str
    tests: tuple[str, ...]
    storages: str = ""  # the module in which it makes storages of its own
    beside_disk: bool = False
    pictures: tuple[str, ...] = ()  # which the distribution lacks


SUITES = {
    "django-imagekit": Suite(
        "tests.settings",
        ("tests",),
        pictures=("tests/media/reference.png", "tests/assets/reference.png", "tests/assets/cat.jpg"),
    ),
    "sorl-thumbnail": Suite(
        "tests.settings.pil", ("tests/thumbnail_tests",), "tests/thumbnail_tests/storage.py", True
    ),
    "easy-thumbnails": Suite(
        "easy_thumbnails.tests.settings", ("easy_thumbnails",), "easy_thumbnails/tests/utils.py", True
    ),
    "wagtail": Suite(
        "wagtail.test.settings",
        ("wagtail/images", "wagtail/documents", *(f"--ignore-glob=*_{name}.py" for name in SLOW)),
    ),
}
THEIRS = "from django.core.files.storage import FileSystemStorage"
OURS = "from tools.suites.storages import Chosen as FileSystemStorage"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.suites", description=__doc__)
    parser.add_argument("packages", nargs="*", default=[*SUITES], metavar="PACKAGE")
    parser.add_argument(
        "--storage",
        action="append",
        choices=[*STORAGES, "InMemoryStorage"],
        help="this one alone, beside that on disk; may be given several times",
    )
    parser.add_argument(
        "--server", choices=servers.S3_SERVERS, default="seaweedfs", help="unless MINIO_ENDPOINT names one"
    )
    options = parser.parse_args()
    storages = dict.fromkeys(["FileSystemStorage", *(options.storage or STORAGES)])
    try:
        with servers.running(options.server, postgres=False) as addresses:
            os.environ.update(addresses)
            for package in options.packages:
                compare(package, list(storages))
    except servers.ServerError as error:
        sys.exit(str(error))


def compare(package: str, storages: list[str]) -> None:
    on_disk: dict[str, str] = {}
    for storage in storages:
        tests = run(SUITES[package], unpacked(package, SUITES[package]), storage)
        results = {name_of(test): outcome(test) for test in tests}
        on_disk = on_disk or results
        of_models = sum(outcome(test) == "passed" and uses_a_model(test) for test in tests)
        report(f"{package} {version(package)} on {storage}", results, on_disk, of_models)


def unpacked(package: str, suite: Suite) -> Path:
    """Return a new folder of a package's sources, in which the suite makes its storages by our class."""
    release = f"{package}=={version(package)}"
    folder = FOLDER / release
    if not folder.is_dir():
        download = ("-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder)
        subprocess.run([sys.executable, *download, release], check=True)
    archive = next(folder.glob("*.tar.gz"))
    source = folder / archive.name.removesuffix(".tar.gz")
    shutil.rmtree(source, ignore_errors=True)  # with the files of the run before
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    if suite.storages:
        module = source / suite.storages
        module.write_text(module.read_text().replace(THEIRS, OURS))
    for picture in suite.pictures:
        (source / picture).parent.mkdir(exist_ok=True)
        Image.effect_noise((480, 320), 64).convert("RGB").save(source / picture)
    return source


def run(suite: Suite, source: Path, storage: str) -> list[ElementTree.Element]:
    """Return the tests, each with its outcome and the models whose buckets it used."""
    report = source / "report.xml"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{source}{os.pathsep}{ROOT}",
        "SUITE_SETTINGS": suite.settings,
        "SUITE_STORAGE": storage,
        "SUITE_BESIDE_DISK": "1" if suite.beside_disk else "",
    }
    theirs = ("-c", os.devnull, "--rootdir", source, "-o", "python_files=test*.py", *suite.tests)
    ours = ("--ds=tools.suites.settings", "-o", "django_find_project=false", f"--junitxml={report}")
    plugins = ("-p", "no:cacheprovider", "-p", "tools.suites.models_used")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", *plugins, *ours, *theirs]
    printed = source.parent / f"{storage}.log"
    with printed.open("w") as log:
        subprocess.run(command, cwd=source, env=environment, stdout=log, stderr=log, check=False)
    if not report.exists():
        sys.exit(f"The tests did not run; {printed} says why.")
    return list(ElementTree.parse(report).iter("testcase"))


def name_of(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}.{case.get('name')}"


def outcome(case: ElementTree.Element) -> str:
    return next((child.tag for child in case if child.tag in {"failure", "error", "skipped"}), "passed")


def uses_a_model(test: ElementTree.Element) -> bool:
    return any(one.get("name") == "models" for one in test.iter("property"))


def report(run: str, results: dict[str, str], on_disk: dict[str, str], of_models: int) -> None:
    counted = [f"{count} {one}" for one, count in Counter(results.values()).most_common()]
    counted += [f"{of_models} of those passed use a model's bucket"] if of_models else []
    print(f"{run}: {', '.join(counted)}", flush=True)
    for name, now in results.items():
        if now in {"failure", "error"} and on_disk.get(name) not in {"failure", "error"}:
            print(f"    {now}: {name}", flush=True)


if __name__ == "__main__":
    main()
