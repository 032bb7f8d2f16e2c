"""Separate projects whose ``manage.py`` runs as a process, with or without a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

from tests.support.quick_python import quick_python

ROOT = Path(__file__).parents[2]
MANAGE = "from django.core.management import execute_from_command_line as run; import sys; run(sys.argv)"

SERVER = """
    import os
    SECRET_KEY = "only for tests"
    INSTALLED_APPS = ["django_minio_router"]
    MINIO_ENDPOINT = os.environ["MINIO_ENDPOINT"]
    MINIO_ACCESS_KEY = os.environ["MINIO_ACCESS_KEY"]
    MINIO_SECRET_KEY = os.environ["MINIO_SECRET_KEY"]
    MINIO_USE_HTTPS = os.environ["MINIO_USE_HTTPS"] == "1"
"""

PER_TENANT = """
    from tests.support.settings import *
    TENANT_APPS = ["django.contrib.contenttypes"]
    SHARED_APPS = ["django_tenants", "django_minio_router", *TENANT_APPS, "tests.apps.customers"]
    INSTALLED_APPS = SHARED_APPS
    STRATEGY = {
        "BACKEND": "django_minio_router.strategies.PerTenant",
        "OPTIONS": {"template": "media-{schema_name}"},
    }
    STORAGES = {"default": {"BACKEND": "django_minio_router.MinioRouter", "OPTIONS": {"strategy": STRATEGY}}}
"""


class Site:
    """A project with settings from a test."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        }
        text = "\n".join(map(textwrap.dedent, settings))
        (folder / "site_settings.py").write_text(text)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.interpreter("-c", MANAGE, *arguments)

    def interpreter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the folder of the site."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def manage_on_terminal(self, *arguments: str) -> str:
        """Return the whole terminal output."""
        command = [sys.executable, "-c", MANAGE, *arguments]
        ours, theirs = pty.openpty()
        drawn = b""
        with (
            os.fdopen(ours, "rb", buffering=0) as screen,
            subprocess.Popen(command, env=self.env, stdin=theirs, stdout=theirs, stderr=theirs),
        ):
            os.close(theirs)
            with suppress(OSError):  # how Linux says that the program is gone
                while block := screen.read(65536):
                    drawn += block
        return drawn.decode()

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code as ``manage.py shell -c`` would, after the project is set up."""
        return self.interpreter("-c", "import django; django.setup()\n" + textwrap.dedent(code))

    def at_start(self, code: str) -> None:
        """Run code in each process of the site before anything else."""
        (self.folder / "sitecustomize.py").write_text(textwrap.dedent(code))


class QuickSite(Site):
    """A project whose processes are forks, for tests that say nothing of imports."""

    def interpreter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return quick_python().run(*arguments, folder=self.folder, environment=self.env)
