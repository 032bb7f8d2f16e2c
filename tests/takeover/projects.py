"""Copies of projects on the original, and their move: what docs/moving.md says, done as it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.quick_python import quick_python

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Project:
    """A copy of a project, with buckets of its own, under the settings of one version."""

    folder: Path
    python: Path
    settings: str
    token: str
    script: Path

    def run(self, *arguments: str) -> str:
        server = {name: value for name, value in os.environ.items() if name.startswith("MINIO_")}
        environment = {
            **server,
            **{f"GH_{name}": value for name, value in server.items()},  # as the original's example reads them
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": self.settings,
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)]),
        }
        done = quick_python(self.python).run(*arguments, folder=self.folder, environment=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def journey(self, *steps: Any) -> list[Any]:
        """Take these steps of the script in one process; return what each gave."""
        return json.loads(self.run(str(self.script), json.dumps(steps)).splitlines()[-1])

    def move(self) -> Project:
        """Return the project after the move: the same folder, with one word replaced as the guide says."""
        (command,) = in_the_guide("grep ")
        subprocess.run(command, shell=True, cwd=self.folder, check=True)
        return replace(self, python=Path(sys.executable))


def in_the_guide(start: str) -> list[str]:
    """Return the commands of docs/moving.md that start so, each as one line."""
    text = (ROOT / "docs" / "moving.md").read_text().replace("\\\n", "")
    lines = map(str.strip, text.splitlines())
    return [line for line in lines if line.startswith(start)]


def replace_in(folder: Path, old: str, new: str) -> None:
    for file in folder.rglob("*.py"):
        file.write_text(file.read_text().replace(old, new))
