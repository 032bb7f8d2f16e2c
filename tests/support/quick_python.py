"""What `subprocess.run([python, …])` and a shell do, on forks of a process that has Django imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.support import forked_python

ROOT = Path(__file__).parents[2]
SCRIPT = Path(forked_python.__file__)
# The script `python` of a shell: it asks for a fork with its own arguments, environment, folder and streams.
SHIM = """#!{python} -IS
import os, sys
sys.path.insert(0, {folder!r})
from forked_python import ask
if sys.argv[1].startswith("-") and sys.argv[1] not in ("-c", "-m"):
    os.execv({python!r}, ["python", *sys.argv[1:]])
code = ask({address!r}, sys.argv[1:], dict(os.environ), os.getcwd(), [0, 1, 2])
sys.exit(code if code >= 0 else 128 - code)
"""


class QuickPython:
    """One interpreter, whose forks run what a test wants to run with it."""

    def __init__(self, python: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="forks-"))
        self._address = str(self._folder / "socket")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        # It ends when its standard input does, that is with this process.
        self._parent = subprocess.Popen(
            [python, SCRIPT, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=self._folder,
        )
        assert self._parent.stdout
        assert self._parent.stdout.readline() == b"ready\n"

    def run(
        self, *arguments: str | Path, folder: Path, environment: Mapping[str, str], timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run it as `subprocess.run([python, *arguments], ...)` would, and capture what it prints."""
        words = list(map(os.fspath, arguments))
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors, open(os.devnull) as nothing:
            streams = [nothing.fileno(), out.fileno(), errors.fileno()]
            code = forked_python.ask(
                self._address, words, dict(environment), os.fspath(folder), streams, timeout
            )
            printed = []
            for file in out, errors:
                file.seek(0)
                printed.append(file.read().decode())
        return subprocess.CompletedProcess(words, code, *printed)

    @property
    def bin(self) -> Path:
        """A folder for PATH, with a `python` that runs as a fork."""
        shim = self._folder / "bin" / "python"
        if not shim.exists():
            shim.parent.mkdir()
            text = SHIM.format(python=sys.executable, folder=str(SCRIPT.parent), address=self._address)
            shim.write_text(text)
            shim.chmod(0o755)
        return shim.parent


@cache
def quick_python(python: Path = Path(sys.executable)) -> QuickPython:
    """Return the interpreter whose forks all tests of this process share."""
    return QuickPython(python)
