"""What Celery runs, with files as its broker."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from tests.support.celery_in_files import options

from .program import fill, save_and_read

app = Celery("reliability", **options(Path(os.environ["CELERY_FOLDER"])))


@app.task
def work(first: int, count: int) -> int:
    for number in range(first, first + count):
        save_and_read(number)
    return count


if os.environ.get("CELERY_PARENT"):
    fill()
