"""A virtual environment for each package under test, created once in .cache/bench."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .subjects import ENVIRONMENT_OF

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
DJANGO = "Django~=5.2.0"  # the newest that every package here runs on

REQUIREMENTS = {
    "ours": ["-e", f"{ROOT}[tenants]", "psycopg[binary]"],
    "dmb": ["django-minio-backend==4.5.0"],
    "five": ["django-minio-backend-five==3.5.3", "minio==7.2.7"],  # its url() fails on later SDKs
    "dms": ["django-minio-storage==0.6.0"],
    "dst": ["django-storages[s3]==1.14.6"],
}
NAMED = ("Django", "minio", "urllib3", "boto3", "cachetools")


def newest_python() -> str:
    """Return the Python for all environments: 3.12 or newer, which dmb needs, else the running one."""
    names = ["python3.12", "python3.13", "python3.14"]
    found = [sys.executable, *filter(None, map(shutil.which, names))]
    return next((python for python in found if _version(python) >= (3, 12)), sys.executable)


def interpreters(names: Iterable[str]) -> dict[str, str]:
    """Return the interpreter of each package, without those whose environment cannot be created."""
    python = newest_python()
    made = {name: make_environment(ENVIRONMENT_OF.get(name, name), python) for name in names}
    return {name: interpreter for name, interpreter in made.items() if interpreter is not None}


def _version(python: str) -> tuple[int, ...]:
    code = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return tuple(map(int, answer.stdout.split()))


def make_environment(name: str, python: str, requirements: list[str] | None = None) -> str | None:
    """Return the Python of the environment, which is created if missing; None if that fails."""
    requirements = requirements or REQUIREMENTS[name]
    wanted = json.dumps([python, DJANGO, *requirements])
    folder = CACHE / name
    interpreter, stamp = folder / "bin" / "python", folder / "made-from.json"
    if stamp.exists() and stamp.read_text() == wanted:
        return str(interpreter)
    print(f"Making the environment of {name}: {', '.join(requirements)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([python, "-m", "venv", str(folder)], [*pip, DJANGO, *requirements]):
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            print(f"{name} is left out: {made.stderr.strip().splitlines()[-1:]}", flush=True)
            return None
    stamp.write_text(wanted)
    return str(interpreter)


def versions(python: str) -> dict[str, str]:
    """Return the versions in an environment that the page names."""
    code = (
        "import json, platform; from importlib.metadata import distributions as all;"
        f"print(json.dumps({{d.name: d.version for d in all() if d.name in {NAMED}}}"
        " | {'Python': platform.python_version()}))"
    )
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(answer.stdout)
    return found
