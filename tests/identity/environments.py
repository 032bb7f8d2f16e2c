"""Environments with the originals: made once in ``.cache/identity``, with uv or with venv and pip."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django

CACHE = Path(__file__).parents[2] / ".cache" / "identity"
UNREACHABLE = re.compile(
    r"from versions: none|Failed to fetch|NewConnectionError|ConnectTimeout|ReadTimeout|name resolution"
    r"|Could not connect|error sending request"
)


class Unavailable(Exception):
    """The original cannot be run here; the message says why."""


@dataclass(frozen=True)
class Original:
    """A release to compare with. ``sdk`` is the newest that it works on, where it does not say so itself."""

    version: str
    requirement: str
    oldest_python: tuple[int, int]
    sdk: str = ""

    def python(self) -> Path:
        """Return the interpreter of an environment with this release. ``Unavailable`` if there is none."""
        base, version = python_from(self.oldest_python)
        needed = [self.requirement, f"Django=={django.get_version()}", "Pillow", *filter(None, [self.sdk])]
        folder = CACHE / f"{self.version}-python{version}-django{django.get_version()}"
        CACHE.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            done = folder / "installed.txt"
            if not done.exists() or done.read_text() != "\n".join(needed):
                shutil.rmtree(folder, ignore_errors=True)
                install(base, folder, needed)
                done.write_text("\n".join(needed))
        return folder / "bin" / "python"


# Its links to private buckets fail on 7.2.8 and later, which take no bytes for a name.
FIVE = Original("3.5.3", "django-minio-backend-five==3.5.3", (3, 10), "minio==7.2.7")
FOUR = Original("4.5.0", "django-minio-backend==4.5.0", (3, 12))


def python_from(oldest: tuple[int, int]) -> tuple[str, str]:
    """Return the path and version of this Python, or else of the oldest one found that is new enough."""
    if sys.version_info >= oldest:
        return sys.executable, f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in (f"3.{minor}" for minor in range(oldest[1], 15)):
        for found in filter(None, candidates(version)):
            code = "import sys; print('%d.%d' % sys.version_info[:2])"
            asked = subprocess.run([found, "-c", code], capture_output=True, text=True)
            if asked.stdout.strip() == version:
                return found, version
    wanted = ".".join(map(str, oldest))
    raise Unavailable(f"it needs Python {wanted} or newer, and none is on PATH or beside this one")


def candidates(version: str) -> Iterator[str | None]:
    """Yield interpreters that may have this version: on PATH, beside this one, and the one that uv knows."""
    yield shutil.which(f"python{version}")
    beside = Path(sys.base_prefix).parent.glob(f"*{version}*/bin/python{version}")
    yield from map(str, sorted(beside))
    uv = shutil.which("uv")
    if uv:
        yield subprocess.run([uv, "python", "find", version], capture_output=True, text=True).stdout.strip()


def install(base: str, folder: Path, needed: list[str]) -> None:
    uv, python = shutil.which("uv"), str(folder / "bin" / "python")
    if uv:
        run([uv, "venv", "--quiet", "--python", base, str(folder)])
        run([uv, "pip", "install", "--quiet", "--python", python, *needed])
    else:
        run([base, "-m", "venv", str(folder)])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return
    if UNREACHABLE.search(done.stderr):
        raise Unavailable("the package index cannot be reached")
    raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let other workers wait while one makes the environment."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
