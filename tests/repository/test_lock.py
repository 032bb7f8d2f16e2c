"""requirements.lock: it satisfies pyproject.toml, and nothing in it is tied to a place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nox.project import load_toml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINNED = [Requirement(line) for line in re.findall(r"^(\w\S*==.*?)(?: \\)?$", LOCK, re.MULTILINE)]
PROJECT = load_toml(ROOT / "pyproject.toml")["project"]
GROUPS = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
ASKED_FOR = [Requirement(text) for group in GROUPS for text in group]
SYSTEMS = [
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
]


def holds(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system["sys_platform"])
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_each_requirement_is_pinned_to_a_version_that_it_allows(python: str, system: dict[str, str]) -> None:
    environment = {**system, "python_version": python, "python_full_version": f"{python}.1"}
    pins = {canonicalize_name(pin.name): pin.specifier for pin in PINNED if holds(pin, environment)}

    for asked in ASKED_FOR:
        if holds(asked, environment):
            (pin,) = pins[canonicalize_name(asked.name)]
            assert asked.specifier.contains(pin.version), f"{asked} is pinned to {pin.version}: nox -s lock"


def test_each_package_is_known_by_its_hashes() -> None:
    hashed = re.findall(r"^\w\S*==.* \\\n    --hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE)

    assert len(hashed) == len(PINNED) > 100


def test_the_page_on_dependencies_names_each_of_them() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    rows = re.findall(r"^\| (.+?) \|", page, re.MULTILINE)
    told = {name.partition(" (extra")[0].strip().lower() for row in rows for name in row.split(",")}

    assert {asked.name.lower() for asked in ASKED_FOR} - told == set()


def test_no_index_and_no_folder_is_named() -> None:
    assert not re.findall(r"://|--index-url|--find-links|file:|/\w+/", LOCK)
