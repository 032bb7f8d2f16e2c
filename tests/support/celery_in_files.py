"""A real Celery worker whose broker is a folder, so that it needs no further server."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

from tools.servers.process import Process


class Channel(filesystem.Channel):
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        """Write a message atomically: with Kombu, a worker may take, and lose, a half-written one."""
        whole = Path(self.data_folder_out, f"{time.monotonic_ns()}_{uuid.uuid4()}.{queue}.msg")
        part = whole.with_suffix(".part")
        part.write_text(dumps(payload))
        part.rename(whole)


class Transport(filesystem.Transport):
    Channel = Channel


TRANSPORT_ALIASES["folder"] = f"{__name__}:Transport"


def options(folder: Path) -> dict[str, Any]:
    """Return the options of an app whose tasks are in this folder."""
    return {
        "broker_url": "folder://",
        "result_backend": f"file://{folder / 'results'}",
        "broker_transport_options": {
            "data_folder_in": str(folder / "tasks"),
            "data_folder_out": str(folder / "tasks"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.05,
        },
        "broker_connection_retry_on_startup": True,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
    }


@contextmanager
def worker(
    app: str, folder: Path, environment: Mapping[str, str], processes: int = 2, *more: str
) -> Iterator[Path]:
    """Run a worker with this many processes. Yield its log when it is ready."""
    for name in ("tasks", "control", "results"):
        (folder / name).mkdir()
    log = folder / "celery.log"
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--pool=prefork", "--loglevel=INFO"]
    command += [f"--concurrency={processes}", "--without-mingle", "--without-gossip", *more]
    process = Process("celery", command, lambda: "ready." in log.read_text(), log=log, env=environment)
    try:
        process.start()
        yield log
    finally:
        process.stop()
