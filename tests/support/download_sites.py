"""Start the site of ``downloads`` under uvicorn or gunicorn, and send it requests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import urllib3

from tools.servers.process import HOST, Process, free_ports, http_status

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "uvicorn": ["uvicorn", "tests.support.downloads:asgi", f"--host={HOST}", "--port={port}"],
    "gunicorn": [
        *("gunicorn", "tests.support.downloads:wsgi", f"--bind={HOST}:{{port}}"),
        *("--threads=8", "--no-control-socket"),
    ],
}
http = urllib3.PoolManager(retries=False, maxsize=0)


@dataclass
class DownloadSite:
    port: int
    log: Path
    pid: int

    def get(self, view: str, bucket: str, name: str, *, endpoint: str = "") -> urllib3.BaseHTTPResponse:
        """Return the response, with its body unread. The site uses the S3 server at the endpoint."""
        address = f"http://{HOST}:{self.port}/{view}/{bucket}/{name}"
        fields = {"endpoint": endpoint} if endpoint else None
        return http.request("GET", address, fields=fields, preload_content=False)

    @property
    def process(self) -> psutil.Process:
        """The id of the serving process."""
        process = psutil.Process(self.pid)
        return next(iter(process.children()), process)


@contextmanager
def download_site(server: str, folder: Path) -> Iterator[DownloadSite]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[server])]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    log = folder / f"{server}.log"
    process = Process(server, command, lambda: http_status(port, "/") == 200, log=log, env=env)
    process.start()
    try:
        yield DownloadSite(port, log, process.pid)
    finally:
        process.stop()
