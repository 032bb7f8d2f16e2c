"""The smallest project, as its README says to run it."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import urllib3
from minio import Minio

from tools.servers.process import free_ports

from .projects import ROOT, Visitor, environment, output_until, run

BUCKET = "single-bucket-example"


@pytest.fixture(scope="module")
def manage(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Return a function that gives a command of a copy of the project, so that its database is new."""
    project = tmp_path_factory.mktemp("single") / "project"
    shutil.copytree(ROOT / "examples" / "single_bucket", project, ignore=shutil.ignore_patterns("*.sqlite3"))
    return lambda *arguments: [str(project / "manage.py"), *arguments]


@pytest.fixture(scope="module")
def visitor(manage: Callable[..., list[str]]) -> Iterator[Visitor]:
    env = environment(PYTHONUNBUFFERED="1")
    for command in ("migrate", "initialize_buckets"):
        assert run(manage(command), env).returncode == 0
    (port,) = free_ports(1)
    runserver = [sys.executable, *manage("runserver", "--noreload", f"127.0.0.1:{port}")]
    with subprocess.Popen(
        runserver, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        output_until(process, "Quit the server")
        yield Visitor(port)
        process.terminate()


def test_nothing_is_left_to_do_after_the_commands_of_the_readme(manage, visitor):
    for command in (
        ["check", "--fail-level=WARNING"],
        ["makemigrations", "--check"],
        ["initialize_buckets", "--check"],
    ):
        result = run(manage(*command), environment())
        assert result.returncode == 0, result.stderr


def test_a_file_goes_to_the_bucket_and_comes_back_by_a_signed_link(visitor: Visitor, bare: Minio):
    content = secrets.token_bytes(100)
    filename = f"{content.hex()[:16]}.bin"

    assert visitor.submit("/", {"file": (filename, content)}).status == 302

    link, name = re.search(rf'<a href="([^"]+)">([\d-]{{10}}/{filename})</a>', visitor.page()).groups()
    assert bare.get_object(bucket_name=BUCKET, object_name=name).read() == content
    link = link.replace("&amp;", "&")
    assert urllib3.request("GET", link, retries=False).data == content
    assert urllib3.request("GET", link.partition("?")[0], retries=False).status == 403
