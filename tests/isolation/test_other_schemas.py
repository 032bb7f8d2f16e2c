"""django-tenant-schemas and django-pgschemas, by the recipes of docs: the machine, contract and commands."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database() -> Iterator[str]:
    """The URL of an empty database."""
    name, server = f"other_schemas_{secrets.token_hex(6)}", os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("package", ["django_pgschemas", "tenant_schemas"])
def test_nobody_reaches_another_schemas_files(package: str, database: str, tmp_path: Path) -> None:
    """And a strategy that leaks is found, and rows that forget whose they are."""
    pytest.importorskip(package.partition(".")[0], reason="nox -s packages has it")
    env = {**os.environ, "DATABASE_URL": database}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "tests.isolation.other_schemas", package, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
