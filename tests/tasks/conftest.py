"""Tasks that a test's own worker does, and a project with worker processes."""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command

from tests.support.sites import MANAGE, PER_TENANT, QuickSite
from tools.servers.process import Process

Work = Callable[[], None]
Enqueue = Callable[..., str]
Read = Callable[[str], "Reading"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


class Reading(NamedTuple):
    """What ``bucket_tasks`` says: each task by its tenant, its lines, and how it ended."""

    tasks: dict[str, dict[str, Any]]
    lines: list[str]
    error: str | None


@pytest.fixture
def work(db: None, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return a function that does what waits, as a worker does it."""
    worker = pytest.importorskip("django_tasks_db.management.commands.db_worker")
    # It would end the connection of the test, which is in a transaction; Django's test client keeps it too.
    monkeypatch.setattr(worker, "close_old_connections", lambda: None)

    def work(**options: Any) -> None:
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        defaults = {"batch": True, "interval": 0, "startup_delay": False, "reload": False}
        try:
            call_command("db_worker", **{**defaults, **options}, verbosity=0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    return work


@pytest.fixture
def enqueue(tmp_path: Path) -> Enqueue:
    """Return a function that runs a command with ``--enqueue``, and returns the file with what it printed."""

    def enqueue(*arguments: str) -> str:
        out = io.StringIO()
        call_command(*arguments, "--enqueue", stdout=out)
        file = tmp_path / f"{secrets.token_hex(4)}.txt"
        file.write_text(out.getvalue())
        return str(file)

    return enqueue


@pytest.fixture
def read() -> Read:
    """Return a function that reads what became of the tasks in a file."""

    def read(file: str) -> Reading:
        out, lines, error = io.StringIO(), io.StringIO(), None
        with suppress(CommandError):
            call_command("bucket_tasks", file, "--format=json", stdout=out)
        try:
            call_command("bucket_tasks", file, stdout=lines, stderr=lines)
        except CommandError as failure:
            error = str(failure)
        tasks = {task["tenant"]: task for task in json.loads(out.getvalue())}
        return Reading(tasks, lines.getvalue().splitlines(), error)

    return read


# A project with processes

SETTINGS = f"""{PER_TENANT}
    SHARED_APPS += ["django_tasks_db"]  # which INSTALLED_APPS is too
    MINIO_BUCKET_HOOKS = ["site_hooks.refuse"]
"""
HOOKS = """\
def refuse(client, bucket):
    if "refused" in bucket:
        raise ValueError("the auditors said no")
"""


class TaskSite(QuickSite):
    """A site whose database keeps tasks. Its tenants are rows alone: work on buckets needs no schema."""

    def run(self, *arguments: str) -> str:
        done = self.manage(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def worker(self, name: str) -> Iterator[None]:
        """Run a worker process, which waits for tasks, until the end of the block."""
        log = self.folder / f"{name}.log"
        command = [sys.executable, "-c", MANAGE, "db_worker", "--no-startup-delay", "--interval=0.05"]
        process = Process(name, command, lambda: "Starting worker" in log.read_text(), log=log, env=self.env)
        try:
            process.start()
            yield
        finally:
            process.stop()

    def sql(self, *statement: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.env["DATABASE_URL"], autocommit=True) as connection:
            cursor = connection.execute(*statement)
            return cursor.fetchall() if cursor.description else []

    def add_tenants(self, *names: str) -> None:
        for name in names:
            self.sql("INSERT INTO customers_client (schema_name, name) VALUES (%s, %s)", (name, name))

    def wait(self) -> None:
        """Return when no task is left."""
        left = "SELECT count(*) FROM django_tasks_database_dbtaskresult WHERE status IN ('READY', 'RUNNING')"
        deadline = time.monotonic() + 120
        while self.sql(left) != [(0,)]:
            assert time.monotonic() < deadline, [log.read_text()[-5000:] for log in self.folder.glob("*.log")]
            time.sleep(0.05)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskSite]:
    """The project, with a database of its own: what its processes do is committed."""
    name = f"tasks_{secrets.token_hex(4)}"
    server = os.environ["DATABASE_URL"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        site = TaskSite(tmp_path_factory.mktemp("tasks"), SETTINGS)
        (site.folder / "site_hooks.py").write_text(HOOKS)
        site.env["DATABASE_URL"] = urlsplit(server)._replace(path=f"/{name}").geturl()
        site.run("migrate_schemas", "--shared")
        yield site
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def two_workers(site: TaskSite) -> Iterator[None]:
    with ExitStack() as workers:
        for name in ("one", "other"):  # there before the first task, or one of them might do all
            workers.enter_context(site.worker(name))
        yield
