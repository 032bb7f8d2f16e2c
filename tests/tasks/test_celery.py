"""The Celery tasks of docs/tasks.md do their work in a Celery worker."""

from __future__ import annotations

import secrets
from pathlib import Path

from minio import Minio

from tests.support.celery_in_files import worker
from tests.support.pages import blocks, section

from .conftest import SETTINGS, TaskSite

PAGE = "docs/tasks.md"
CELERY = """
    from pathlib import Path
    from tests.support.celery_in_files import options
    for name, value in options(Path(__file__).parent).items():
        globals()[f"CELERY_{name.upper()}"] = value
    MINIO_BUCKET_HOOKS = []
"""


def test_the_example_for_celery(site: TaskSite, tmp_path: Path, bare: Minio) -> None:
    names = [f"celery{number}x{secrets.token_hex(3)}" for number in range(2)]
    site.add_tenants(*names)
    env = site.env
    site = TaskSite(tmp_path, SETTINGS, CELERY)
    site.env["DATABASE_URL"] = env["DATABASE_URL"]
    [example] = blocks(section(PAGE, "Celery, or another queue"), "python")
    (tmp_path / "project.py").write_text("import django\n\ndjango.setup()\n" + example)
    with worker("project", tmp_path, site.env) as log:
        sent = site.python("""
            from project import app, for_each_tenant

            for command in (["initialize_buckets", "--own"], ["bucket_usage", "--format=json"]):
                for key in for_each_tenant(*command):
                    print(app.AsyncResult(key).get(timeout=60, interval=0.05))
        """)

    assert sent.returncode == 0, sent.stderr + log.read_text()[-5000:]
    assert sent.stdout.splitlines().count("1 created.") == 2
    assert sent.stdout.count('"objects": 0, "bytes": 0') == 2
    assert all(bare.bucket_exists(bucket_name=f"media-{name}") for name in names)
