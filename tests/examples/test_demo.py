"""`python3 dev.py demo`: its account, its exit code, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from minio import Minio

from tests.support.proxy import Proxy
from tools import servers
from tools.servers.stack import S3_NAMES

from .projects import DEMO, SITE_IS_UP, Visitor, environment, output_until, run, started

CHECKS = 58
OF_THE_TEST_RUN = (*S3_NAMES, "DATABASE_URL")


@pytest.fixture(scope="module")
def empty(
    request: pytest.FixtureRequest, new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """An empty database and an empty S3 server: of files that are there the demo would warn."""
    with servers.new_s3(request.config.getoption("--server"), tmp_path_factory.mktemp("s3")) as addresses:
        yield environment(DATABASE_URL=new_database(), **addresses)


def client_of(addresses: Mapping[str, str]) -> Minio:
    return Minio(
        endpoint=addresses["MINIO_ENDPOINT"],
        access_key=addresses["MINIO_ACCESS_KEY"],
        secret_key=addresses["MINIO_SECRET_KEY"],
        secure=False,
        region="us-east-1",
    )


@pytest.fixture(scope="module")
def first_start(empty: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run([DEMO, "--once"], empty)


@pytest.fixture
def on_own_servers(request: pytest.FixtureRequest) -> tuple[list[str | Path], dict[str, str]]:
    """The command and the environment with which the demo starts servers of its own."""
    env = {name: value for name, value in environment().items() if name not in OF_THE_TEST_RUN}
    return ["tools.servers", "--server", request.config.getoption("--server")], env


def test_every_check_of_the_account_holds(first_start):
    assert (first_start.returncode, first_start.stderr) == (0, "")
    checks = re.findall(r"^    (ok|NO)  ", first_start.stdout, re.MULTILINE)
    assert len(checks) == CHECKS
    assert set(checks) == {"ok"}
    assert first_start.stdout.endswith(f"All {CHECKS} checks held.\n")


def test_the_system_checks_find_nothing():
    done = run(["examples.multi_tenant.manage", "check", "--fail-level=WARNING"], environment())

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("owner", "other", "tenant", "filename", "folder", "under_that_name"),
    [
        ("Harbour Museum", "Orchard School", "harbour", "opening-hours.txt", "documents", "its own file"),
        ("Harbour Museum", "Orchard School", "harbour", "lighthouse.jpg", "photos", "FileNotFoundError"),
        ("Orchard School", "Harbour Museum", "orchard", "opening-hours.txt", "documents", "its own file"),
        ("Orchard School", "Harbour Museum", "orchard", "apple-trees.jpg", "photos", "FileNotFoundError"),
    ],
)
def test_the_account_says_of_each_file_where_it_is_and_who_gets_it(
    first_start, empty, owner, other, tenant, filename, folder, under_that_name
):
    _, files = first_start.stdout.split(f"\nFiles of {owner}\n")
    _, file = files.split(f"\n  {filename} -> bucket demo-{tenant}, {folder}/", 1)
    where, link, page, *checks = file.split("\n\n")[0].splitlines()
    got = dict(re.split(r"\s{2,}", line.removeprefix("    ok  ")) for line in checks)

    assert where.endswith(" (new)")
    assert link.startswith(f"    http://{empty['MINIO_ENDPOINT']}/demo-{tenant}/{folder}/")
    assert page.startswith(f"    http://{tenant}.localhost:")
    assert got == {
        "A bare S3 client, in that bucket": "the same bytes",
        f"{owner}, signed link": "200, the same bytes",
        f"{owner}, its site": f"200, the same bytes, saved as {filename}",
        f"{owner}, read after a change of tenant": "the same bytes",
        f"{other}, its site": "404",
        f"{other}, its bucket in that link": "403",
        f"{other}, that name in its code": under_that_name,
        "Anonymous, link without signature": "403",
        "Code without a tenant": "TenantRequired",
    }


def test_the_account_moves_letters_from_one_bucket_while_visitors_read_them(first_start):
    adopting, got = chapter(first_start.stdout, "Adopting")
    copying, deleting = re.findall(r"manage.py move_objects (.*)\n    (.*)", adopting)

    assert copying == (
        "--from=demo-archive --all-tenants --model=library.Letter",
        "50 copied, 0 already there, 0 missing, 0 differing, 0 failed.",
    )
    assert "--delete-source" in deleting[0]
    assert deleting[1].startswith("0 copied, 50 already there")
    for owner in ("Harbour Museum", "Orchard School"):
        assert [count for who, count in got if who.startswith(f"{owner},")] == [
            "25 letters", "25 letters", "0 letters", "25 letters"
        ]  # fmt: skip
    assert ("On their pages, at any time", "every letter") in got


def chapter(account: str, heading: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what is told below a heading, and the checks in it: who got what."""
    _, found = account.split(f"\n{heading}: ")
    text = re.split(r"\n\n(?=\S)", found)[0]
    return text, re.findall(r"    ok  (.+?)\s{2,}(.*)", text)


