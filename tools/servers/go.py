"""Servers that are written in Go: found on this machine, or built once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .process import ServerError

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "bin"


def go_program(name: str, source: str, *, variable: str) -> str:
    """Return the path of the program: what the variable names, what is on PATH, or one built with Go."""
    given = os.environ.get(variable)
    if given and not shutil.which(given):
        raise ServerError(f"{variable}={given} is no program. Name a {name} server, or unset it.")
    built = CACHE / name
    return given or shutil.which(name) or shutil.which(built) or _build(built, source, variable)


def _build(binary: Path, source: str, variable: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise ServerError(
            f"{binary.name} is not on this machine. Name it in {variable}, put it on PATH, or install Go,"
            f" with which it is built: go install {source}"
        )
    print(f"Building {binary.name} once with 'go install {source}'; minutes pass.", file=sys.stderr)
    env = {**os.environ, "GOBIN": str(binary.parent)}
    result = subprocess.run([go, "install", source], env=env, capture_output=True, text=True)
    if result.returncode != 0:
        raise ServerError(f"'go install {source}' failed:\n{result.stderr[-2000:]}")
    return str(binary)
