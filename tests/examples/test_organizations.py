"""Two organizations on SQLite, as the README of the example says to run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from minio import Minio

from .projects import ROOT, Visitor, environment, output_until, run, started

DEMO = "examples.organizations.demo"


@pytest.fixture
def database(tmp_path: Path) -> list[str | Path]:
    return ["--database", tmp_path / "site.sqlite3"]


def test_each_login_gets_the_files_of_its_organization(database: list[str | Path], bare: Minio) -> None:
    env = environment()
    env.pop("DATABASE_URL", None)  # no PostgreSQL is needed
    with started([DEMO, "--port", "0", *database], env) as process:
        account = output_until(process, "Ctrl-C stops it.")
        port = re.search(r"http://localhost:(\d+)/", account)
        visitor = Visitor(int(port[1]))
        assert visitor.request("GET", "/").headers["Location"] == "/login/?next=/"
        again = run([DEMO, "--once", "--port", "0", *database], env)

    assert "All 10 checks held." in account
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("there already") == 2
    for bucket in "orgs-harbour", "orgs-orchard":
        assert bare.bucket_exists(bucket_name=bucket)


def test_its_checks_and_migrations_are_clean(tmp_path: Path) -> None:
    env = environment(SITE_DATABASE=str(tmp_path / "site.sqlite3"))
    manage = ROOT / "examples/organizations/manage.py"
    for command in ["check", "--fail-level=WARNING"], ["makemigrations", "--check", "--dry-run"]:
        done = run([manage, *command], env)
        assert done.returncode == 0, done.stdout + done.stderr
