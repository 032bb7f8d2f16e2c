"""What tests run in forks of a process with Django is as it is in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forked_python import PRELOADED
from tests.support.quick_python import quick_python

SEEN = """
import os, sys
print(__name__, sys.argv, os.getcwd(), sorted(os.environ), sys.path, sys.stdin.read())
print([name for name in sys.modules if name.startswith(("django_minio_router", "django_tenants", "site_of"))])
print("an error", file=sys.stderr)
"""
ENDS = ["", "sys.exit(3)", "sys.exit('in words')", "os.kill(os.getpid(), 9)", "os._exit(7)"]


@pytest.mark.parametrize("start", ["-c", "-m", "script"])
@pytest.mark.parametrize("end", ENDS)
def test_it_sees_and_returns_the_same(start: str, end: str, tmp_path: Path) -> None:
    code = SEEN + end
    (tmp_path / "site_of_test.py").write_text(code)
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['FIRST'] = 'yes'")
    arguments = {"-c": ["-c", code], "-m": ["-m", "site_of_test"], "script": ["site_of_test.py"]}[start]
    arguments += ["one", "two words"]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": str(tmp_path)}
    own = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, input=""
    )
    fork = quick_python().run(*arguments, folder=tmp_path, environment=environment)

    assert "FIRST" in own.stdout or end.startswith("os.")
    assert (fork.returncode, fork.stdout, fork.stderr) == (own.returncode, own.stdout, own.stderr)


def test_in_a_shell_it_takes_what_is_piped_and_gives_its_exit_code(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{quick_python().bin}{os.pathsep}{os.environ['PATH']}"}
    script = 'echo piped | python -c "import sys; print(sys.stdin.read(), end=str()); sys.exit(3)"'
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout, done.stderr) == (3, "piped\n", "")


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        quick_python().run("-c", "import time; time.sleep(60)", folder=tmp_path, environment={}, timeout=0.2)


def test_nothing_of_ours_is_imported_before() -> None:
    assert not [name for name in PRELOADED if name.startswith(("django_minio_router", "django_tenants"))]