def test_the_account_counts_what_each_tenant_stores(first_start):
    text, checks = chapter(first_start.stdout, "Usage")
    rows = [line.split() for line in text.splitlines() if " library." in line]

    assert "  manage.py bucket_usage --all-tenants --bytes\n" in text
    assert [(tenant, bucket) for tenant, bucket, *_ in rows] == [
        (tenant, f"demo-{tenant}") for tenant in ("harbour", "orchard") for _ in range(3)
    ]
    for tenant, (who, counted) in zip(("harbour", "orchard"), checks, strict=True):
        mine = [row for row in rows if row[0] == tenant]
        objects, size = (sum(int(row[column]) for row in mine) for column in (3, 4))
        assert "as a bare S3 client counts" in who
        assert counted == f"{objects} objects, {size:,} bytes"


def test_the_account_purges_a_third_tenant_and_the_others_keep_what_they_have(first_start, empty):
    text, checks = chapter(first_start.stdout, "Purging")
    _, usage = chapter(first_start.stdout, "Usage")

    assert re.findall(r"manage.py (.*)", text) == [
        "purge_tenant fair --dry-run",
        "purge_tenant fair --no-input",
    ]
    assert text.count("bucket demo-fair on ") == 2
    assert "deleted: demo-fair\n    2 versions deleted." in text
    assert checks[:4] == [
        ("Summer Fair, in its bucket", "2 objects, 94 bytes"),
        ("Summer Fair, after the dry run", "2 objects, 94 bytes"),
        ("Summer Fair, in its bucket", "no such bucket"),
        ("A link that was given away before", "404"),
    ]
    assert [counted for _, counted in checks[4:]] == [counted for _, counted in usage]
    assert not client_of(empty).bucket_exists(bucket_name="demo-fair")


@dataclass
class Site:
    """The demo, which was started once more and stays up, and the S3 server as it sees it."""

    account: str
    s3: Proxy


@pytest.fixture(scope="module")
def second_start(first_start, empty) -> Iterator[Site]:
    with (
        Proxy(empty["MINIO_ENDPOINT"]) as s3,
        taken_or_taken_here(8000),
        started([DEMO, "--asgi"], empty | {"MINIO_ENDPOINT": s3.endpoint}) as process,
    ):
        yield Site(output_until(process, SITE_IS_UP), s3)


