"""The Celery tasks of docs/tasks.md do their work in a Celery worker."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from minio import Minio

from servers.process import Process
from tests.documentation.test_examples import blocks, section

from .conftest import SETTINGS, TaskSite

PAGE = "docs/tasks.md"
CELERY = """
    from pathlib import Path
    FOLDER = Path(__file__).parent
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
    CELERY_RESULT_BACKEND = f"file://{FOLDER / 'results'}"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(FOLDER / "tasks"),
        "data_folder_out": str(FOLDER / "tasks"),
        "control_folder": str(FOLDER / "control"),
        "polling_interval": 0.05,
    }
"""


def test_the_example_for_celery(site: TaskSite, tmp_path: Path, bare: Minio) -> None:
    names = [f"celery{number}x{secrets.token_hex(3)}" for number in range(2)]
    site.add_tenants(*names)
    for folder in ("tasks", "control", "results"):
        (tmp_path / folder).mkdir()
    env = site.env
    site = TaskSite(tmp_path, SETTINGS.replace('["site_hooks.refuse"]', "[]"), CELERY)
    site.env["DATABASE_URL"] = env["DATABASE_URL"]
    [example] = blocks(section(PAGE, "Celery, or another queue"), "python")
    (tmp_path / "project.py").write_text("import django\n\ndjango.setup()\n" + example)
    log = tmp_path / "celery.log"
    command = [sys.executable, "-m", "celery", "-A", "project", "worker", "--pool=prefork", "--concurrency=2"]
    worker = Process(
        "celery",
        [*command, "--loglevel=INFO", "--without-mingle", "--without-gossip"],
        lambda: log.exists() and "ready." in log.read_text(),
        log=log,
        env=site.env,
    )
    worker.start()
    try:
        sent = site.python("""
            from project import app, count_usage, for_everybody, initialize_buckets

            for task in (initialize_buckets, count_usage):
                for key in for_everybody(task):
                    print(app.AsyncResult(key).get(timeout=60, interval=0.05))
        """)
    finally:
        worker.stop()

    assert sent.returncode == 0, sent.stderr + log.read_text()[-5000:]
    assert len(sent.stdout.splitlines()) == 6
    assert sent.stdout.count("'created': 1") == 2
    assert sent.stdout.count("'objects': 0, 'bytes': 0") == 2
    assert all(bare.bucket_exists(bucket_name=f"media-{name}") for name in names)
