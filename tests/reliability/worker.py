"""What Celery runs, with files as its broker."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

from .program import fill, save_and_read

folder = Path(os.environ["CELERY_FOLDER"])
app = Celery(
    "reliability",
    broker="filesystem://",
    backend=f"file://{folder / 'results'}",
    broker_transport_options={
        "data_folder_in": str(folder / "tasks"),
        "data_folder_out": str(folder / "tasks"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.05,
    },
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
)


@app.task
def work(first: int, count: int) -> int:
    for number in range(first, first + count):
        save_and_read(number)
    return count


if os.environ.get("CELERY_PARENT"):
    fill()
