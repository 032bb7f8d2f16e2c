"""Processes that fork after connections were opened: no error, and nobody gets another's bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from minio import Minio
from minio.credentials import StaticProvider

from django_minio_router import MinioBackend
from tests.support.celery_in_files import worker
from tests.support.processes import in_children
from tests.support.quick_python import quick_python
from tests.support.scale import scale
from tools.servers.process import HOST, Process, free_ports, http_status

ROOT = Path(__file__).parents[2]
PROCESSES = 8
OPERATIONS = scale(25, 500)  # for each process
LIMIT = scale(120, 600)  # seconds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def environment(bucket: str) -> dict[str, str]:
    return {**os.environ, "BUCKET": bucket, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def started(name: str, command: list[str], answers, log: Path, env: dict[str, str]) -> Iterator[Process]:
    process = Process(name, [sys.executable, "-m", *command], answers, log=log, env=env)
    try:
        process.start()
        yield process
    finally:
        process.stop()


def test_gunicorn_may_preload_the_site(
    environment: dict[str, str], tmp_path: Path, bucket: str, bare: Minio
) -> None:
    """Workers are forked from a process with open connections, and forked anew under load."""
    (port,) = free_ports(1)
    command = ["gunicorn", "--preload", f"--bind={HOST}:{port}", "--workers=4"]
    command += [f"--max-requests={min(2 * OPERATIONS, 100)}"]
    command += ["--no-control-socket", "tests.reliability.site"]
    log = tmp_path / "gunicorn.log"
    numbers = range(PROCESSES * OPERATIONS)

    def ask(number: int) -> str:
        with urllib.request.urlopen(f"http://{HOST}:{port}/{number}", timeout=60) as answer:
            return answer.read().decode()

    with (
        started("gunicorn", command, lambda: http_status(port, "/0") == 200, log, environment),
        ThreadPoolExecutor(PROCESSES) as threads,
    ):
        answers = list(threads.map(ask, numbers))

    assert answers == [f"{number} is well" for number in numbers], log.read_text()[-5000:]
    own = bare.list_objects(bucket_name=bucket, prefix="own/")
    assert sum(1 for _ in own) >= len(numbers)


def test_celery_forks_workers_that_use_storages(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment |= {"CELERY_FOLDER": str(tmp_path), "CELERY_PARENT": "1"}
    send = f"""
import sys
from tests.reliability.worker import work
tasks = [work.delay(number * 10, {OPERATIONS // 4}) for number in range({PROCESSES * 4})]
print(sum(task.get(timeout={LIMIT}, interval=0.05) for task in tasks))
"""

    forking = PROCESSES, "--max-tasks-per-child=2"
    with worker("tests.reliability.worker", tmp_path, environment, *forking) as log:
        sender = {**environment, "CELERY_PARENT": ""}
        sent = quick_python().run("-c", send, folder=ROOT, environment=sender, timeout=LIMIT)

    assert sent.stdout.strip() == str(OPERATIONS // 4 * PROCESSES * 4), sent.stderr + log.read_text()[-5000:]


def test_forks_under_load_mix_no_bytes(environment: dict[str, str]) -> None:
    """Threads of the parent hold locks and are in the middle of requests when the forks come."""
    code = f"""
import threading
from tests.reliability.program import fill, save_and_read
from tests.support.processes import in_children
fill()
done = threading.Event()
errors = []
def load(number):
    try:
        while not done.is_set():
            save_and_read(number)
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
in_children({PROCESSES}, lambda process: [save_and_read(process * 3 + n) for n in range({OPERATIONS})])
done.set()
for thread in threads:
    thread.join()
assert not errors, errors
print("well")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=LIMIT
    )

    assert (done.stdout, done.stderr, done.returncode) == ("well\n", "", 0)


asked, answer = threading.Event(), threading.Event()


def slow_provider() -> StaticProvider:
    asked.set()
    answer.wait()
    return StaticProvider("key", "secret-key")


def test_a_fork_may_come_while_a_thread_works_out_the_settings() -> None:
    """No child waits for a thread that it does not have."""

    def link(**options: object) -> str:
        return MinioBackend("documents", MINIO_ENDPOINT="127.0.0.1:9", **options).url("a.txt")

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(link, MINIO_CREDENTIALS=f"{__name__}.slow_provider")
        asked.wait()
        try:
            in_children(1, lambda _: link(MINIO_ACCESS_KEY="key", MINIO_SECRET_KEY="secret-key"))
        finally:
            answer.set()
        assert slow.result().startswith("http://")