def taken_or_taken_here(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError:
        return socket.socket()


def test_a_second_start_on_the_same_data_uses_what_is_there_and_says_so(second_start):
    account = second_start.account

    assert f"All {CHECKS} checks held." in account, "under ASGI, too"
    assert account.count("there already") == 2 + 4 + 2  # tenants, files, emblems
    assert "(new)" not in account
    assert "4 unchanged" in account
    assert "created" not in account


def test_the_default_port_gives_way_to_a_free_one_if_it_is_taken(second_start):
    assert second_start.account.startswith("Port 8000 is taken; the site gets a free one.\n")
    assert "http://localhost:8000/" not in second_start.account


def test_a_page_says_that_the_s3_server_is_gone_while_it_is_open(second_start):
    port = re.search(r"http://localhost:(\d+)/", second_start.account)
    visitor = Visitor(int(port[1]), "harbour.localhost")
    second_start.s3.close()
    fields = {"add": "document", "document-title": "Late", "document-file": ("late.txt", b"late")}
    answer = visitor.submit("/", fields)
    page = visitor.page()

    assert answer.status == 503
    shown = answer.data.decode()
    assert "The files are out of reach" in shown
    assert "No answer from the S3 server" not in shown, "which is for the log"
    assert "late.txt" not in page


def test_a_check_that_does_not_hold_fails_the_demo_by_name(first_start, empty):
    with open_to_anybody(client_of(empty), "demo-harbour", "documents/*"):
        result = run([DEMO, "--once"], empty)

    assert result.returncode == 1
    assert f"\n1 of {CHECKS} checks did not hold:\n" in result.stderr
    assert "Anonymous, link without signature: 200, the same bytes, and not 403" in result.stderr
    assert (
        re.findall(r"that name in its code +(.*)", result.stdout) == ["its own file", "FileNotFoundError"] * 2
    )


@contextmanager
def open_to_anybody(client: Minio, bucket: str, objects: str) -> Iterator[None]:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/{objects}"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    client.set_bucket_policy(bucket_name=bucket, policy=json.dumps(policy))
    try:
        yield
    finally:
        client.delete_bucket_policy(bucket_name=bucket)


def test_a_wrong_key_fails_the_demo_with_one_clear_line(empty):
    result = run([DEMO, "--once"], empty | {"MINIO_SECRET_KEY": "wrong"})

    assert result.returncode == 1
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("The demo failed at 'Buckets: manage.py initialize_buckets --all-tenants': ")
    assert empty["MINIO_ENDPOINT"] in line


@pytest.mark.any_server
def test_a_database_that_is_away_fails_the_demo_with_one_clear_line(empty):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        result = run([DEMO, "--once"], empty | {"DATABASE_URL": f"postgres://demo@127.0.0.1:{port}/demo"})

    assert result.returncode == 1
    assert result.stderr.lstrip().startswith("The demo failed at 'Tenants': OperationalError: ")
    assert "Traceback" not in result.stderr


@pytest.mark.any_server
def test_without_servers_it_says_how_to_start_them(on_own_servers):
    _, env = on_own_servers

    result = run([DEMO], env)

    assert result.returncode == 1
    assert "MINIO_ENDPOINT, MINIO_ACCESS_KEY, MINIO_SECRET_KEY, DATABASE_URL: not set." in result.stderr
    assert "python3 dev.py demo" in result.stderr


@pytest.mark.any_server
def test_a_taken_port_is_an_error_if_it_was_asked_for(empty):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run([DEMO, "--once", "--port", str(port)], empty)

    assert result.returncode == 1
    assert f"The site cannot be served on port {port}: " in result.stderr


def test_stopped_at_any_time_it_leaves_nothing_running_and_usable_data(on_own_servers, tmp_path):
    command, env = on_own_servers
    command = [*command, "--data", tmp_path, DEMO, "--port", "0"]

    code, early = stopped(command, env, at="Tenants", by=signal.SIGTERM)
    assert code == 130, early
    assert "held" not in early

    code, whole = stopped(command, env, at=SITE_IS_UP, by=signal.SIGINT)
    assert code == 0
    assert f"All {CHECKS} checks held." in whole
    assert whole.endswith("\nStopped.\n")

    code, again = stopped(command, env, at=SITE_IS_UP, by=signal.SIGTERM)
    assert code == 0
    assert again.count("there already") == 8
    assert f"All {CHECKS} checks held." in again


def stopped(
    command: list[str | Path], env: dict[str, str], *, at: str, by: signal.Signals
) -> tuple[int, str]:
    """Stop the demo when it prints these words, and see that nothing is left. Return code and output."""
    with started(command, env) as process:
        output = output_until(process, at)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert len(family) > 2, "the demo and its two servers"
        os.killpg(process.pid, by)  # as Ctrl-C in a terminal does
        output += process.stdout.read()
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    ports = set(re.findall(r"(?:127\.0\.0\.1|localhost):(\d+)", output))
    assert len(ports) >= 2, "those of PostgreSQL and of the S3 server, and that of the site"
    assert [port for port in ports if answers(int(port))] == []
    return process.returncode, output


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_servers_alone_are_up_until_they_are_told_to_stop(on_own_servers, tmp_path: Path):
    command, env = on_own_servers

    with started([*command, "--data", tmp_path, "tools.servers.wait"], env) as process:
        printed = output_until(process, "Ctrl-C")
        said = dict(re.findall(r"^export (\w+)=(\S+)$", printed, re.MULTILINE))
        client_of(said).make_bucket(bucket_name="mine")
        with psycopg.connect(said["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.communicate()

    assert children
    assert not [child for child in children if child.is_running()]
